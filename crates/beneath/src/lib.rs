//! Paths below a folder, resolved from its descriptor without following links.
//!
//! Someone who may write to a folder can exchange anything in it at any moment: a
//! subfolder for a symbolic link, a file for a pipe. A program that checks a path and
//! then uses the path looks twice, and the two looks can differ. So a [`Dir`] is opened
//! once, and everything below it is named relative to that descriptor:
//!
//! - No component of a relative path is followed if it is a symbolic link, and none may
//!   be `..` or absolute. What is reached lies below the folder.
//! - The last component is never followed either: [`Dir::stat`] tells of the link
//!   itself, [`Dir::open_file`] fails with `ELOOP`.
//! - A path of one component costs one system call. Whoever works on many files in one
//!   folder should hold that folder's [`Dir`].
//!
//! Longer paths are resolved by openat2(2) with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS`, and component by component where the kernel or a filter of
//! system calls refuses it.
//!
//! [`Walk`] goes through a tree in this way. A [`Folder`] is a directory of it that is
//! opened again when it is needed, so that a tree of any depth needs few descriptors.

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
pub use folder::{FileEntry, Folder};
pub use identity::{
    FileId, KnownFile, has_same_content, has_stable_inodes, is_same_file, kernel_path,
    uncached_stat,
};
pub use walk::{Walk, WalkEntry, WalkError};
