//! Finds out whether two files are the same.
//!
//! Local file systems identify a file by device and inode number. Others make the numbers up: a
//! FUSE file system may give a file a new number after a rename or a lookup, or give all files the
//! same one; an SMB server may not send them; FAT has none. These file systems also cache
//! attributes, so a length or a time may be a second old.
//!
//! On these, neither equal nor different numbers prove anything. Instead, the paths that the kernel
//! has for open files (`/proc/self/fd/N`) are compared, which no link can fake.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Stat, StatxFlags, fstatfs, readlinkat, statx};
use rustix::io::Errno;

/// The types in statfs(2) of file systems with unreliable inode numbers and cached attributes: FUSE
/// and virtiofs, three versions of SMB, 9P, shared folders of VirtualBox and Parallels, Coda, FAT
/// and exFAT.
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

/// Device and inode number: they identify a file if [`has_stable_inodes`] is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device.
    pub dev: u64,
    /// The inode number.
    pub ino: u64,
}

impl FileId {
    /// The numbers in `stat`.
    #[must_use]
    pub fn of(stat: &Stat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }

    /// Whether both may be the same file: the numbers are equal, or unreliable on this file system.
    /// `on` is an open file on the file system of `self`.
    #[must_use]
    pub fn may_be(self, other: Self, on: impl AsFd) -> bool {
        self == other || (self.dev == other.dev && !has_stable_inodes(on, self.dev))
    }
}

/// Whether the file system of `file`, which is device `dev`, has stable inode numbers and
/// up-to-date attributes.
#[must_use]
pub fn has_stable_inodes(file: impl AsFd, dev: u64) -> bool {
    // The answer is kept for each device.
    static KNOWN: Mutex<Vec<(u64, bool)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, is_stable)) = known.iter().find(|(device, _)| *device == dev) {
        return *is_stable;
    }
    // If the type is unknown, the numbers are trusted.
    let kind = fstatfs(file).map_or(0, |found| found.f_type as u64 & 0xffff_ffff);
    let is_stable = !UNSTABLE_INODES.contains(&kind);
    known.push((dev, is_stable));
    is_stable
}

/// The attributes of an open file. `stat` is what fstat(2) has returned. If that may come from a
/// cache, the file system is asked again.
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

/// Whether the content of an open file is unchanged between `then` and `now`, judged by its length
/// and times.
///
/// Every change of the content changes the time of the last status change (ctime), which no program
/// can set back. A new name, owner or mode also changes that time, but not the content, so these
/// are compared as well. The inode number is not compared, since some file systems change it.
#[must_use]
pub fn has_same_content(then: &Stat, now: &Stat) -> bool {
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    let changed = |stat: &Stat| (stat.st_ctime, stat.st_ctime_nsec);
    let attributes = |stat: &Stat| (stat.st_nlink, stat.st_mode, stat.st_uid, stat.st_gid);
    content(then) == content(now)
        && (changed(then) == changed(now)
            // A file without a name was removed or replaced.
            || (attributes(then) != attributes(now) && now.st_nlink > 0))
}

/// A file that can be recognized under another name or path.
#[derive(Clone, Debug)]
pub struct KnownFile {
    id: FileId,
    /// What is compared if the inode numbers are unreliable.
    fallback: Option<PathAndState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PathAndState {
    path: Option<PathBuf>,
    state: State,
}

/// The number of links (1 for a directory), length and times.
type State = (u64, i64, (i64, u64), (i64, u64));

impl KnownFile {
    /// The open file `file`.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn open(file: impl AsFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&file)?;
        Ok(Self::of(file, &stat))
    }

    /// The open file `file` with these attributes.
    pub fn of(file: impl AsFd, stat: &Stat) -> Self {
        let fallback = (!has_stable_inodes(&file, stat.st_dev))
            .then(|| PathAndState { path: kernel_path(&file), state: state(stat) });
        Self { id: FileId::of(stat), fallback }
    }

    /// Whether both are the same file.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (&self.fallback, &other.fallback) {
            _ if self.id.dev != other.id.dev => false,
            (Some(own), Some(theirs)) => {
                (own.path.is_some() && own.path == theirs.path)
                    || (self.id == other.id && own.is_link_to(theirs))
            }
            _ => self.id == other.id,
        }
    }

    /// Whether the file `name` in `dir`, which has the attributes `stat`, is this file.
    #[must_use]
    pub fn is_named(&self, dir: impl AsFd, name: &OsStr, stat: &Stat) -> bool {
        self.is_at(stat, || kernel_path(dir).map(|dir| dir.join(name)))
    }

    /// Whether the file with this `id` is this file. `path` returns its path without links; it is
    /// called only if the inode numbers are unreliable.
    #[must_use]
    pub fn has_id(&self, id: FileId, path: impl FnOnce() -> Option<PathBuf>) -> bool {
        match &self.fallback {
            None => self.id == id,
            Some(own) => self.id.dev == id.dev && own.path.is_some() && own.path == path(),
        }
    }

    /// Whether the file with the attributes `stat` is this file. `path` returns its path without
    /// links; it is called only if the inode numbers are unreliable.
    #[must_use]
    pub fn is_at(&self, stat: &Stat, path: impl FnOnce() -> Option<PathBuf>) -> bool {
        match &self.fallback {
            None => self.id == FileId::of(stat),
            Some(_) if self.id.dev != stat.st_dev => false,
            Some(own) => {
                let there = PathAndState { path: path(), state: state(stat) };
                (own.path.is_some() && own.path == there.path)
                    || (self.id == FileId::of(stat) && own.is_link_to(&there))
            }
        }
    }
}

impl PathAndState {
    /// Whether two files with the same inode number are hard links to one file.
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

/// Whether two names with these attributes are hard links to one file. `file` is either of them.
#[must_use]
pub fn is_same_file(file: impl AsFd, one: &Stat, other: &Stat) -> bool {
    FileId::of(one) == FileId::of(other)
        && (has_stable_inodes(file, one.st_dev) || (one.st_nlink > 1 && state(one) == state(other)))
}

/// The path that the kernel has for an open file. Needs /proc.
#[must_use]
pub fn kernel_path(file: impl AsFd) -> Option<PathBuf> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let path = readlinkat(rustix::fs::CWD, link, Vec::new()).ok()?;
    Some(OsString::from_vec(path.into_bytes()).into())
}
