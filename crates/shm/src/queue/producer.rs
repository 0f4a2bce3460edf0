//! The producer's side, which is the reaper's as well: publish, collect,
//! retire, recover.

use std::collections::VecDeque;

use super::{
    FRONT, PUBLICATIONS, RESULT_WORDS, Shape, ShapeError, TASK_WORDS, Task, TaskResult, mutant,
};
use crate::memory::{Memory, Ordering};
use crate::slot::{State, Word, WorkerId};

/// Main's end of the queue. There must be one only.
///
/// It keeps its own table of what it has published, and believes a slot's word
/// only as far as it fits the table.
#[derive(Debug)]
pub struct Producer<M> {
    pub(super) memory: M,
    shape: Shape,
    /// One entry for each slot.
    table: Vec<Entry>,
    /// The slots with a task that is not retired, in the order in which they
    /// were published.
    outstanding: VecDeque<usize>,
    /// What the shared count should be.
    publications: u64,
    /// Where to look first for a free slot: the one after the last published.
    next: usize,
}

/// What main knows of a slot without looking at it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    is_outstanding: bool,
    generation: u32,
    attempt: u8,
    task: Task,
}

/// Whether a task's bytes are in its slot's buffer when it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// The worker reads them.
    Absent,
    /// Main has put them there.
    Present,
}

impl<M: Memory> Producer<M> {
    /// The producer of the queue in `memory`, which must be fresh: all zero.
    ///
    /// # Errors
    /// When `memory` is too small for `shape`.
    pub fn new(memory: M, shape: Shape) -> Result<Self, ShapeError> {
        shape.check(&memory)?;
        let empty =
            Entry { is_outstanding: false, generation: 0, attempt: 0, task: [0; TASK_WORDS] };
        Ok(Self {
            memory,
            shape,
            table: vec![empty; shape.capacity()],
            outstanding: VecDeque::with_capacity(shape.capacity()),
            publications: 0,
            next: 0,
        })
    }

    /// The queue's shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Tasks that are published and not retired.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// A slot without a task, in circular order; `None` if the queue is full.
    #[must_use]
    pub fn free_slot(&self) -> Option<usize> {
        let capacity = self.shape.capacity();
        let in_order = (0..capacity).map(|step| (self.next + step) % capacity);
        in_order.into_iter().find(|&slot| !self.table[slot].is_outstanding)
    }

    /// Puts `task` into `slot`, for anyone to claim. Afterwards post one token.
    ///
    /// # Panics
    /// When `slot` has a task already, or is none of this queue.
    pub fn publish(&mut self, slot: usize, task: &Task, bytes: Bytes) {
        let entry = &mut self.table[slot];
        assert!(!entry.is_outstanding, "slot {slot} has a task already");
        let generation = entry.generation.wrapping_add(1);
        *entry = Entry { is_outstanding: true, generation, attempt: 0, task: *task };
        self.outstanding.push_back(slot);
        self.next = (slot + 1) % self.shape.capacity();

        for (index, value) in task.iter().enumerate() {
            self.memory.word(self.shape.task_of(slot, index)).store(*value, Ordering::Relaxed);
        }
        let word = Word::published(generation, bytes == Bytes::Present);
        // SYNC POINT publish, the releasing end: the task, and what main has
        // written into the buffer.
        let order = if mutant::relaxed_publish() { Ordering::Relaxed } else { Ordering::Release };
        self.memory.word(self.shape.word_of(slot)).store(word.encode(), order);
        self.count_publications(1);
    }

    /// The task in `slot` as main knows it, whatever the shared memory says;
    /// `None` if there is none.
    #[must_use]
    pub fn task(&self, slot: usize) -> Option<&Task> {
        self.table.get(slot).filter(|entry| entry.is_outstanding).map(|entry| &entry.task)
    }

    /// How many workers have died over the task in `slot`.
    #[must_use]
    pub fn attempts(&self, slot: usize) -> u8 {
        self.table[slot].attempt
    }

    /// The slot with the oldest task that is not retired.
    #[must_use]
    pub fn oldest(&self) -> Option<usize> {
        self.outstanding.front().copied()
    }

    /// What became of the task in `slot`: `None` while it is not done, or if
    /// there is none.
    ///
    /// # Errors
    /// When the slot's word is none that this task can have.
    pub fn done(&self, slot: usize) -> Result<Option<Completed>, Corrupt> {
        if !self.table[slot].is_outstanding {
            return Ok(None);
        }
        // SYNC POINT done, the acquiring end: the result and the buffer.
        let word = self.look(slot)?;
        let State::Done(worker) = word.state else { return Ok(None) };
        let mut result = [0; RESULT_WORDS];
        for (index, value) in result.iter_mut().enumerate() {
            *value = self.memory.word(self.shape.result_of(slot, index)).load(Ordering::Relaxed);
        }
        Ok(Some(Completed { slot, worker, word, result }))
    }

    /// The first done task, in the order of publication; `None` if none is.
    ///
    /// # Errors
    /// When a slot's word is none that its task can have.
    pub fn first_done(&self) -> Result<Option<Completed>, Corrupt> {
        self.outstanding.iter().find_map(|&slot| self.done(slot).transpose()).transpose()
    }

    /// Frees the slot of a done task. Its result, and what lies in the slot's
    /// buffer, must have been used before.
    ///
    /// # Panics
    /// When `completed` comes from another queue.
    pub fn retire(&mut self, completed: Completed) {
        let Completed { slot, word, .. } = completed;
        let entry = &mut self.table[slot];
        assert!(
            entry.is_outstanding && entry.generation == word.generation,
            "slot {slot} has another task"
        );
        entry.is_outstanding = false;
        self.outstanding.retain(|&other| other != slot);
        let free = word.freed().expect("a completed task is done");
        // SYNC POINT taken, by way of main: whoever finds the slot empty also
        // knows what has been published until now.
        self.memory.word(self.shape.word_of(slot)).store(free.encode(), Ordering::Release);
    }

    /// What `worker` holds: its slots, and whether it has said that the bytes
    /// are loaded. When it is certainly dead, that is what
    /// [`recover`](Self::recover) will take back.
    ///
    /// # Errors
    /// When a slot's word is none that its task can have.
    pub fn held(&self, worker: WorkerId) -> Result<Vec<HeldTask>, Corrupt> {
        let mut held = Vec::new();
        for &slot in &self.outstanding {
            let word = self.look(slot)?;
            if word.holder() == Some(worker) {
                let bytes = match word.state {
                    State::Loaded(_) => Bytes::Present,
                    _ => Bytes::Absent,
                };
                held.push(HeldTask { slot, attempt: word.attempt, bytes });
            }
        }
        Ok(held)
    }

    /// Whether any task is held. When every worker is certainly dead, was
    /// recovered, and main works on none itself, that is a word that somebody
    /// has made up.
    ///
    /// # Errors
    /// When a slot's word is none that its task can have.
    pub fn is_any_held(&self) -> Result<bool, Corrupt> {
        for &slot in &self.outstanding {
            if self.look(slot)?.holder().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes back what `worker` has held, which must be certainly dead, and
    /// makes it ready again. Afterwards post one token for each, and one for
    /// the death.
    ///
    /// # Errors
    /// When a slot's word is none that its task can have.
    pub fn recover(&mut self, worker: WorkerId) -> Result<Vec<HeldTask>, Corrupt> {
        let mut held = Vec::new();
        for index in 0..self.outstanding.len() {
            let slot = self.outstanding[index];
            if let Some(word) = self.recover_slot(slot, worker)? {
                self.table[slot].attempt = word.attempt;
                let bytes = match word.state {
                    State::ReadyLoaded => Bytes::Present,
                    _ => Bytes::Absent,
                };
                held.push(HeldTask { slot, attempt: word.attempt, bytes });
            }
        }
        if let Some(first) = held.first() {
            // What is redone is older than what is ready: look there first.
            self.memory.word(FRONT).store(first.slot as u64, Ordering::Relaxed);
            self.count_publications(held.len() as u64);
        }
        Ok(held)
    }

    /// Takes `slot` back, if `worker` holds it; the slot's new word.
    fn recover_slot(&self, slot: usize, worker: WorkerId) -> Result<Option<Word>, Corrupt> {
        // The dead do not move, so once is enough for them. One that was only
        // taken for dead can go two steps, from `CLAIMED` to `LOADED` to
        // `DONE`, while main looks.
        for _ in 0..3 {
            // SYNC POINT loaded, the acquiring end: the bytes that the dead
            // worker has put into the buffer.
            let word = self.look(slot)?;
            if word.holder() != Some(worker) {
                return Ok(None);
            }
            if mutant::forgets_loaded() && matches!(word.state, State::Loaded(_)) {
                return Ok(None);
            }
            let mut ready = word.recovered().expect("a slot that is held can be recovered");
            if mutant::rereads() {
                ready.state = State::Ready;
            }
            let at = self.memory.word(self.shape.word_of(slot));
            // SYNC POINT publish, the releasing end, and SYNC POINT loaded
            // handed on: whoever claims the slot next sees those bytes.
            let (success, failure) = (Ordering::Release, Ordering::Relaxed);
            if at.compare_exchange(word.encode(), ready.encode(), success, failure).is_ok() {
                return Ok(Some(ready));
            }
        }
        Err(Corrupt { slot })
    }

    /// The word of an outstanding slot, acquired, if its task can have it.
    fn look(&self, slot: usize) -> Result<Word, Corrupt> {
        let entry = &self.table[slot];
        let bits = self.memory.word(self.shape.word_of(slot)).load(Ordering::Acquire);
        Word::decode(bits)
            .filter(|word| word.state != State::Free)
            .filter(|word| (word.generation, word.attempt) == (entry.generation, entry.attempt))
            .ok_or(Corrupt { slot })
    }

    fn count_publications(&mut self, more: u64) {
        self.publications = self.publications.wrapping_add(more);
        // SYNC POINT publications, the releasing end: the slots' words.
        self.memory.word(PUBLICATIONS).store(self.publications, Ordering::Release);
    }
}

/// A done task. Its slot stays occupied until it is
/// [retired](Producer::retire).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a slot is free again only when it is retired"]
pub struct Completed {
    slot: usize,
    worker: WorkerId,
    /// `Done`, by `worker`.
    word: Word,
    result: TaskResult,
}

impl Completed {
    /// The slot.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Who says to have done it.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// How many workers have died over it.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.word.attempt
    }

    /// What the worker has answered: to be judged, not believed.
    #[must_use]
    pub fn result(&self) -> &TaskResult {
        &self.result
    }
}

/// A task that was taken back from a dead worker, and is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldTask {
    /// The slot.
    pub slot: usize,
    /// How many workers have died over it, this one included.
    pub attempt: u8,
    /// Whether the redo will work from the bytes that are in the buffer.
    pub bytes: Bytes,
}

/// A worker has written into the queue what no worker may write. The result of
/// the run must not be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} of the queue was overwritten")]
pub struct Corrupt {
    /// The slot.
    pub slot: usize,
}
