//! Encrypts and decrypts files, pipes and many files at a time.
//!
//! An [`Engine`] has one method for each operation. It takes a request, which is a struct
//! with options, and returns a summary or an [`Error`] that names the file and the place.
//! Recipients and identities come from `cryptstream-format` and `cryptstream-keys`, or are
//! types of your own. This crate prints nothing and reads no keys.
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
//! A passphrase is a recipient and an identity too, the only one of its file. Native files derive
//! the key from it with Argon2id (in age files it is scrypt, in `cryptstream-keys`). This is the
//! lowest [`Cost`](cryptstream_format::argon2id::Cost); prefer `Cost::DEFAULT`.
//!
//! ```
//! use cryptstream_engine::{Decrypt, Encrypt, Engine};
//! use cryptstream_format::argon2id::{Cost, PassphraseIdentity, PassphraseRecipient, ReadLimit};
//! use zeroize::Zeroizing;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = |name: &str| folder.path().join(name);
//! # std::fs::write(path("a"), "some text")?;
//! let passphrase = Zeroizing::new(b"correct horse battery staple".to_vec());
//! let recipient = PassphraseRecipient::new(passphrase.clone(), Cost::MIN)?;
//! let mut engine = Engine::builder().build();
//! engine.encrypt(Encrypt::file(path("a")).to(path("a.enc")).recipients(&[&recipient]))?;
//!
//! // Files that ask for more than this limit are refused.
//! let identity = PassphraseIdentity::new(passphrase, ReadLimit::DEFAULT);
//! engine.decrypt(Decrypt::file(path("a.enc")).to(path("b")).identities(&[&identity]))?;
//! # assert_eq!(std::fs::read(path("b"))?, b"some text");
//! # Ok(())
//! # }
//! ```
//!
//! # Operations
//!
//! | method | request | result |
//! |---|---|---|
//! | [`encrypt`](Engine::encrypt) | [`Encrypt`] | [`Summary`] |
//! | [`decrypt`](Engine::decrypt) | [`Decrypt`] | [`Summary`] |
//! | [`decrypt_range`](Engine::decrypt_range) | [`Decrypt`], [`ByteRange`] | [`RangeSummary`] |
//! | [`open`](Engine::open) | a path | [`Reader`], which reads and seeks |
//! | [`verify`](Engine::verify) | [`Verify`] | [`Summary`] |
//! | [`inspect`](Engine::inspect) | [`Inspect`] | [`Inspection`] |
//! | [`scan_for_damage`](Engine::scan_for_damage) | [`DamageScan`] | [`DamageReport`] |
//! | [`salvage`](Engine::salvage) | [`Salvage`] | [`DamageReport`] |
//! | [`rekey`](Engine::rekey) | [`Rekey`] | [`RekeySummary`] |
//! | [`encrypt_all`](Engine::encrypt_all) | [`EncryptAll`] | [`BatchSummary`] |
//! | [`decrypt_all`](Engine::decrypt_all) | [`DecryptAll`] | [`BatchSummary`] |
//!
//! A recipient or an identity in text form is parsed:
//! `"age1…".parse::<cryptstream_format::x25519::PublicKey>()`, and likewise `SecretKey` for
//! `AGE-SECRET-KEY-1…`; `cryptstream-keys` reads every other kind. Outputs that exist are not
//! replaced unless the [`Target`] says `force`.
//!
//! All lengths, offsets and ranges are in bytes. The folder `examples` has short programs
//! that encrypt a file, a stream and a tree, decrypt a range, define a recipient type, and
//! bring worker processes.
//!
//! # What it promises
//!
//! - **An output is complete or absent.** A file gets its name in one step, after everything
//!   in it has been verified and the input is known not to have changed.
//! - **Only verified plaintext comes out.** A pipe gets each segment of up to 1 MiB only
//!   after it has been verified.
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
mod busy_time;
mod cache;
mod chacha20_poly1305;
mod chunk_ranges;
mod conversion;
mod damage_scan;
mod data_file;
mod decrypt;
mod encrypt;
mod engine;
mod error;
mod error_context;
mod failure;
mod fault_points;
mod header;
mod in_memory;
mod in_process;
mod input;
mod inspect;
mod interrupt;
mod job;
mod journal;
mod memory;
mod object;
mod output;
mod parallel;
mod parser_cipher;
mod part_io;
mod path_resolution;
mod payload;
mod pipeline;
pub mod program;
mod progress;
mod range;
mod reader;
mod rekey;
mod request;
mod reread;
mod runs;
mod sandboxed_process;
mod scaling;
mod summary;
mod thread_pool;
mod transform;
mod try_keys;
mod umask;
mod workers;

pub use batch_item::{BatchItem, CreateObject, Destination, OpenObject, Origin};
pub use cache::Cache;
pub use chacha20_poly1305::chacha20_poly1305_library;
pub use damage_scan::{Damage, DamageReport, End};
pub use engine::{Engine, EngineBuilder};
pub use error::Error;
#[cfg(feature = "fault-hooks")]
pub use fault_points::{Point as FaultPoint, set_fault_hook};
pub use in_memory::{ChunkLayout, MemoryEncryption};
pub use input::{PipeWriter, Source};
pub use inspect::{Extent, Inspection};
pub use interrupt::leave_signals_alone;
pub use object::{
    ObjectAttributes, ObjectError, ObjectErrorKind, ObjectInput, ObjectOutput, StoreRequest,
};
pub use output::{CommitOptions, LostAttributes, Target};
pub use progress::Progress;
pub use range::{ByteRange, RangeSummary};
pub use reader::Reader;
pub use rekey::{LockedFile, RekeyMethod, RekeyObject, RekeySummary};
pub use request::{
    DamageScan, Decrypt, DecryptAll, Encrypt, EncryptAll, Inspect, Items, NeedsOutput, OnDone,
    Rekey, Salvage, Verify,
};
pub use summary::{BatchSummary, OutputFormat, Summary};
pub use workers::{
    EngineOptions, Parser, Processes, SandboxLevel, SandboxMode, WorkerNote, WorkerProgram,
    WorkerStats, init_worker,
};

/// What tests of the sandbox try.
#[cfg(feature = "fault-hooks")]
pub use cryptstream_shm::probe;
