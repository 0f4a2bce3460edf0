//! A folder under a temporary name, in which an output folder is made.
//!
//! It is closed to everybody else and holds two things: the output's folder, and a file
//! that says which container this is and is locked as long as its process lives. A
//! later run removes a container only when all of that is right: its owner, its
//! permission bits, its mark and that nobody holds the lock. So a folder that someone
//! has renamed to such a name is left alone. Everything in it is reached from its
//! descriptor; nobody else can change anything there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_beneath::{Dir, FileId};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat};
use rustix::io::Errno;

use super::temporary;

/// The output's folder in the container.
pub(super) const CONTENT: &str = "content";
/// The file with the mark and the lock.
const LOCK: &str = "lock";
/// Longer than any mark.
const MAX_MARK: u64 = 512;

/// See the module's description.
pub(super) struct Container {
    parent: Arc<Dir>,
    name: OsString,
    dir: Dir,
    id: FileId,
    /// Locked as long as it is open.
    lock: Mutex<Option<File>>,
}

impl Container {
    /// Makes a container in `parent` for an output that is to be called `name`, and the
    /// output's folder in it, which is returned too.
    pub(super) fn create(parent: Arc<Dir>, name: &OsStr) -> Result<(Self, OwnedFd), Errno> {
        let own = temporary::name(name)?;
        parent.create_dir(&own, Mode::RWXU)?;
        let made = fill(&parent, &own);
        let (dir, id, lock, content) = made.inspect_err(|_| {
            // It is ours, and empty but for what was just put into it.
            if let Ok(dir) = parent.open_dir(&own) {
                let _ = dir.remove_dir(CONTENT);
                let _ = dir.remove_file(LOCK);
            }
            let _ = parent.remove_dir(&own);
        })?;
        let lock = Mutex::new(Some(lock));
        Ok((Self { parent, name: own, dir, id, lock }, content))
    }

    /// The container itself.
    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Removes it and all that is in it.
    pub(super) fn remove(&self) -> Result<(), Errno> {
        // On NFS and FUSE a file that is open keeps a name when it is removed, and the
        // folder could not be. Nobody else takes the container for an abandoned one as
        // long as this process lives.
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        empty(&self.dir)?;
        remove_if_same(&self.parent, &self.name, self.id)
    }
}

fn fill(parent: &Dir, own: &OsStr) -> Result<(Dir, FileId, File, OwnedFd), Errno> {
    let dir = parent.open_dir(own)?;
    if dir.entries()?.next().is_some() {
        return Err(Errno::NOTEMPTY);
    }
    let mut lock = dir.create_file(LOCK, Mode::RUSR | Mode::WUSR)?;
    let (stat, of_lock) = (dir.own_stat()?, fstat(&lock)?);
    // Another folder may have been given the name. Some file systems have no permission
    // bits, or give everything one owner.
    let has_bits = of_lock.st_mode & 0o077 == 0;
    if stat.st_uid != of_lock.st_uid || (has_bits && !is_closed(&stat)) {
        return Err(Errno::PERM);
    }
    // Some file systems have no locks; then the name has to do.
    let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
    lock.write_all(own.as_bytes()).map_err(|_| Errno::IO)?;
    dir.create_dir(CONTENT, Mode::RWXU)?;
    let content = open_listed(&dir, CONTENT)?;
    Ok((dir, FileId::of(&stat), lock, content))
}

/// Removes the container of this name if it is certain that it is one, of this user, and
/// that its process is gone.
pub(super) fn remove_abandoned(parent: &Dir, name: &OsStr) {
    if !Protection::OwnTemporaries.is_on() {
        if let Ok(dir) = parent.open_dir(name) {
            let _ = empty(&dir).and_then(|()| parent.remove_dir(name));
        }
        return;
    }
    let Ok(dir) = parent.open_dir(name) else { return };
    let Ok(stat) = dir.own_stat() else { return };
    // The lock is held as long as anything is put into it.
    if is_closed(&stat) && is_own(&stat) && lock_of(&dir, name).is_some_and(|lock| take(&lock)) {
        let _ = empty(&dir).and_then(|()| remove_if_same(parent, name, FileId::of(&stat)));
    }
}

/// The lock in a container with this name, if it has the right mark.
fn lock_of(dir: &Dir, name: &OsStr) -> Option<File> {
    let file = dir.open_file(LOCK).ok()?;
    let stat = fstat(&file).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let mut mark = Vec::new();
    (&file).take(MAX_MARK).read_to_end(&mut mark).ok()?;
    (is_file && is_own(&stat) && mark == name.as_bytes()).then_some(file)
}

/// Whether the lock is free, and held by this file from now on.
fn take(lock: &File) -> bool {
    flock(lock, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Whether only its owner may do anything with it.
fn is_closed(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_mode & 0o077 == 0
}

pub(super) fn is_own(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// Removes an empty folder, if it is this one.
fn remove_if_same(parent: &Dir, name: &OsStr, own: FileId) -> Result<(), Errno> {
    if !own.may_be(FileId::of(&parent.stat(name)?), parent) {
        return Err(Errno::STALE);
    }
    parent.remove_dir(name)
}

/// Removes everything in a folder: no link is followed, and no other file system that
/// is mounted there is touched.
fn empty(dir: &Dir) -> Result<(), Errno> {
    let device = dir.own_stat()?.st_dev;
    // Its own permission bits may forbid it.
    let _ = dir.set_own_mode(Mode::RWXU);
    // One descriptor a level, not two.
    let entries: Vec<_> = dir.entries()?.collect::<Result<_, _>>()?;
    for (name, kind) in entries {
        let removed = match kind {
            FileType::Directory => remove_folder(dir, &name, device),
            _ => match dir.remove_file(&name) {
                // Its kind was not told.
                Err(Errno::ISDIR | Errno::PERM) => remove_folder(dir, &name, device),
                removed => removed,
            },
        };
        removed?;
    }
    Ok(())
}

fn remove_folder(parent: &Dir, name: &OsStr, device: u64) -> Result<(), Errno> {
    let dir = parent.open_dir(name)?;
    let stat = dir.own_stat()?;
    if stat.st_dev != device {
        return Err(Errno::XDEV);
    }
    empty(&dir)?;
    drop(dir);
    remove_if_same(parent, name, FileId::of(&stat))
}

/// Opens a folder in another, for more than reaching what is in it.
pub(super) fn open_listed(parent: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}
