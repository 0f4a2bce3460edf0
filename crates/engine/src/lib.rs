//! From a file to a sealed file and back, and never anything in between.
//!
//! The modules follow a byte on its way. [`input`](Source) is cut into segments
//! of 1 MiB, by `encrypt` or `decrypt`, which deal with what comes before them.
//! The [`engine`](Engine) does them alone, or sends them through a `flow` to
//! its `workers`; what is done to one is in `job`. The [`output`](Target)
//! collects them under no name at all until every one is right, the input is
//! known not to have changed, and the result can be given its name in one
//! step. `many` does the same for several files at a time; `range` opens a part
//! of one.
//! `inspect` and `survey` look at what there is: from outside, and chunk by chunk.

mod alone;
mod confined;
mod decrypt;
mod encrypt;
mod engine;
mod error;
mod flow;
mod hands;
mod input;
mod inspect;
mod interrupt;
mod job;
mod many;
mod memory;
mod named;
mod output;
mod range;
mod rekey;
mod reread;
mod survey;
mod trial;
mod workers;

use std::path::Path;

pub use confined::{Confined, Orders, Stream};
use cryptstream_format::Format;
pub use cryptstream_shm::secrets::{lock as lock_memory, refused as memory_refused};
pub use cryptstream_shm::stdio::was_closed;
pub use cryptstream_shm::{SecretScope, WipingAllocator};
pub use engine::Engine;
pub use error::Error;
pub use input::{Feed, Source, is_leftover, leftover_of, times_of};
pub use inspect::{Extent, Inspection};
pub use interrupt::{
    Arrived, Held, OnInterrupt, hold_interruptions, on_interrupt, pending as pending_signal,
    say_on_interrupt, unignored_signals,
};
pub use many::{Destination, Item};
pub use memory::{MemoryLimit, available_memory};
pub use named::{Refused, open_folder};
use output::Permissions;
pub use output::{
    CommitOptions, Dropped, Followed, StagingFolder, Target, follow_mode, is_refusal,
    keep_owner_bits, umask,
};
pub use range::{ByteRange, RangeSummary};
pub use rekey::{RekeyMethod, RekeySummary, Rekeying};
pub use survey::{Damage, End, Survey, salvage};
#[cfg(feature = "fault-hooks")]
pub use workers::{FaultPoint, enter_sandbox, set_fault_hook};
pub use workers::{
    Parser, Processes, Profile, SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerNote,
    WorkerOptions, WorkerStats, die_with_parent, lock_in, worker_main,
};

/// Keeps what the caller has left open from the programs that this process starts.
pub use cryptstream_shm::descriptors::keep_from_programs;

/// What tests of the sandbox try.
#[cfg(feature = "fault-hooks")]
pub use cryptstream_shm::probe;

/// Writes a small new file that only its owner may read, all of it or nothing; or to the
/// pipe, device or open descriptor that `path` names.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    output::write_small(path, content, false, Permissions::Private, true)
}

/// Writes a small file with the permission bits that new files usually get,
/// all of it or nothing. With `may_replace`, what stands there is replaced. Pipes, devices
/// and open descriptors are written to.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_public(path: &Path, content: &[u8], may_replace: bool) -> Result<(), Error> {
    output::write_small(path, content, may_replace, Permissions::AsNewFile(0o666), false)
}

/// How a sealed file is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As bytes, in this format.
    Binary(Format),
    /// As text: in age's format, in its ASCII armor.
    Armored,
}

impl Form {
    /// The format, of what is in the armor too.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Binary(format) => format,
            Self::Armored => Format::Age,
        }
    }
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        Self::Binary(format)
    }
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The format that was written or read.
    pub format: Format,
    /// Whether that was in ASCII armor.
    pub is_armored: bool,
    /// Bytes read from the input, the armor's text included.
    pub bytes_in: u64,
    /// Bytes written to the output, the armor's text included.
    pub bytes_out: u64,
    /// Who helped.
    pub workers: WorkerStats,
    /// What the output has not got of its input.
    pub dropped: Dropped,
}

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
