//! Encrypts and decrypts files, pipes and many files at a time.
//!
//! An [`Engine`] does the work. It gets a request, [`Encrypt`] or [`Decrypt`], and reads a
//! [`Source`], writes a [`Target`], and returns a [`Summary`] or an [`Error`] that names
//! the file and the place. Recipients and identities come from `cryptstream-format` and
//! `cryptstream-keys`. This crate prints nothing and reads no keys.
//!
//! ```
//! use std::io::Read;
//!
//! use cryptstream_engine::{Decrypt, Encrypt, Engine};
//! use cryptstream_format::x25519::SecretKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = |name: &str| folder.path().join(name);
//! # std::fs::write(path("a"), "some text")?;
//! let key = SecretKey::generate()?;
//! let mut engine = Engine::builder().build();
//! engine.encrypt(Encrypt::file(path("a")).to(path("a.enc")).recipients(&[&key.to_public()]))?;
//! engine.decrypt(Decrypt::file(path("a.enc")).to(path("b")).identities(&[&key]))?;
//!
//! let mut text = String::new();
//! engine.open(path("a.enc"), &[&key])?.read_to_string(&mut text)?;
//! assert_eq!(text, "some text");
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **An output is whole or it is not there.** A file gets its name in one step, when
//!   everything in it is verified and the input is known not to have changed.
//! - **Plaintext is verified.** A stream gets a segment only after it has verified.
//! - **No process is started unless you say which.** With a
//!   [worker program](EngineBuilder::worker_program), large files and many files go to
//!   worker processes in a sandbox. Without one, threads of this process do the work.
//!
//! # Inside
//!
//! ARCHITECTURE.md in the repository follows a byte through the modules. The loop in which
//! chunks are encrypted and decrypted is in `transform.rs`.

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
mod on_threads;
mod output;
mod parser_cipher;
mod part_io;
mod payload;
mod pipeline;
mod progress;
mod range;
mod reader;
mod rekey;
mod request;
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
pub use damage_scan::{Damage, DamageReport, End};
pub use engine::{Engine, EngineBuilder};
pub use error::Error;
#[cfg(feature = "fault-hooks")]
pub use fault_points::{Point as FaultPoint, set_fault_hook};
pub use input::{PipeWriter, Source, is_leftover, leftover_of};
pub use inspect::{Extent, Inspection};
pub use interrupt::{
    Arrived, Held, OnInterrupt, hold_interruptions, on_interrupt, pending as pending_signal,
    say_on_interrupt, unignored_signals,
};
pub use memory::{MemoryLimit, available_memory};
pub use named::open_folder;
pub use output::{CommitOptions, Dropped, StagingFolder, Target, write_private, write_public};
pub use progress::Progress;
pub use range::{ByteRange, RangeSummary};
pub use reader::Reader;
pub use rekey::{LockedFile, RekeyMethod, RekeySummary};
pub use request::{
    DamageScan, Decrypt, DecryptAll, Encrypt, EncryptAll, Inspect, Items, OnDone, Rekey, Salvage,
    Verify,
};
pub use summary::{BatchSummary, Form, Summary};
pub use umask::{keep_owner_bits, umask};
#[cfg(feature = "fault-hooks")]
pub use workers::enter_sandbox;
pub use workers::{
    Parser, Processes, Profile, SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerNote,
    WorkerOptions, WorkerProgram, WorkerStats, init_worker, lock_in,
};

/// Keeps what the caller has left open from the programs that this process starts.
pub use cryptstream_shm::descriptors::keep_from_programs;

/// What tests of the sandbox try.
#[cfg(feature = "fault-hooks")]
pub use cryptstream_shm::probe;
