//! The memory of the queue: an array of 64-bit atomics.
//!
//! The queue works with any such memory. In production it is a [`Region`](crate::Region) that
//! several processes map. Threads of one process can use the heap. Under `--cfg loom` the atomics
//! are those of the model checker, so the code that ships is the code that is checked.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU64, Ordering};

use std::sync::Arc;

/// An array of 64-bit atomics, initially zero.
pub trait Memory {
    /// The word at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`words`](Self::words).
    fn word(&self, index: usize) -> &AtomicU64;

    /// The number of words.
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
