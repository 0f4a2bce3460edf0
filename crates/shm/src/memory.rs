//! What the queue is built upon: an array of 64-bit atomics.
//!
//! The queue does not care where its words lie. In production they lie in a
//! [`Region`](crate::Region) that several processes map; in one process with
//! threads they can lie on the heap; and under `--cfg loom` the atomics are
//! those of the model checker, so that the very code that ships is the code
//! that is checked.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU64, Ordering};

use std::sync::Arc;

/// An array of 64-bit atomics, all zero in the beginning.
pub trait Memory {
    /// The word at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`words`](Self::words).
    fn word(&self, index: usize) -> &AtomicU64;

    /// How many words there are.
    fn words(&self) -> usize;
}

impl<M: Memory + ?Sized> Memory for Arc<M> {
    fn word(&self, index: usize) -> &AtomicU64 {
        (**self).word(index)
    }

    fn words(&self) -> usize {
        (**self).words()
    }
}

/// Words on the heap of one process, for threads, tests and models.
#[derive(Debug)]
pub struct HeapWords(Box<[AtomicU64]>);

impl HeapWords {
    /// `words` words, all zero.
    #[must_use]
    pub fn new(words: usize) -> Self {
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Memory for HeapWords {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0[index]
    }

    fn words(&self) -> usize {
        self.0.len()
    }
}
