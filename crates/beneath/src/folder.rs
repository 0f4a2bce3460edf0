//! Directories of a tree, which are open only while they are needed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cryptstream_protection::Protection;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::{Dir, FileId, KnownFile, kernel_path, uncached_stat};

/// The number of unused directories of a tree that stay open. A process may have as few as 256
/// descriptors, and there can be two trees.
const KEPT_OPEN: usize = 32;

/// A directory below a root, or the root itself.
///
/// Any number of these can exist, but only a few are open. A closed one is reopened from the
/// nearest open directory above it, without following links, and must have the same device and
/// inode as before.
#[derive(Debug)]
pub struct Folder {
    id: FileId,
    /// `None` for the root.
    above: Option<(Arc<Folder>, OsString)>,
    dir: Mutex<Weak<Dir>>,
    open: Arc<OpenDirs>,
}

/// The directories of a tree that are open.
#[derive(Debug)]
struct OpenDirs {
    root: Arc<Dir>,
    recent: Mutex<VecDeque<Arc<Dir>>>,
}

impl Folder {
    /// The root of a tree. It stays open as long as a folder below it exists.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn root(dir: Dir) -> Result<Arc<Self>, Errno> {
        let id = FileId::of(&dir.own_stat()?);
        let root = Arc::new(dir);
        let dir = Mutex::new(Arc::downgrade(&root));
        let open = Arc::new(OpenDirs { root, recent: Mutex::default() });
        Ok(Arc::new(Self { id, above: None, dir, open }))
    }

    /// Opens a directory in this one, and returns it with its attributes.
    ///
    /// # Errors
    /// As [`Dir::open_dir`] and [`Folder::dir`].
    pub fn open_child(self: &Arc<Self>, name: &OsStr) -> Result<(Arc<Self>, Stat), Errno> {
        let dir = self.dir()?.open_dir(name)?;
        let stat = dir.own_stat()?;
        let folder = Self {
            id: FileId::of(&stat),
            above: Some((Arc::clone(self), name.to_owned())),
            dir: Mutex::new(Weak::new()),
            open: Arc::clone(&self.open),
        };
        folder.keep(Arc::new(dir));
        Ok((Arc::new(folder), stat))
    }

    /// The open directory.
    ///
    /// # Errors
    /// If it must be reopened, as [`Dir::open_dir`]; `ESTALE` if it was replaced by another
    /// directory.
    pub fn dir(&self) -> Result<Arc<Dir>, Errno> {
        if let Some(dir) = self.if_open() {
            return Ok(dir);
        }
        let mut names = Vec::new();
        let mut folder = self;
        let from = loop {
            let Some((above, name)) = &folder.above else { break Arc::clone(&self.open.root) };
            names.push(name.as_os_str());
            folder = above;
            if let Some(dir) = folder.if_open() {
                break dir;
            }
        };
        let path: PathBuf = names.into_iter().rev().collect();
        let dir = Arc::new(from.open_dir(path)?);
        if !self.id.may_be(FileId::of(&dir.own_stat()?), &dir) && is_compared() {
            return Err(Errno::STALE);
        }
        self.keep(Arc::clone(&dir));
        Ok(dir)
    }

    /// The device and inode of this directory.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Whether both are the same directory.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let known = |folder: &Self| folder.dir().and_then(KnownFile::open);
        self.id == other.id && known(self).is_ok_and(|own| known(other).is_ok_and(|it| own.is(&it)))
    }

    /// The parent directory; `None` for the root.
    #[must_use]
    pub fn above(&self) -> Option<&Arc<Self>> {
        self.above.as_ref().map(|(above, _)| above)
    }

    /// The path from the root to this directory; empty for the root.
    #[must_use]
    pub fn relative(&self) -> PathBuf {
        let mut names = Vec::new();
        let mut folder = self;
        while let Some((above, name)) = &folder.above {
            names.push(name);
            folder = above;
        }
        names.into_iter().rev().collect()
    }

    fn if_open(&self) -> Option<Arc<Dir>> {
        lock(&self.dir).upgrade()
    }

    /// Stores `dir` as this directory, and keeps it open for a while.
    fn keep(&self, dir: Arc<Dir>) {
        *lock(&self.dir) = Arc::downgrade(&dir);
        let mut recent = lock(&self.open.recent);
        recent.push_back(dir);
        // Closed after the lock is released.
        let oldest = if recent.len() > KEPT_OPEN { recent.pop_front() } else { None };
        drop(recent);
        drop(oldest);
    }
}

impl Drop for Folder {
    /// Drops the parents in a loop: recursion could overflow the stack.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some((folder, _)) = above {
            above = Arc::into_inner(folder).and_then(|mut folder| folder.above.take());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while the lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that a walk has seen.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// The parent directory.
    pub folder: Arc<Folder>,
    /// Its name.
    pub name: OsString,
    /// Its device and inode.
    pub id: FileId,
    /// What else it must be like when it is opened.
    pub pin: Option<Pin>,
}

/// What a file was like at an earlier time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Its length in bytes.
    pub size: u64,
    /// The time of the last modification: seconds since 1970, and nanoseconds.
    pub modified: (i64, u64),
    /// The time of the last status change, which no program can set.
    pub changed: (i64, u64),
}

impl Pin {
    /// What the file with these attributes is like.
    #[must_use]
    pub fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl FileEntry {
    /// The path without links, if the kernel knows it.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        kernel_path(&*self.folder.dir().ok()?).map(|dir| dir.join(&self.name))
    }

    /// Opens the file for reading, and returns it with its parent directory and attributes.
    ///
    /// # Errors
    /// `ESTALE` if the file or one of its parents was replaced, or is not a regular file, or does
    /// not match its [`Pin`]; otherwise as openat(2).
    pub fn open(&self) -> Result<(Arc<Dir>, File, Stat), Errno> {
        let dir = self.folder.dir().map_err(exchanged_as_stale)?;
        let file = dir.open_file(&self.name).map_err(exchanged_as_stale)?;
        let stat = rustix::fs::fstat(&file)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let is_same = self.id.may_be(FileId::of(&stat), &file) || !is_compared();
        let is_pinned = self.pin.is_none_or(|pin| pin == Pin::of(&uncached_stat(&file, stat)));
        if is_regular && is_same && is_pinned { Ok((dir, file, stat)) } else { Err(Errno::STALE) }
    }
}

/// Whether identities are compared: always, except in tests of attacks.
fn is_compared() -> bool {
    Protection::BeneathRoot.is_on() && Protection::BeneathByHand.is_on()
}

/// Turns the errors for a link, a file or a socket in the place of what was seen into `ESTALE`.
fn exchanged_as_stale(error: Errno) -> Errno {
    match error {
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO => Errno::STALE,
        error => error,
    }
}
