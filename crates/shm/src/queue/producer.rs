//! The producer side, which is also the reaper: publish, collect, retire, recover.

use std::collections::VecDeque;

use super::{
    FRONT, PUBLICATIONS, QueueLayout, QueueLayoutError, RESULT_WORDS, TASK_WORDS, Task, TaskResult,
    mutant,
};
use crate::memory::{Memory, Ordering};
use crate::slot::{State, Word, WorkerId};

/// Main's end of the queue. There must be only one.
///
/// It keeps its own table of what it has published, and accepts a slot's word only if it fits the
/// table.
#[derive(Debug)]
pub struct Producer<M> {
    pub(super) memory: M,
    layout: QueueLayout,
    /// One entry for each slot.
    table: Vec<Entry>,
    /// The slots with a task that is not retired, in the order in which they
    /// were published.
    outstanding: VecDeque<usize>,
    /// The expected value of the shared count.
    publications: u64,
    /// The slot to try first for the next task: the one after the last published.
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
    /// No: the worker reads them.
    Absent,
    /// Yes: main has put them there.
    Present,
}

impl<M: Memory> Producer<M> {
    /// Creates the producer of the queue in `memory`, which must be all zero.
    ///
    /// # Errors
    /// If `memory` is too small for `layout`.
    pub fn new(memory: M, layout: QueueLayout) -> Result<Self, QueueLayoutError> {
        layout.check(&memory)?;
        let empty =
            Entry { is_outstanding: false, generation: 0, attempt: 0, task: [0; TASK_WORDS] };
        Ok(Self {
            memory,
            layout,
            table: vec![empty; layout.capacity()],
            outstanding: VecDeque::with_capacity(layout.capacity()),
            publications: 0,
            next: 0,
        })
    }

    /// The layout of the queue.
    #[must_use]
    pub fn layout(&self) -> QueueLayout {
        self.layout
    }

    /// The number of tasks that are published and not retired.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// A slot without a task, in circular order; `None` if the queue is full.
    #[must_use]
    pub fn free_slot(&self) -> Option<usize> {
        let capacity = self.layout.capacity();
        let in_order = (0..capacity).map(|step| (self.next + step) % capacity);
        in_order.into_iter().find(|&slot| !self.table[slot].is_outstanding)
    }

    /// Publishes `task` in `slot`, where anyone can claim it. Post one token afterwards.
    ///
    /// # Panics
    /// If `slot` has a task already, or is not in this queue.
    pub fn publish(&mut self, slot: usize, task: &Task, bytes: Bytes) {
        let entry = &mut self.table[slot];
        assert!(!entry.is_outstanding, "slot {slot} has a task already");
        let generation = entry.generation.wrapping_add(1);
        *entry = Entry { is_outstanding: true, generation, attempt: 0, task: *task };
        self.outstanding.push_back(slot);
        self.next = (slot + 1) % self.layout.capacity();

        for (index, value) in task.iter().enumerate() {
            self.memory.word(self.layout.task_of(slot, index)).store(*value, Ordering::Relaxed);
        }
        let word = Word::published(generation, bytes == Bytes::Present);
        // SYNC POINT publish, the releasing end: the task, and what main has
        // written into the buffer.
        let order = if mutant::relaxed_publish() { Ordering::Relaxed } else { Ordering::Release };
        self.memory.word(self.layout.word_of(slot)).store(word.encode(), order);
        self.count_publications(1);
    }

    /// The task in `slot` according to main's table, not to shared memory; `None` if there is none.
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

    /// The completed task in `slot`; `None` if it is not done, or if there is none.
    ///
    /// # Errors
    /// If the slot's word is invalid for this task.
    pub fn done(&self, slot: usize) -> Result<Option<Completed>, CorruptSlot> {
        if !self.table[slot].is_outstanding {
            return Ok(None);
        }
        // SYNC POINT done, the acquiring end: the result and the buffer.
        let word = self.look(slot)?;
        let State::Done(worker) = word.state else { return Ok(None) };
        let mut result = [0; RESULT_WORDS];
        for (index, value) in result.iter_mut().enumerate() {
            *value = self.memory.word(self.layout.result_of(slot, index)).load(Ordering::Relaxed);
        }
        Ok(Some(Completed { slot, worker, word, result }))
    }

    /// The first completed task in the order of publication; `None` if there is none.
    ///
    /// # Errors
    /// If a slot's word is invalid for its task.
    pub fn first_done(&self) -> Result<Option<Completed>, CorruptSlot> {
        self.outstanding.iter().find_map(|&slot| self.done(slot).transpose()).transpose()
    }

    /// Frees the slot of a completed task. Its result and the slot's buffer must have been used
    /// before.
    ///
    /// # Panics
    /// If `completed` comes from another queue.
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
        // SYNC POINT taken, by way of main: whoever finds the slot free also sees what has been
        // published so far.
        self.memory.word(self.layout.word_of(slot)).store(free.encode(), Ordering::Release);
    }

    /// The tasks that `worker` holds, and whether their bytes are loaded. If the worker is
    /// certainly dead, [`recover`](Self::recover) will take these back.
    ///
    /// # Errors
    /// If a slot's word is invalid for its task.
    pub fn held(&self, worker: WorkerId) -> Result<Vec<HeldTask>, CorruptSlot> {
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

    /// Whether any task is held. If every worker is certainly dead and was recovered, and main
    /// works on none itself, then a worker has forged a word.
    ///
    /// # Errors
    /// If a slot's word is invalid for its task.
    pub fn is_any_held(&self) -> Result<bool, CorruptSlot> {
        for &slot in &self.outstanding {
            if self.look(slot)?.holder().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes back the tasks of `worker`, which must be certainly dead, and makes them ready again.
    /// Post one token for each afterwards, and one for the death.
    ///
    /// # Errors
    /// If a slot's word is invalid for its task.
    pub fn recover(&mut self, worker: WorkerId) -> Result<Vec<HeldTask>, CorruptSlot> {
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
            // Tasks that are redone are older than those that are ready, so consumers look there
            // first.
            self.memory.word(FRONT).store(first.slot as u64, Ordering::Relaxed);
            self.count_publications(held.len() as u64);
        }
        Ok(held)
    }

    /// Takes `slot` back if `worker` holds it. Returns the slot's new word.
    fn recover_slot(&self, slot: usize, worker: WorkerId) -> Result<Option<Word>, CorruptSlot> {
        // For a dead worker one attempt is enough. A worker that is still alive can make two
        // transitions meanwhile, from `CLAIMED` to `LOADED` to `DONE`.
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
            let at = self.memory.word(self.layout.word_of(slot));
            // SYNC POINT publish, the releasing end, and SYNC POINT loaded
            // handed on: whoever claims the slot next sees those bytes.
            let (success, failure) = (Ordering::Release, Ordering::Relaxed);
            if at.compare_exchange(word.encode(), ready.encode(), success, failure).is_ok() {
                return Ok(Some(ready));
            }
        }
        Err(CorruptSlot { slot })
    }

    /// The word of an outstanding slot, with acquire ordering, if it is valid for its task.
    fn look(&self, slot: usize) -> Result<Word, CorruptSlot> {
        let entry = &self.table[slot];
        let bits = self.memory.word(self.layout.word_of(slot)).load(Ordering::Acquire);
        Word::decode(bits)
            .filter(|word| word.state != State::Free)
            .filter(|word| (word.generation, word.attempt) == (entry.generation, entry.attempt))
            .ok_or(CorruptSlot { slot })
    }

    fn count_publications(&mut self, more: u64) {
        self.publications = self.publications.wrapping_add(more);
        // SYNC POINT publications, the releasing end: the slots' words.
        self.memory.word(PUBLICATIONS).store(self.publications, Ordering::Release);
    }
}

/// A completed task. Its slot stays occupied until it is [retired](Producer::retire).
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

    /// The worker that claims to have done it.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// How many workers have died over it.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.word.attempt
    }

    /// The answer of the worker, which is untrusted.
    #[must_use]
    pub fn result(&self) -> &TaskResult {
        &self.result
    }
}

/// A task that a worker holds, or that was taken back from a dead worker and is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldTask {
    /// The slot.
    pub slot: usize,
    /// How many workers have died over it, including this one.
    pub attempt: u8,
    /// Whether its bytes are in the buffer, so that a redo uses these.
    pub bytes: Bytes,
}

/// A worker has written something into the queue that no worker may write. The result of the run
/// must not be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} of the queue was overwritten")]
pub struct CorruptSlot {
    /// The slot.
    pub slot: usize,
}
