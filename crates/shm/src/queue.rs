//! A circular queue of tasks that loses nothing when a consumer is killed.
//!
//! There is one [`Producer`] (main), which is also the reaper, and any number of [`Consumer`]s:
//! other processes, threads, or main itself. Every slot has a [word](crate::slot), eight words of
//! task and four of result. No other state matters: the two words before the slots are a hint where
//! to begin looking, and a count of publications.
//!
//! # Who may do what
//!
//! | | may |
//! |---|---|
//! | producer | `FREE → READY`, `DONE → FREE`, write task words of a slot that is its own |
//! | consumer `w` | `READY → CLAIMED(w) → LOADED(w) → DONE(w)`, write result words while it holds the slot |
//! | reaper | `CLAIMED(w) → READY`, `LOADED(w) → READY_LOADED`, for a `w` that is dead |
//!
//! # Sync points
//!
//! Each release is paired with an acquire; the code names the pair at both ends.
//!
//! - `SYNC POINT publish`: the word that becomes `READY`, released by
//!   [`Producer::publish`], acquired by [`Consumer::claim`]. Makes visible: the
//!   task's words, and the bytes that main has put into the slot's buffer.
//! - `SYNC POINT done`: the word that becomes `DONE`, released by
//!   [`Claim::complete`], acquired by [`Producer::done`]. Makes visible: the
//!   result's words, the bytes of the slot's buffer, and that the worker has
//!   read the task, so that main may put the next one in its place.
//! - `SYNC POINT loaded`: the word that becomes `LOADED`, released by
//!   [`Claim::mark_loaded`], acquired by [`Producer::recover`], which releases
//!   it again as `READY_LOADED` for the next claim. Makes visible: the bytes
//!   that the dead worker had read into the slot's buffer.
//! - `SYNC POINT publications`: the count, released after each publication and acquired around each
//!   look through the slots; together with `SYNC POINT taken`, the release in each later step of
//!   the slot's word, which is acquired by whoever looks at the slot afterwards. They ensure that
//!   nobody goes to sleep over a task: see [`Consumer::claim`].
//!
//! # Sleeping
//!
//! The queue itself never waits. Idle consumers sleep on a counting [semaphore](crate::semaphore),
//! with one rule: *after* each publication, and *after* each [`Producer::recover`], main posts one
//! token per task that became ready, and one more per dead worker, because the dead may have taken
//! a token without a task. A consumer takes a token and then claims; if it finds nothing, it takes
//! the next token. Extra tokens only cost a search.

mod consumer;
mod producer;

pub use consumer::{Claim, Consumer, TaskRevoked};
pub use producer::{Bytes, Completed, CorruptSlot, HeldTask, Producer};

use crate::memory::Memory;

/// The number of words of a task. (The model checker uses one, since its time grows steeply with
/// each.)
pub const TASK_WORDS: usize = if cfg!(loom) { 1 } else { 8 };

/// The number of words of a result.
pub const RESULT_WORDS: usize = if cfg!(loom) { 1 } else { 4 };

/// The task for a worker. The queue does not interpret it.
///
/// Every worker can write to it. It should be a number in a plan that the workers have from
/// elsewhere, so that a worker that changes it can only make another worker do another part of the
/// same plan. The result should repeat it, so that main notices.
pub type Task = [u64; TASK_WORDS];

/// The answer of a worker. The queue does not interpret it.
pub type TaskResult = [u64; RESULT_WORDS];

/// The maximum number of slots of a queue.
pub const MAX_CAPACITY: usize = 4096;

/// How the words of a queue are laid out. Both sides must use the same, so it is agreed on outside
/// the shared memory.
///
/// The two counters and each slot have 128 bytes of their own, so that two workers do not share a
/// cache line, nor the adjacent line that the processor fetches with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLayout {
    /// Slots, from 1 to [`MAX_CAPACITY`].
    capacity: usize,
}

impl QueueLayout {
    /// The layout of a queue with `capacity` slots.
    ///
    /// # Errors
    /// If `capacity` is 0 or above [`MAX_CAPACITY`].
    pub const fn new(capacity: usize) -> Result<Self, QueueLayoutError> {
        match capacity {
            1..=MAX_CAPACITY => Ok(Self { capacity }),
            _ => Err(QueueLayoutError::Capacity(capacity)),
        }
    }

    /// The number of slots.
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.capacity
    }

    /// The number of 64-bit words that the queue needs.
    #[must_use]
    pub const fn words(self) -> usize {
        SLOTS + self.capacity * STRIDE
    }

    /// `memory`, if it is large enough.
    fn check(self, memory: &impl Memory) -> Result<(), QueueLayoutError> {
        let (words, needed) = (memory.words(), self.words());
        if words < needed { Err(QueueLayoutError::Memory { words, needed }) } else { Ok(()) }
    }

    /// The index of the word of slot `slot`.
    const fn word_of(self, slot: usize) -> usize {
        assert!(slot < self.capacity, "no such slot");
        SLOTS + slot * STRIDE
    }

    /// The index of word `index` of the task of slot `slot`.
    const fn task_of(self, slot: usize, index: usize) -> usize {
        self.word_of(slot) + 1 + index
    }

    /// The index of word `index` of the result of slot `slot`.
    const fn result_of(self, slot: usize, index: usize) -> usize {
        self.word_of(slot) + 1 + TASK_WORDS + index
    }
}

/// Why a queue is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueLayoutError {
    /// No queue can have this many slots.
    #[error("a queue has from 1 to {MAX_CAPACITY} slots, not {0}")]
    Capacity(usize),
    /// The memory is too small for the queue.
    #[error("the queue needs {needed} words of memory and got {words}")]
    Memory {
        /// Words given.
        words: usize,
        /// Words needed.
        needed: usize,
    },
}

/// Words per cache line. Words written by different processes lie in different lines.
const LINE: usize = 16;
/// The count of publications. Written by main alone.
const PUBLICATIONS: usize = 0;
/// The slot at which to begin looking. Everyone can write it, and it is only a hint: it is taken
/// modulo the capacity wherever it is read.
const FRONT: usize = LINE;
/// The first slot.
const SLOTS: usize = 2 * LINE;
/// The distance in words from one slot to the next.
const STRIDE: usize = LINE;

const _: () = assert!(1 + TASK_WORDS + RESULT_WORDS <= STRIDE);

/// Wrong versions of the algorithm, which the model checker must reject: they show that the check
/// can fail. Only builds of `ci/model.sh` and `ci/threads.sh` with `--cfg queue_mutants` have them.
/// The environment variable QUEUE_MUTANT chooses one when this crate, and no other, is compiled.
mod mutant {
    #[cfg(queue_mutants)]
    fn is_chosen(name: &str) -> bool {
        option_env!("QUEUE_MUTANT") == Some(name)
    }

    #[cfg(not(queue_mutants))]
    const fn is_chosen(_: &str) -> bool {
        false
    }

    /// A claim takes the slot first and writes its name afterwards.
    pub(super) fn unnamed_claim() -> bool {
        is_chosen("unnamed_claim")
    }

    /// The reaper overlooks slots whose bytes were loaded.
    pub(super) fn forgets_loaded() -> bool {
        is_chosen("forgets_loaded")
    }

    /// The reaper lets loaded bytes be read again.
    pub(super) fn rereads() -> bool {
        is_chosen("rereads")
    }

    /// A consumer that finds nothing does not check whether something was published meanwhile.
    pub(super) fn looks_once() -> bool {
        is_chosen("looks_once")
    }

    /// A consumer that comes too late does not acquire what it sees.
    pub(super) fn relaxed_look() -> bool {
        is_chosen("relaxed_look")
    }

    /// The task is published without a release.
    pub(super) fn relaxed_publish() -> bool {
        is_chosen("relaxed_publish")
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
