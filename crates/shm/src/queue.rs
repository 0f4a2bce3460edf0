//! A circular queue of tasks that loses nothing when a consumer is killed.
//!
//! One [`Producer`] (main), which is also the reaper; any number of
//! [`Consumer`]s, in other processes, in threads, or main itself. Every slot
//! has a [word](crate::slot), eight words of task and four of result. There is
//! no other state that matters: the two words before the slots are a hint where
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
//! Each release has an acquire that it is paired with; the code names them at
//! both ends.
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
//! - `SYNC POINT publications`: the count, released after each publication and
//!   acquired around each look through the slots; together with
//!   `SYNC POINT taken`, the release in each later step of the slot's word,
//!   which is acquired by whoever looks at the slot afterwards. They ensure that nobody goes to sleep over a
//!   task: see [`Consumer::claim`].
//!
//! # Sleeping
//!
//! The queue itself never waits. Beside it goes a counting
//! [semaphore](crate::semaphore) on which idle consumers sleep, with one rule:
//! *after* each publication, and *after* each [`Producer::recover`], main posts
//! one token per task that became ready, and one more per dead worker, because
//! the dead may have taken a token without a task. A consumer takes a token and
//! then claims; finding nothing, it takes the next token. Too many tokens only
//! cost a look.

mod consumer;
mod producer;

pub use consumer::{Claim, Consumer, Stale};
pub use producer::{Bytes, Completed, Corrupt, HeldTask, Producer};

use crate::memory::Memory;

/// Words of a task. (One is enough for the model checker, whose time grows
/// steeply with each.)
pub const TASK_WORDS: usize = if cfg!(loom) { 1 } else { 8 };

/// Words of a result.
pub const RESULT_WORDS: usize = if cfg!(loom) { 1 } else { 4 };

/// What a worker is told. The queue does not look into it.
///
/// It lies where every worker can write. Let it be a number out of a plan that
/// the workers have from elsewhere, so that whoever changes it can only have
/// another worker do another part of the same plan; and have the result repeat
/// it, so that main notices.
pub type Task = [u64; TASK_WORDS];

/// What a worker answers. The queue does not look into it.
pub type TaskResult = [u64; RESULT_WORDS];

/// The most slots a queue may have.
pub const MAX_CAPACITY: usize = 4096;

/// How the words of a queue are laid out: equal on both sides, so it is agreed
/// upon outside of the shared memory.
///
/// The two counters and each slot have 128 bytes of their own, so that two
/// workers do not fight for a cache line, nor for the neighbour that the
/// processor fetches along with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Slots, from 1 to [`MAX_CAPACITY`].
    capacity: usize,
}

impl Shape {
    /// The shape of a queue with `capacity` slots.
    ///
    /// # Errors
    /// When `capacity` is 0 or above [`MAX_CAPACITY`].
    pub const fn new(capacity: usize) -> Result<Self, ShapeError> {
        match capacity {
            1..=MAX_CAPACITY => Ok(Self { capacity }),
            _ => Err(ShapeError::Capacity(capacity)),
        }
    }

    /// Slots.
    #[must_use]
    pub const fn capacity(self) -> usize {
        self.capacity
    }

    /// 64-bit words that the queue needs.
    #[must_use]
    pub const fn words(self) -> usize {
        SLOTS + self.capacity * STRIDE
    }

    /// `memory`, if it is large enough.
    fn check(self, memory: &impl Memory) -> Result<(), ShapeError> {
        let (words, needed) = (memory.words(), self.words());
        if words < needed { Err(ShapeError::Memory { words, needed }) } else { Ok(()) }
    }

    /// Where slot `slot` has its word.
    const fn word_of(self, slot: usize) -> usize {
        assert!(slot < self.capacity, "no such slot");
        SLOTS + slot * STRIDE
    }

    /// Where slot `slot` has word `index` of its task.
    const fn task_of(self, slot: usize, index: usize) -> usize {
        self.word_of(slot) + 1 + index
    }

    /// Where slot `slot` has word `index` of its result.
    const fn result_of(self, slot: usize, index: usize) -> usize {
        self.word_of(slot) + 1 + TASK_WORDS + index
    }
}

/// A queue that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// No queue has this many slots.
    #[error("a queue has from 1 to {MAX_CAPACITY} slots, not {0}")]
    Capacity(usize),
    /// The memory does not hold the queue.
    #[error("the queue needs {needed} words of memory and got {words}")]
    Memory {
        /// Words given.
        words: usize,
        /// Words needed.
        needed: usize,
    },
}

/// Words in a line: what is written by different processes lies in different
/// lines.
const LINE: usize = 16;
/// The count of publications. Written by main alone.
const PUBLICATIONS: usize = 0;
/// The slot at which to begin looking. Written by everybody, a hint and nothing
/// else: it is taken modulo the capacity wherever it is read.
const FRONT: usize = LINE;
/// The first slot.
const SLOTS: usize = 2 * LINE;
/// Words from one slot to the next.
const STRIDE: usize = LINE;

const _: () = assert!(1 + TASK_WORDS + RESULT_WORDS <= STRIDE);

/// Wrong versions of the algorithm, which the model checker must refuse: they
/// show that the check can fail. Only what `ci/model.sh` and `ci/threads.sh` build
/// with `--cfg queue_mutants` has them; the environment variable QUEUE_MUTANT then
/// chooses one while this crate, and nothing else, is compiled.
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

    /// The reaper has loaded bytes read again.
    pub(super) fn rereads() -> bool {
        is_chosen("rereads")
    }

    /// A consumer that finds nothing does not look whether something was
    /// published meanwhile.
    pub(super) fn looks_once() -> bool {
        is_chosen("looks_once")
    }

    /// A consumer does not acquire what it sees when it comes too late.
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
