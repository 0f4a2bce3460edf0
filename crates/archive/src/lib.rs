//! Packs a folder into a tar stream, and unpacks archives that it does not trust.
//!
//! | | |
//! |---|---|
//! | [`Packer`] | writes files, folders and links as a tar stream, plain or compressed with zstd |
//! | [`ArchiveReader`] | reads the members of an archive: ustar, PAX, GNU and older dialects |
//! | [`unpack`] | creates the members of an archive in a folder |
//! | [`read_event`], [`write_event`] | report from a sandboxed process that reads an archive |
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//! use std::sync::Mutex;
//!
//! use cryptstream_archive::{ArchiveReader, DirectPathOps, Limits, Options, Packer, unpack};
//! use cryptstream_beneath::Dir;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! # let (from, to) = (from.path(), to.path());
//! std::fs::write(from.join("note"), "hello")?;
//!
//! let folder = Dir::open(from)?;
//! let mut packer = Packer::new(&folder, Vec::new(), Some(3), 1)?;
//! packer.add(Path::new("note"))?;
//! let (archive, _) = packer.finish()?;
//!
//! let folder = Dir::open(to)?;
//! let mut reader = ArchiveReader::new(&archive[..], Limits::DEFAULT)?;
//! let options = Options { any_links: false, umask: 0o022, drops_content: false };
//! unpack(&mut reader, &folder, &Mutex::new(()), options, &mut DirectPathOps::new(&folder))?;
//! assert_eq!(std::fs::read(to.join("note"))?, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What a hostile archive cannot do
//!
//! - It cannot write outside the output folder. Names with `..` are refused, absolute names are
//!   taken as relative, and no link is followed ([`cryptstream_beneath`]).
//! - It cannot use much memory or disk space: [`Limits`] bound members, bytes and the compression
//!   ratio, and memory does not grow with the number of members.
//! - It cannot set the set-user-ID, set-group-ID and sticky bits, owners or extended attributes.
//!
//! # What this crate does not do
//!
//! It does not encrypt. It neither packs nor restores owners, access control lists, extended
//! attributes and devices.

mod decompress;
mod display;
mod error;
mod folder_cache;
mod folders;
mod header;
mod holes;
mod member;
mod name;
mod pack;
mod path_ops;
mod pax;
mod reader;
mod sparse;
mod spool;
mod time;
mod unpack;
mod wire;
mod written_pages;

pub use decompress::is_zstd;
pub use display::{display_name, is_deceptive, short_name};
pub use error::{Error, LimitExceeded, PackError, Refusal, ZstdFailure};
pub use folders::FOLDER_BUDGET;
pub use member::{Kind, Member};
pub use name::{MAX_DEPTH, leads_out};
pub use pack::{Added, Packed, Packer, ZSTD_LEVELS};
pub use path_ops::{DirectPathOps, PathOps};
pub use reader::{ArchiveReader, Limits};
pub use spool::{SPOOL_BUDGET, Spool};
pub use time::Time;
pub use unpack::{Differences, Options, Unpacked, unpack};
pub use wire::{Event, read_event, write_event};
