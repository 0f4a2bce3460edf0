//! The consumers' side: claim, load, complete.

use super::{
    FRONT, PUBLICATIONS, RESULT_WORDS, Shape, ShapeError, TASK_WORDS, Task, TaskResult, mutant,
};
use crate::memory::{Memory, Ordering};
use crate::slot::{State, Word, WorkerId};

/// One worker's access to the queue.
#[derive(Debug)]
pub struct Consumer<M> {
    memory: M,
    shape: Shape,
    worker: WorkerId,
}

impl<M: Memory> Consumer<M> {
    /// Worker `worker`'s access to the queue in `memory`.
    ///
    /// # Errors
    /// When `memory` is too small for `shape`.
    pub fn new(memory: M, shape: Shape, worker: WorkerId) -> Result<Self, ShapeError> {
        shape.check(&memory)?;
        Ok(Self { memory, shape, worker })
    }

    /// Takes a task, if any is ready.
    ///
    /// To be called with a token in hand, and so it must not come back with
    /// nothing while a task is ready that nobody else will be woken for. One
    /// look through the slots is not enough for that: a task may be published
    /// in a slot that the look has already passed, and its token be used by
    /// another consumer for the very task that this one was woken for. So the
    /// look is repeated when something was published meanwhile.
    ///
    /// Hence: `None` means that at some moment during the call every task
    /// published by then had been taken. Each later publication posts its own
    /// token later, and so there are always as many tokens on their way as
    /// there are tasks to take. The model checker finds the sleeper if the
    /// repetition is left out (`looks_once`).
    #[must_use]
    pub fn claim(&self) -> Option<Claim<'_, M>> {
        loop {
            let before = self.publications();
            if let Some(claim) = self.claim_once() {
                return Some(claim);
            }
            if mutant::looks_once() || self.publications() == before {
                return None;
            }
        }
    }

    /// Takes a task, looking once through the slots.
    ///
    /// For main, which holds no token and looks again anyway, and which must
    /// not be kept in a loop by a worker that counts publications up.
    #[must_use]
    pub fn claim_once(&self) -> Option<Claim<'_, M>> {
        let capacity = self.shape.capacity();
        let hint = self.memory.word(FRONT).load(Ordering::Relaxed);
        let front = (hint % capacity as u64) as usize;
        (0..capacity).find_map(|step| self.claim_slot((front + step) % capacity))
    }

    /// Takes the task in `slot`, if it is ready and nobody else is faster.
    fn claim_slot(&self, slot: usize) -> Option<Claim<'_, M>> {
        let at = self.shape.word_of(slot);
        // SYNC POINT taken, the acquiring end: what was known to the one that
        // took the task, if one did.
        let look = if mutant::relaxed_look() { Ordering::Relaxed } else { Ordering::Acquire };
        let bits = self.memory.word(at).load(look);
        let ready = Word::decode(bits)?;
        let word = ready.claimed(self.worker)?;
        if mutant::unnamed_claim() {
            let nobody = ready.claimed(WorkerId::new(u16::MAX))?;
            let swap = (Ordering::AcqRel, Ordering::Acquire);
            self.memory.word(at).compare_exchange(bits, nobody.encode(), swap.0, swap.1).ok()?;
            self.memory.word(at).store(word.encode(), Ordering::Release);
        } else {
            // SYNC POINT publish, the acquiring end: the task's words, and the
            // bytes in the buffer. SYNC POINT taken, the releasing end.
            self.memory
                .word(at)
                .compare_exchange(bits, word.encode(), Ordering::AcqRel, look)
                .ok()?;
        }
        self.memory.word(FRONT).store(slot as u64 + 1, Ordering::Relaxed);
        let mut task = [0; TASK_WORDS];
        for (index, value) in task.iter_mut().enumerate() {
            *value = self.memory.word(self.shape.task_of(slot, index)).load(Ordering::Relaxed);
        }
        Some(Claim { consumer: self, slot, word, task })
    }

    /// Publications so far.
    fn publications(&self) -> u64 {
        // SYNC POINT publications, the acquiring end: the slots published so
        // far are seen as ready, or as what became of them.
        self.memory.word(PUBLICATIONS).load(Ordering::Acquire)
    }
}

/// A task in hand.
///
/// Dropping it without completing it leaves the slot as if this worker had
/// died: it is taken back when main recovers the worker, and not before.
#[derive(Debug)]
#[must_use = "a task that is not completed is only taken back when this worker is dead"]
pub struct Claim<'a, M> {
    consumer: &'a Consumer<M>,
    slot: usize,
    /// What the slot's word is as long as this claim is good: `Claimed` or
    /// `Loaded`, by this worker.
    word: Word,
    task: Task,
}

impl<M: Memory> Claim<'_, M> {
    /// The slot, from 0: it tells which buffer belongs to the task.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Which of the slot's tasks this is.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.word.generation
    }

    /// How many workers have died over this task.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.word.attempt
    }

    /// The task's words, as they lay in shared memory when it was claimed.
    /// Main should rather look at [`Producer::task`](super::Producer::task).
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Whether the task's bytes are in the slot's buffer. If this is so before
    /// [`mark_loaded`](Self::mark_loaded), main or a dead predecessor has put
    /// them there, and **these must be used**: other bytes may not be sealed
    /// under the same number.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        matches!(self.word.state, State::Loaded(_))
    }

    /// Says that the task's bytes are in the slot's buffer and stay there. Must
    /// come before anything is made of them. Does nothing if it was said
    /// before.
    ///
    /// # Errors
    /// When this worker was taken for dead and the task given to another.
    pub fn mark_loaded(&mut self) -> Result<(), Stale> {
        match self.word.loaded() {
            // SYNC POINT loaded, the releasing end: the bytes in the buffer.
            Some(loaded) => self.advance(loaded),
            None => Ok(()),
        }
    }

    /// Hands the result over, and the slot with it.
    ///
    /// # Errors
    /// When this worker was taken for dead and the task given to another; the
    /// other's result counts. (If the death was not certain, the other may find
    /// words of this result among its own: the slot's word is protected from
    /// the undead, its result is not.)
    ///
    /// # Panics
    /// When the task's bytes were not [marked](Self::mark_loaded) as loaded.
    pub fn complete(mut self, result: &TaskResult) -> Result<(), Stale> {
        let done = self.word.done().expect("a task is completed after its bytes were loaded");
        let memory = &self.consumer.memory;
        // Keeps all but the latest of late comers from scribbling.
        let at = self.consumer.shape.word_of(self.slot);
        if memory.word(at).load(Ordering::Relaxed) != self.word.encode() {
            return Err(Stale);
        }
        for (index, value) in result.iter().enumerate().take(RESULT_WORDS) {
            let at = self.consumer.shape.result_of(self.slot, index);
            memory.word(at).store(*value, Ordering::Relaxed);
        }
        // SYNC POINT done, the releasing end: the result and the buffer.
        self.advance(done)
    }

    /// One step of the slot's word, released; fails if the word is not this
    /// claim's any more.
    fn advance(&mut self, next: Word) -> Result<(), Stale> {
        let at = self.consumer.shape.word_of(self.slot);
        let (from, to) = (self.word.encode(), next.encode());
        self.consumer
            .memory
            .word(at)
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .map_err(|_| Stale)?;
        self.word = next;
        Ok(())
    }
}

/// The task was taken back from this worker, which must have looked dead. It
/// should stop: main expects nothing from it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was taken back from this worker and given to another")]
pub struct Stale;
