//! A folder under a temporary name, in which an output folder is made.
//!
//! Only its owner can open it. It contains the output's folder, and a file with a mark that
//! identifies the container and is locked as long as its process lives. A later run removes a
//! container only if its owner, its permission bits and its mark are right and the lock is
//! free. So a folder that someone has renamed to such a name is left alone. Everything in it
//! is reached from its descriptor.

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

/// A temporary folder in which an output folder is created.
pub(super) struct Container {
    parent: Arc<Dir>,
    name: OsString,
    dir: Dir,
    id: FileId,
    /// Locked as long as it is open. Twice, so that two descriptors are left for removing
    /// the container after the process has run out of them.
    lock: Mutex<Option<[File; 2]>>,
}

impl Container {
    /// Makes a container in `parent` for an output that is to be called `name`, and the
    /// output's folder in it, which is returned too.
    pub(super) fn create(parent: Arc<Dir>, name: &OsStr) -> Result<(Self, OwnedFd), Errno> {
        let own = temporary::name(name)?;
        parent.create_dir(&own, Mode::RWXU)?;
        let made = parent.open_dir(&own).and_then(|dir| match fill(&dir, &own) {
            Ok(made) => Ok((dir, made)),
            Err(error) => {
                // It is ours, and empty but for what was just put into it.
                let _ = dir.remove_dir(CONTENT);
                let _ = dir.remove_file(LOCK);
                Err(error)
            }
        });
        let (dir, (id, lock, content)) = made.inspect_err(|_| {
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

fn fill(dir: &Dir, own: &OsStr) -> Result<(FileId, [File; 2], OwnedFd), Errno> {
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
    let failed = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    lock.write_all(own.as_bytes()).map_err(failed)?;
    dir.create_dir(CONTENT, Mode::RWXU)?;
    let content = open_listed(dir, CONTENT)?;
    let second = lock.try_clone().map_err(|_| Errno::MFILE)?;
    Ok((FileId::of(&stat), [lock, second], content))
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
    if !is_closed(&stat) || !is_own(&stat) {
        return;
    }
    let own = FileId::of(&stat);
    match lock_of(&dir, name) {
        // The lock is held as long as anything is put into it.
        Some((lock, stat)) if is_own(&stat) && take(&lock) => {
            let _ = empty(&dir).and_then(|()| remove_if_same(parent, name, own));
        }
        Some(_) => {}
        // The process was killed before it put anything into it, or after it removed all: only
        // an empty folder is removed.
        None => drop(remove_if_same(parent, name, own)),
    }
}

/// Whether the folder of this name is a container, of any user.
pub(super) fn is_container(parent: &Dir, name: &OsStr) -> bool {
    parent.open_dir(name).is_ok_and(|dir| lock_of(&dir, name).is_some())
}

/// The lock in a container with this name, if it has the right mark, and its attributes.
fn lock_of(dir: &Dir, name: &OsStr) -> Option<(File, Stat)> {
    let file = open_to_lock(dir, LOCK.as_ref()).ok()?;
    let stat = fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut mark = Vec::new();
    (&file).take(MAX_MARK).read_to_end(&mut mark).ok()?;
    (mark == name.as_bytes()).then_some((file, stat))
}

/// Opens a file that is to be locked. NFS gives an exclusive lock only where the file is open for
/// writing.
pub(super) fn open_to_lock(dir: &Dir, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    dir.open_with(name, flags, Mode::empty()).or_else(|_| dir.open_file(name))
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

/// Removes everything in a container: no link is followed, and no other file system that
/// is mounted there is touched. However deep it is, this takes two descriptors: a folder
/// in a folder becomes one of the container before it is emptied.
fn empty(container: &Dir) -> Result<(), Errno> {
    let device = container.own_stat()?.st_dev;
    let mut moved = 0_u64;
    loop {
        let mut entries = list(container)?;
        // Last, so that what a killed process leaves still has its mark.
        entries.retain(|(name, _)| name != LOCK);
        if entries.is_empty() {
            return match container.remove_file(LOCK) {
                Err(Errno::NOENT) => Ok(()),
                removed => removed,
            };
        }
        for (name, kind) in entries {
            if !remove_simple(container, &name, kind)? {
                empty_folder(container, &name, device, &mut moved)?;
            }
        }
    }
}

/// Removes what is in a folder of the container, and then the folder, of which `moved`
/// have been moved until now.
fn empty_folder(container: &Dir, name: &OsStr, device: u64, moved: &mut u64) -> Result<(), Errno> {
    let dir = container.open_dir(name)?;
    let stat = dir.own_stat()?;
    if stat.st_dev != device {
        return Err(Errno::XDEV);
    }
    // Its own permission bits may forbid to list it, to change it or to move it.
    let _ = dir.set_own_mode(Mode::RWXU);
    for (name, kind) in list(&dir)? {
        if !remove_simple(&dir, &name, kind)? {
            move_up(&dir, &name, container, moved)?;
        }
    }
    drop(dir);
    remove_if_same(container, name, FileId::of(&stat))
}

/// Makes a folder one of the container, named after its number.
fn move_up(dir: &Dir, name: &OsStr, container: &Dir, moved: &mut u64) -> Result<(), Errno> {
    let mut may_move = false;
    loop {
        *moved += 1;
        match dir.rename(name, container, moved.to_string()) {
            // A run that was killed while it did the same has used the number.
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            // A folder can only be moved by those who may write to it.
            Err(Errno::ACCESS) if !may_move => {
                dir.set_mode(name, FileId::of(&dir.stat(name)?), Mode::RWXU)?;
                may_move = true;
            }
            renamed => return renamed,
        }
    }
}

/// Removes a name unless it is that of a folder with something in it. Returns whether it
/// has.
fn remove_simple(dir: &Dir, name: &OsStr, kind: FileType) -> Result<bool, Errno> {
    if kind != FileType::Directory {
        match dir.remove_file(name) {
            // Its kind was not told.
            Err(Errno::ISDIR | Errno::PERM) => {}
            removed => return removed.map(|()| true),
        }
    }
    match dir.remove_dir(name) {
        Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
        removed => removed.map(|()| true),
    }
}

fn list(dir: &Dir) -> Result<Vec<(OsString, FileType)>, Errno> {
    dir.entries()?.collect()
}

/// Opens a folder in another, for more than reaching what is in it.
pub(super) fn open_listed(parent: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::{fs, io};

    #[test]
    fn what_is_deep_closed_and_named_with_numbers_is_removed() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let parent = Arc::new(Dir::open(folder.path())?);
        let (container, content) = Container::create(Arc::clone(&parent), OsStr::new("out"))?;
        let own = folder.path().join(&container.name);
        // Too deep for a path, and for a descriptor a level.
        let (mut dir, dirs) = (Dir::open(&own.join(CONTENT))?, 3000);
        for _ in 0..dirs {
            dir.create_dir("1", Mode::RWXU)?;
            dir.create_dir("empty", Mode::RWXU)?;
            dir.create_file("file", Mode::RUSR)?;
            dir = dir.open_dir("1")?;
        }
        // What a removal leaves that was killed.
        fs::create_dir_all(own.join("1/content"))?;
        fs::create_dir_all(own.join("2/lock"))?;
        fs::create_dir_all(own.join(CONTENT).join("closed/in"))?;
        fs::write(own.join(CONTENT).join("closed/in/file"), "")?;
        for closed in ["closed/in", "closed"] {
            fs::set_permissions(own.join(CONTENT).join(closed), PermissionsExt::from_mode(0o0))?;
        }
        drop(content);
        container.remove()?;
        assert_eq!(fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }
}
