//! A folder as one tar stream, and back.
//!
//! [`Packer`] writes what it is told to: PAX headers for names and times that do
//! not fit into plain ones, links as links, holes as holes. [`ArchiveReader`] reads
//! what any tar has written (ustar, PAX, GNU), trusts none of it, and says what a
//! member is and what bytes it has. [`unpack`] makes a folder of that, and never
//! anything outside it; [`ArchiveReader`] alone is enough for a list.
//!
//! There is no secret here and no cryptography: the stream is sealed and opened by
//! whoever is at its other end.

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

pub use decompress::is_zstd;
pub use display::{display_name, short_name};
pub use error::{Error, LimitExceeded, PackError, Refusal};
pub use folders::FOLDER_BUDGET;
pub use member::{Kind, Member};
pub use name::{MAX_DEPTH, leads_out};
pub use pack::{Added, Packed, Packer, ZSTD_LEVELS};
pub use path_ops::{DirectPathOps, PathOps};
pub use reader::{ArchiveReader, Limits};
pub use spool::{SPOOL_BUDGET, Spool};
pub use time::Time;
pub use unpack::{Options, Remarks, Unpacked, unpack};
pub use wire::{Event, read_event, write_event};
