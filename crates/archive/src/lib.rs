//! A folder as one tar stream, and back.
//!
//! [`Packer`] writes what it is told to: PAX headers for names and times that do
//! not fit into plain ones, links as links, holes as holes. [`Contents`] reads
//! what any tar has written (ustar, PAX, GNU), trusts none of it, and says what a
//! member is and what bytes it has. [`unpack`] makes a folder of that, and never
//! anything outside it; [`Contents`] alone is enough for a list.
//!
//! There is no secret here and no cryptography: the stream is sealed and opened by
//! whoever is at its other end.

mod by_path;
mod contents;
mod cursor;
mod decompress;
mod error;
mod folders;
mod header;
mod holes;
mod name;
mod pack;
mod pax;
mod sparse;
mod spool;
mod time;
mod unpack;
mod wire;

pub use by_path::{ByPath, DoByPath};
pub use contents::{Contents, Kind, Limits, Member};
pub use decompress::is_zstd;
pub use error::{Error, PackError, Refusal, TooMuch};
pub use folders::FOLDER_BUDGET;
pub use name::{brief, leads_out, show};
pub use pack::{Added, Packed, Packer};
pub use spool::{SPOOL_BUDGET, Spool};
pub use time::Time;
pub use unpack::{Options, Remarks, Unpacked, unpack};
pub use wire::{Event, read_event, write_event};

/// Bytes of a block of tar.
const BLOCK: usize = 512;

/// Folders within each other that an archive may have: each takes a descriptor
/// when a tree is removed, of which a process has 1024.
pub const MAX_DEPTH: usize = 500;

/// Compression levels of zstd that can be asked for.
pub const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=22;
