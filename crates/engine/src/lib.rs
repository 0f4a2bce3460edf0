//! From a file to a sealed file and back, and never anything in between.
//!
//! The modules follow a byte on its way: [`input`](Source) is read in
//! segments of 1 MiB, [`encrypt`] seals them or [`decrypt`] opens them, and
//! the [`output`](Target) collects them under no name at all until every one
//! is right, the input is known not to have changed, and the result can be
//! given its name in one step.

mod decrypt;
mod encrypt;
mod error;
mod input;
mod interrupt;
mod output;
mod work;
mod workers;

use std::path::Path;

/// Chunks that are sealed or opened and written in one go: 256 KiB, which with
/// their input stay in the processor's own cache.
///
/// It must not be a whole aligned segment either: that makes ext4 (Linux 6.18)
/// put it into page cache folios of 1 MiB, for which a virtual machine must
/// fetch cold memory from its host. 1 GiB then took 2.4 s, where pieces of 64
/// to 512 KiB took 0.43 s and `cp` 0.35 s.
const PART_CHUNKS: usize = 16;

pub use decrypt::decrypt;
pub use encrypt::encrypt;
pub use error::Error;
pub use input::Source;
pub use output::{CommitOptions, Target};
pub use workers::{
    Processes, SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerOptions, WorkerStats, worker_main,
};

/// Writes a small new file that only its owner may read, all of it or nothing.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let pending = output::PendingFile::create(path, false)?;
    pending.write_at(0, content)?;
    pending.commit(0o600, true)
}

/// How a run is to be done.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How the finished output is given its name.
    pub commit: CommitOptions,
    /// Cores that this process may use. From two on, a slow key derivation
    /// runs beside the sealing.
    pub cores: usize,
    /// The worker processes.
    pub workers: WorkerOptions,
}

/// What was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes read from the input.
    pub bytes_in: u64,
    /// Bytes written to the output.
    pub bytes_out: u64,
    /// Who helped.
    pub workers: WorkerStats,
}

/// Told how far a run has come, once a segment, in the order of the work.
pub trait Progress {
    /// The run begins; `total` is the number of input bytes, if it is known.
    fn start(&self, total: Option<u64>);
    /// `bytes` more of the input are done.
    fn advance(&self, bytes: u64);
}

/// Nobody watches.
impl Progress for () {
    fn start(&self, _total: Option<u64>) {}
    fn advance(&self, _bytes: u64) {}
}
