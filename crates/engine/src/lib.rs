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

mod batch;
mod batch_item;
mod confined;
mod damage_scan;
mod decrypt;
mod encrypt;
mod engine;
mod error;
mod error_context;
mod failure;
mod fault_points;
mod file_io;
mod header;
mod in_process;
mod input;
mod inspect;
mod interrupt;
mod job;
mod journal;
mod memory;
mod named;
mod output;
mod parser_cipher;
mod part_io;
mod payload;
mod pipeline;
mod progress;
mod range;
mod rekey;
mod reread;
mod summary;
mod thread_pool;
mod transform;
mod try_keys;
mod umask;
mod workers;

pub use batch_item::{BatchItem, Destination};
pub use confined::{Confined, Orders, Stream};
pub use cryptstream_shm::secrets::{lock as lock_memory, refused as memory_refused};
pub use cryptstream_shm::stdio::was_closed;
pub use cryptstream_shm::{SecretScope, WipingAllocator};
pub use damage_scan::{Damage, DamageReport, End, salvage, scan_for_damage};
pub use engine::Engine;
pub use error::Error;
#[cfg(feature = "fault-hooks")]
pub use fault_points::{Point as FaultPoint, set_fault_hook};
pub use input::{PipeWriter, Source, is_leftover, leftover_of, times_of};
pub use inspect::{Extent, Inspection};
pub use interrupt::{
    Arrived, Held, OnInterrupt, hold_interruptions, on_interrupt, pending as pending_signal,
    say_on_interrupt, unignored_signals,
};
pub use memory::{MemoryLimit, available_memory};
pub use named::{Refused, open_folder};
pub use output::{
    CommitOptions, Dropped, Followed, StagingFolder, Target, follow_mode, is_refusal,
    write_private, write_public,
};
pub use progress::Progress;
pub use range::{ByteRange, RangeSummary};
pub use rekey::{RekeyMethod, RekeySummary, Rekeying};
pub use summary::{Form, Summary};
pub use umask::{keep_owner_bits, umask};
#[cfg(feature = "fault-hooks")]
pub use workers::enter_sandbox;
pub use workers::{
    Parser, Processes, Profile, SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerNote,
    WorkerOptions, WorkerStats, die_with_parent, lock_in, worker_main,
};

/// Keeps what the caller has left open from the programs that this process starts.
pub use cryptstream_shm::descriptors::keep_from_programs;

/// What tests of the sandbox try.
#[cfg(feature = "fault-hooks")]
pub use cryptstream_shm::probe;
