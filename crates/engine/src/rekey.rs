//! Rekeying: another header before the same payload.
//!
//! The new header wraps the same file key for others. How it gets into the
//! file depends on what the file system and the header's length allow; each
//! way leaves the old file or the new one, whole, whenever it is interrupted:
//!
//! - small files are written anew and replaced by a rename;
//! - where the file system can share blocks, the file is cloned, the clone
//!   gets the header, and replaces the file;
//! - where the new header has the old one's length, it is written over it,
//!   with a journal beside the file that undoes this (`journal`);
//! - otherwise the payload is copied behind the new header.
//!
//! An object cannot be changed: another one replaces it, for which the store copies most of the
//! payload if it can.

mod exchange;
mod file;
mod object;
mod reencrypt;
mod replace;
mod summary;
#[cfg(test)]
mod tests;
mod unlock;
mod verbs;

pub use file::LockedFile;
pub use object::RekeyObject;
pub use summary::{RekeyMethod, RekeySummary};
