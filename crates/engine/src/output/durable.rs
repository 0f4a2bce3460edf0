//! Making an output durable, as far as its file system can.

use std::ffi::OsStr;
use std::fs::File;

use cryptstream_beneath::Dir;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::naming::is_unsupported;

/// The result of making content durable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Durability {
    Synced,
    NotAsked,
    /// The file system does not support it, or a filter of system calls refuses it.
    Refused(Errno),
}

impl Durability {
    /// Makes the content of a file durable.
    pub(super) fn of(file: &File) -> Result<Self, Errno> {
        match rustix::fs::fsync(file) {
            Ok(()) => Ok(Self::Synced),
            Err(error) if is_unsupported(error) => Ok(Self::Refused(error)),
            Err(error) => Err(error),
        }
    }
}

/// Makes the content of a file durable, if its file system supports that.
pub(crate) fn sync_content(file: &File) -> std::io::Result<()> {
    match rustix::fs::fdatasync(file) {
        Err(error) if !is_unsupported(error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes the file of this name, and makes the removal durable. `near` is any file of the same
/// file system.
pub(crate) fn remove_durably(folder: &Dir, name: &OsStr, near: &File) -> Result<(), Errno> {
    folder.remove_file(name)?;
    sync_folder(folder, near)
}

/// Makes the new name of `file` durable. `folder` is opened again, since its descriptor cannot be
/// synced (`O_PATH`).
pub(super) fn sync_folder(folder: &Dir, file: &File) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, Mode::empty()) {
        Ok(readable) => match rustix::fs::fsync(&readable) {
            // Some file systems cannot sync folders.
            Err(Errno::BADF) => Ok(()),
            Err(error) if is_unsupported(error) => Ok(()),
            result => result,
        },
        // A folder that may not be listed: sync the whole file system.
        Err(Errno::ACCESS) => rustix::fs::syncfs(file),
        Err(error) => Err(error),
    }
}
