//! One job over many machines: what is to be done, and what was done.
//!
//! A job is a folder that all machines see. `plan` writes the manifest into it: a description of
//! the job ([`Job`]), the objects of each shard ([`ShardWriter`]), and the folders and links of the
//! tree ([`TreeWriter`]). Each attempt at a shard appends receipts to a file of its own
//! ([`Attempt`]), so no two processes write to the same file. [`Receipts`] merges the receipts of
//! all attempts.
//!
//! All files are JSON Lines with a version, and are read and written a line at a time. None of them
//! contains a secret. `docs/jobs.md` specifies them.
//!
//! # Example
//!
//! ```
//! use cryptstream_job::Packing;
//!
//! // Three large objects, the largest first, and then small ones in the order of the tree.
//! let mut packing = Packing::new(2, 100 + 60 + 50 + 10);
//! assert_eq!(packing.place_large(100), 0);
//! assert_eq!(packing.place_large(60), 1);
//! assert_eq!(packing.place_large(50), 1);
//! assert_eq!(packing.place_next(10), 0);
//! ```

mod error;
mod folder;
mod lines;
mod manifest;
mod name;
mod packing;
mod pin;
mod receipts;
mod tree;

pub use error::Error;
pub use folder::{JobFolder, State};
pub use manifest::{
    Job, Object, Operation, Replace, ShardReader, ShardTotals, ShardWriter, VERSION,
};
pub use name::EncodedPath;
pub use packing::{Packing, weight_of};
pub use pin::{Pinned, Time};
pub use receipts::{Attempt, Done, Failed, Receipts};
pub use tree::{TreeEntry, TreeReader, TreeWriter};
