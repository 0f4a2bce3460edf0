//! Files that have no name yet, and files with a temporary one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use cryptstream_beneath::{Dir, FileId};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, flock, linkat};
use rustix::io::Errno;

use super::permissions::Permissions;
use super::temporary;
use crate::interrupt::{self, OnInterrupt};

/// Whether an unnamed file could not be linked to a name, so that none is begun with
/// again.
static IS_LINK_REFUSED: AtomicBool = AtomicBool::new(false);

/// A temporary name, and what removes it when the process is interrupted.
pub(super) type Temporary = (OsString, Option<OnInterrupt>);

/// Begins no more files without a name.
pub(super) fn refuse_links() {
    IS_LINK_REFUSED.store(true, Ordering::Relaxed);
}

/// Opens an unnamed file; `None` where the file system has none, or where it
/// could not be linked later because /proc is missing.
pub(super) fn open_unnamed(folder: &Dir, permissions: Permissions) -> Result<Option<File>, Errno> {
    if IS_LINK_REFUSED.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let file = match folder.create_unnamed(permissions.of_unnamed()) {
        Ok(file) => file,
        // A named file would fail for the same reason.
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOSPC)) => {
            return Err(error);
        }
        // File systems, kernels and filters of system calls without it give all kinds of
        // answers. If the folder itself is the problem, creating the named file will show it.
        Err(_) => return Ok(None),
    };
    // Once is enough: it is mounted or not, and a look takes 2 % of a small file.
    static IS_LINKABLE: OnceLock<bool> = OnceLock::new();
    let is_linkable = || {
        let path = descriptor_path(&file);
        rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    };
    Ok(IS_LINKABLE.get_or_init(is_linkable).then_some(file))
}

/// Creates a file under a temporary name, from which an interruption removes it.
pub(super) fn open_temporary(folder: &Arc<Dir>, name: &OsStr) -> Result<(File, Temporary), Errno> {
    // Until it is known what is to be removed.
    let _deferred = interrupt::defer();
    let (file, temporary) = create_named(folder, name)?;
    let watched = (Arc::clone(folder), temporary.clone(), identity(&file)?);
    // Without the thread only an interruption leaves it behind, for a later run to remove.
    let cleanup = interrupt::on_interrupt(Box::new(move || {
        let (folder, temporary, identity) = &watched;
        unlink_own(folder, temporary, *identity);
    }));
    Ok((file, (temporary, cleanup.ok())))
}

pub(super) fn descriptor_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

pub(super) fn link_unnamed(file: &File, folder: &Dir, name: &OsStr) -> Result<(), Errno> {
    // By the descriptor alone it is faster, but until Linux 6.10 only root could do that.
    static NEEDS_PATH: AtomicBool = AtomicBool::new(false);
    if !NEEDS_PATH.load(Ordering::Relaxed) {
        match linkat(file, "", folder, name, AtFlags::EMPTY_PATH) {
            linked @ (Ok(()) | Err(Errno::EXIST)) => return linked,
            Err(_) => NEEDS_PATH.store(true, Ordering::Relaxed),
        }
    }
    linkat(CWD, descriptor_path(file), folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Creates a file that bears a temporary name.
fn create_named(folder: &Dir, name: &OsStr) -> Result<(File, OsString), Errno> {
    let temporary = temporary::name(name)?;
    let file = folder.create_file(&temporary, Permissions::of_named())?;
    // Held as long as it is written. Some file systems have no locks.
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok((file, temporary))
}

/// Closes the file early. The descriptor of the folder takes its place.
pub(super) fn close(file: &mut File, folder: &Dir) {
    if let Ok(other) = folder.try_clone() {
        *file = File::from(OwnedFd::from(other));
    }
}

pub(super) fn identity(file: &File) -> Result<FileId, Errno> {
    rustix::fs::fstat(file).map(|stat| FileId::of(&stat))
}

/// Whether that can be the file of this name. Where inode numbers do not tell, any file
/// can be: the name of a temporary is known to nobody before.
pub(super) fn is_named(folder: &Dir, name: &OsStr, own: FileId) -> bool {
    folder.stat(name).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && own.may_be(FileId::of(&stat), folder)
    })
}

/// Removes a temporary, if it is ours still. Nothing better can be done about
/// a failure than what a later run does.
pub(super) fn unlink_own(folder: &Dir, temporary: &OsStr, own: FileId) {
    if is_named(folder, temporary, own) {
        let _ = folder.remove_file(temporary);
    }
}
