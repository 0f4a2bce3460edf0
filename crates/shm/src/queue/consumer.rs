//! The consumer side: claim, load, complete.

use super::{
    FRONT, PUBLICATIONS, QueueLayout, QueueLayoutError, RESULT_WORDS, TASK_WORDS, Task, TaskResult,
    mutant,
};
use crate::memory::{Memory, Ordering};
use crate::slot::{State, Word, WorkerId};

/// One worker's access to the queue.
#[derive(Debug)]
pub struct Consumer<M> {
    memory: M,
    layout: QueueLayout,
    worker: WorkerId,
}

impl<M: Memory> Consumer<M> {
    /// Gives worker `worker` access to the queue in `memory`.
    ///
    /// # Errors
    /// If `memory` is too small for `layout`.
    pub fn new(memory: M, layout: QueueLayout, worker: WorkerId) -> Result<Self, QueueLayoutError> {
        layout.check(&memory)?;
        Ok(Self { memory, layout, worker })
    }

    /// Claims a task if one is ready.
    ///
    /// The caller holds a token, so this must not return `None` while a task is ready that nobody
    /// else will be woken for. One pass over the slots does not guarantee that: a task may be
    /// published in a slot that the pass has already visited, while another consumer uses that
    /// task's token to take the task that this one was woken for. So the pass is repeated if
    /// something was published meanwhile.
    ///
    /// So `None` means that at some moment during the call every task published by then had been
    /// taken. Each later publication posts its own token later, so there are always at least as
    /// many tokens as tasks to take. Without the repetition (`looks_once`) the model checker finds
    /// a consumer that sleeps although a task is ready.
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

    /// Claims a task in one pass over the slots.
    ///
    /// For main, which holds no token and looks again anyway. A worker that increments the count of
    /// publications must not keep it in a loop.
    #[must_use]
    pub fn claim_once(&self) -> Option<Claim<'_, M>> {
        let capacity = self.layout.capacity();
        let hint = self.memory.word(FRONT).load(Ordering::Relaxed);
        let front = (hint % capacity as u64) as usize;
        (0..capacity).find_map(|step| self.claim_slot((front + step) % capacity))
    }

    /// Claims the task in `slot`, if it is ready and nobody else is faster.
    fn claim_slot(&self, slot: usize) -> Option<Claim<'_, M>> {
        let at = self.layout.word_of(slot);
        // SYNC POINT taken, the acquiring end: what the one that took the task knew, if one did.
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
            *value = self.memory.word(self.layout.task_of(slot, index)).load(Ordering::Relaxed);
        }
        Some(Claim { consumer: self, slot, word, task })
    }

    /// The number of publications so far.
    fn publications(&self) -> u64 {
        // SYNC POINT publications, the acquiring end: the slots published so
        // far are seen as ready, or as what became of them.
        self.memory.word(PUBLICATIONS).load(Ordering::Acquire)
    }
}

/// A claimed task.
///
/// Dropping it without completing it leaves the slot as if this worker had died: main takes it back
/// only when it recovers the worker.
#[derive(Debug)]
#[must_use = "a task that is not completed is only taken back when this worker is dead"]
pub struct Claim<'a, M> {
    consumer: &'a Consumer<M>,
    slot: usize,
    /// The slot's word while this claim is valid: `Claimed` or `Loaded`, by this worker.
    word: Word,
    task: Task,
}

impl<M: Memory> Claim<'_, M> {
    /// The number of the slot, from 0, which determines the buffer of the task.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The generation of the slot: which of its tasks this is.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.word.generation
    }

    /// How many workers have died over this task.
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.word.attempt
    }

    /// The words of the task as they were in shared memory when it was claimed. Main should use
    /// [`Producer::task`](super::Producer::task) instead.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Whether the task's bytes are in the slot's buffer. If they are there before
    /// [`mark_loaded`](Self::mark_loaded), main or a dead predecessor has put them there, and
    /// **these must be used**: other bytes must not be encrypted under the same number.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        matches!(self.word.state, State::Loaded(_))
    }

    /// Marks the task's bytes as loaded into the slot's buffer, where they stay. Must be called
    /// before they are used. Does nothing if they are marked already.
    ///
    /// # Errors
    /// If this worker was considered dead and the task given to another.
    pub fn mark_loaded(&mut self) -> Result<(), TaskRevoked> {
        match self.word.loaded() {
            // SYNC POINT loaded, the releasing end: the bytes in the buffer.
            Some(loaded) => self.advance(loaded),
            None => Ok(()),
        }
    }

    /// Publishes the result and gives up the slot.
    ///
    /// # Errors
    /// If this worker was considered dead and the task given to another, whose result counts. (If
    /// the death was not certain, words of this result may be mixed into the other's: the slot's
    /// word is protected from a worker that is still alive, its result is not.)
    ///
    /// # Panics
    /// If the task's bytes were not [marked](Self::mark_loaded) as loaded.
    pub fn complete(mut self, result: &TaskResult) -> Result<(), TaskRevoked> {
        let done = self.word.done().expect("a task is completed after its bytes were loaded");
        let memory = &self.consumer.memory;
        // Stops most workers that come too late from overwriting the result.
        let at = self.consumer.layout.word_of(self.slot);
        if memory.word(at).load(Ordering::Relaxed) != self.word.encode() {
            return Err(TaskRevoked);
        }
        for (index, value) in result.iter().enumerate().take(RESULT_WORDS) {
            let at = self.consumer.layout.result_of(self.slot, index);
            memory.word(at).store(*value, Ordering::Relaxed);
        }
        // SYNC POINT done, the releasing end: the result and the buffer.
        self.advance(done)
    }

    /// Makes one transition of the slot's word, with release ordering; fails if the word no longer
    /// belongs to this claim.
    fn advance(&mut self, next: Word) -> Result<(), TaskRevoked> {
        let at = self.consumer.layout.word_of(self.slot);
        let (from, to) = (self.word.encode(), next.encode());
        self.consumer
            .memory
            .word(at)
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .map_err(|_| TaskRevoked)?;
        self.word = next;
        Ok(())
    }
}

/// The task was taken back from this worker, which was considered dead. It should stop: main
/// expects nothing more from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was taken back from this worker and given to another")]
pub struct TaskRevoked;
