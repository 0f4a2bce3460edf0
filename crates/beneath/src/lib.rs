//! Paths below a folder, resolved from its descriptor without following links.
//!
//! Anyone who can write to a folder can replace a file in it with a symbolic link at any moment. A
//! program that checks a path and then uses it may see two different files. So this crate opens a
//! folder once, as a [`Dir`], and resolves everything below it from that descriptor:
//!
//! - No component of a path is followed if it is a symbolic link, and none may be `..` or absolute.
//!   So a path never leaves the folder.
//! - The last component is not followed either: [`Dir::stat`] describes the link itself, and
//!   [`Dir::open_file`] fails with `ELOOP`.
//! - A path of one component costs one system call. To work on many files in one folder, hold the
//!   [`Dir`] of that folder.
//!
//! Longer paths are resolved by openat2(2) with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`, or
//! component by component if the kernel or a seccomp filter refuses that call.
//!
//! # Example
//!
//! ```
//! use std::io::Read;
//! use std::path::Path;
//!
//! use cryptstream_beneath::Dir;
//! use rustix::io::Errno;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! # std::fs::create_dir(root.path().join("logs"))?;
//! # std::fs::write(root.path().join("logs/today"), "hello")?;
//! # std::os::unix::fs::symlink("/etc", root.path().join("link"))?;
//! let root = Dir::open(root.path())?;
//! let mut text = String::new();
//! root.open_file("logs/today")?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//!
//! assert_eq!(root.open_file("link/passwd").unwrap_err(), Errno::LOOP);
//! assert_eq!(root.open_file("../secret").unwrap_err(), Errno::INVAL);
//! # Ok(())
//! # }
//! ```
//!
//! [`Walk`] goes through a tree in this way. A [`Folder`] is a directory of a tree. It is reopened
//! when it is needed, so a tree of any depth needs few descriptors.
//!
//! # What this crate does not do
//!
//! Whoever may change or rename the files still can. [`FileEntry::open`] detects that a file was
//! replaced.

mod acl;
mod attributes;
mod dir;
mod folder;
mod identity;
mod resolve;
mod walk;

pub use acl::{ACL, dir_mode_without_acl, has_acl, mode_without_acl};
pub use attributes::{Followed, follow_mode, is_refusal, times_of};
pub use dir::{Dir, ReadDir};
pub use folder::{FileEntry, Folder, Pin};
pub use identity::{
    FileId, KnownFile, has_same_content, has_stable_inodes, is_same_file, kernel_path,
    uncached_stat,
};
pub use walk::{Walk, WalkEntry, WalkError};
