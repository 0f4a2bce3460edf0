//! Whether two looks showed the same file.
//!
//! Device and inode number tell that on the file systems that disks are formatted with.
//! Others make the numbers up: a program behind FUSE may give a file another number when
//! it gets another name or is looked up again, or give all files the same one; a server
//! of SMB may not tell them at all; FAT has none. These file systems also answer from
//! caches, and may tell a file's length and times as they were a second ago.
//!
//! So a number that differs proves nothing there, nor does one that is equal. What is
//! compared instead is the path that the kernel has for an open file
//! (`/proc/self/fd/N`), which no link can disguise.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Stat, StatxFlags, fstatfs, readlinkat, statx};
use rustix::io::Errno;

/// What statfs(2) says of file systems whose inode numbers and caches cannot be relied
/// upon: FUSE (virtiofs too), three ages of SMB, 9P, VirtualBox's and Parallels' shared
/// folders, Coda, FAT and exFAT.
const UNSTABLE_INODES: [u64; 10] = [
    0x6573_5546,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x786f_4256,
    0x7c7c_6673,
    0x7375_7245,
    0x4d44,
    0x2011_bab0,
];

/// What tells one file from all others as long as it exists, where inode numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that the file is on.
    pub dev: u64,
    /// Its number there.
    pub ino: u64,
}

impl FileId {
    /// The identity in what `stat` says.
    #[must_use]
    pub fn of(stat: &Stat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }

    /// Whether both can be the same file: they are, or they are on a file system whose
    /// numbers do not tell. `on` is on the file system of `self`.
    #[must_use]
    pub fn may_be(self, other: Self, on: impl AsFd) -> bool {
        self == other || (self.dev == other.dev && !has_stable_inodes(on, self.dev))
    }
}

/// Whether the file system that `file` is on, which is device `dev`, keeps inode numbers
/// and tells lengths and times as they are.
#[must_use]
pub fn has_stable_inodes(file: impl AsFd, dev: u64) -> bool {
    // Asked once for each device.
    static KNOWN: Mutex<Vec<(u64, bool)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, is_stable)) = known.iter().find(|(device, _)| *device == dev) {
        return *is_stable;
    }
    // One that cannot be asked is taken at its word.
    let kind = fstatfs(file).map_or(0, |found| found.f_type as u64 & 0xffff_ffff);
    let is_stable = !UNSTABLE_INODES.contains(&kind);
    known.push((dev, is_stable));
    is_stable
}

/// The state of an open file, of which `stat` is what fstat(2) says. Where that may come
/// from a cache, the file system itself is asked.
#[must_use]
pub fn uncached_stat(file: impl AsFd, stat: Stat) -> Stat {
    if has_stable_inodes(&file, stat.st_dev) {
        return stat;
    }
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
    let Ok(found) = statx(&file, "", flags, StatxFlags::BASIC_STATS) else { return stat };
    let mut stat = stat;
    stat.st_size = i64::try_from(found.stx_size).unwrap_or(stat.st_size);
    (stat.st_mtime, stat.st_mtime_nsec) = (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec.into());
    (stat.st_ctime, stat.st_ctime_nsec) = (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec.into());
    stat.st_nlink = found.stx_nlink.into();
    stat.st_mode = found.stx_mode.into();
    (stat.st_uid, stat.st_gid) = (found.stx_uid, found.stx_gid);
    stat
}

/// Whether a file that was seen as `then`, and is open since, has the same content as `now`
/// says, going by length and times.
///
/// Everything that changes a file's content changes the time of the last change of its state
/// (ctime), which no program can set back. That time alone may also change because another
/// name, owner or other permission bits were given to the file, which its content does not
/// depend on: these are seen too. Which file it is cannot change, and some file systems give
/// it another number at each look.
#[must_use]
pub fn has_same_content(then: &Stat, now: &Stat) -> bool {
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
    let attributes = |stat: &Stat| (stat.st_nlink, stat.st_mode, stat.st_uid, stat.st_gid);
    content(then) == content(now)
        && (changed(then) == changed(now)
            // Without a name it has been removed or replaced.
            || (attributes(then) != attributes(now) && now.st_nlink > 0))
}

/// A file that is to be recognized wherever it turns up.
#[derive(Clone, Debug)]
pub struct KnownFile {
    id: FileId,
    /// What else is known where the numbers do not tell.
    inexact: Option<Inexact>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inexact {
    path: Option<PathBuf>,
    state: State,
}

/// Number of names (of a directory none that count), length and times.
type State = (u64, i64, (i64, u64), (i64, u64));

impl KnownFile {
    /// The file that is open as `file`.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn open(file: impl AsFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&file)?;
        Ok(Self::of(file, &stat))
    }

    /// The file that is open as `file` and is what `stat` says.
    pub fn of(file: impl AsFd, stat: &Stat) -> Self {
        let inexact = (!has_stable_inodes(&file, stat.st_dev))
            .then(|| Inexact { path: kernel_path(&file), state: state(stat) });
        Self { id: FileId::of(stat), inexact }
    }

    /// Whether `other`, which is open, is this file.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (&self.inexact, &other.inexact) {
            _ if self.id.dev != other.id.dev => false,
            (Some(own), Some(theirs)) => {
                (own.path.is_some() && own.path == theirs.path)
                    || (self.id == other.id && own.is_link_to(theirs))
            }
            _ => self.id == other.id,
        }
    }

    /// Whether this file has the name `name` in `dir`, where `stat` was seen.
    #[must_use]
    pub fn is_named(&self, dir: impl AsFd, name: &OsStr, stat: &Stat) -> bool {
        self.is_at(stat, || kernel_path(dir).map(|dir| dir.join(name)))
    }

    /// Whether this file is the one with this number, at the path that `path` finds out,
    /// without links in it. That is only asked where the numbers do not tell.
    #[must_use]
    pub fn has_id(&self, id: FileId, path: impl FnOnce() -> Option<PathBuf>) -> bool {
        match &self.inexact {
            None => self.id == id,
            Some(own) => self.id.dev == id.dev && own.path.is_some() && own.path == path(),
        }
    }

    /// Whether this file is the one that was seen as `stat` at the path that `path`
    /// finds out, without links in it. That is only asked where the numbers do not tell.
    #[must_use]
    pub fn is_at(&self, stat: &Stat, path: impl FnOnce() -> Option<PathBuf>) -> bool {
        match &self.inexact {
            None => self.id == FileId::of(stat),
            Some(_) if self.id.dev != stat.st_dev => false,
            Some(own) => {
                let there = Inexact { path: path(), state: state(stat) };
                (own.path.is_some() && own.path == there.path)
                    || (self.id == FileId::of(stat) && own.is_link_to(&there))
            }
        }
    }
}

impl Inexact {
    /// Whether two files with the same number are one with several names.
    fn is_link_to(&self, other: &Self) -> bool {
        self.state == other.state && self.state.0 > 1
    }
}

fn state(stat: &Stat) -> State {
    let modified = (stat.st_mtime, stat.st_mtime_nsec);
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let names = if is_folder { 1 } else { stat.st_nlink };
    (names, stat.st_size, modified, (stat.st_ctime, stat.st_ctime_nsec))
}

/// Whether two things that were seen under different names, of which one is open as
/// `file`, are one file with several names.
#[must_use]
pub fn is_same_file(file: impl AsFd, one: &Stat, other: &Stat) -> bool {
    FileId::of(one) == FileId::of(other)
        && (has_stable_inodes(file, one.st_dev) || (one.st_nlink > 1 && state(one) == state(other)))
}

/// The path that the kernel has for what is open. Needs /proc.
#[must_use]
pub fn kernel_path(file: impl AsFd) -> Option<PathBuf> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let path = readlinkat(rustix::fs::CWD, link, Vec::new()).ok()?;
    Some(OsString::from_vec(path.into_bytes()).into())
}
