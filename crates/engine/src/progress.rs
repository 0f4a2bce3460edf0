//! How callers learn how far a run has come.

use crate::workers::WorkerNote;

/// Told how far a run has come, once a segment, in the order of the work.
pub trait Progress {
    /// The run begins; `total` is the number of input bytes, if it is known.
    fn start(&self, total: Option<u64>);
    /// `bytes` more of the input are done.
    fn advance(&self, bytes: u64);
    /// So many workers are alive and at work.
    fn workers(&self, alive: usize) {
        let _ = alive;
    }
    /// Something about the workers that the user should know.
    fn worker_note(&self, note: &WorkerNote) {
        let _ = note;
    }
}

/// Nobody watches.
impl Progress for () {
    fn start(&self, _total: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
}
