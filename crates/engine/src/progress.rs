//! How callers learn of progress.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::workers::WorkerNote;

/// Is told about the progress of a run, once per segment.
pub trait Progress {
    /// The run begins. `total` is the length of the input in bytes, if it is known.
    fn start(&self, total: Option<u64>);
    /// Another `bytes` of the input are done.
    fn advance(&self, bytes: u64);
    /// The number of running workers has changed.
    fn workers(&self, alive: usize) {
        let _ = alive;
    }
    /// There is something about the workers that the user should know.
    fn worker_note(&self, note: &WorkerNote) {
        let _ = note;
    }
    /// Whether the caller has given the run up. It is asked after each segment and before an
    /// output gets its name, and from then on the run ends with [`Error::Cancelled`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Ends a run that was given up.
pub(crate) fn check_cancelled(progress: &dyn Progress) -> Result<(), Error> {
    if progress.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// Ignores progress.
impl Progress for () {
    fn start(&self, _total: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
}

/// Adds up what several threads have done.
#[derive(Debug, Default)]
pub(crate) struct SharedProgress(AtomicU64);

impl SharedProgress {
    /// The bytes since the last call.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Progress for SharedProgress {
    fn start(&self, _total: Option<u64>) {}

    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}
