//! A directory as a descriptor, and what can be done below it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, Timestamps, chmodat, fchmod, linkat,
    mkdirat, openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::identity::{FileId, has_stable_inodes, kernel_path};
use crate::resolve::{DIRECTORY, SAFE_FLAGS, resolve, split_relative};

/// A directory as a descriptor. See the crate's description.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Opens the directory at `path`, which the user has named: links are followed.
    ///
    /// # Errors
    /// As openat(2); `ENOTDIR` for what is no directory.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self { fd: openat(CWD, path, DIRECTORY, Mode::empty())? })
    }

    /// Opens the directory that contains `path`, which the user has named, and returns
    /// it with the last component, which is not looked at.
    ///
    /// # Errors
    /// As openat(2); `EISDIR` for a path that ends in no name, such as `/` or `a/..`.
    pub fn open_parent(path: &Path) -> Result<(Self, OsString), Errno> {
        let name = path.file_name().ok_or(Errno::ISDIR)?.to_owned();
        Ok((Self::open(path.parent().unwrap_or(Path::new(".")))?, name))
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// As openat(2); `ELOOP` where a component is a symbolic link, `ENOTDIR` where one
    /// is another thing that is no directory.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Self, Errno> {
        let fd = resolve(&self.fd, path.as_ref(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens what `path` names, for reading. It may be a pipe or a device by now: look
    /// with `fstat` before reading.
    ///
    /// # Errors
    /// As openat(2); `ELOOP` where a component, the last one too, is a symbolic link.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File, Errno> {
        self.open_with(path, OFlags::RDONLY, Mode::empty())
    }

    /// Opens a name in this directory that the user has given, for reading: links are
    /// followed, and a pipe is waited for.
    ///
    /// # Errors
    /// As openat(2).
    pub fn open_named(&self, name: &OsStr) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        loop {
            match openat(&self.fd, name, flags, Mode::empty()) {
                Err(Errno::INTR) => {}
                opened => return opened.map(File::from),
            }
        }
    }

    /// Opens what `path` names with these flags, to which the careful ones are added.
    ///
    /// # Errors
    /// As [`Dir::open_file`].
    pub fn open_with(
        &self,
        path: impl AsRef<Path>,
        flags: OFlags,
        mode: Mode,
    ) -> Result<File, Errno> {
        resolve(&self.fd, path.as_ref(), flags | SAFE_FLAGS, mode).map(File::from)
    }

    /// Creates a file that must not exist yet, for writing.
    ///
    /// # Errors
    /// As openat(2) with `O_EXCL`.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: Mode) -> Result<File, Errno> {
        self.open_with(path, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, mode)
    }

    /// Opens an unnamed file in this directory, for writing (`O_TMPFILE`).
    ///
    /// # Errors
    /// As openat(2); what is answered where there are no unnamed files differs.
    pub fn create_unnamed(&self, mode: Mode) -> Result<File, Errno> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(&self.fd, ".", flags, mode).map(File::from)
    }

    /// Creates a directory, with `mode` less the umask.
    ///
    /// # Errors
    /// As mkdirat(2).
    pub fn create_dir(&self, path: impl AsRef<Path>, mode: Mode) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| mkdirat(dir, name, mode))
    }

    /// What `path` is; of a symbolic link, the link itself.
    ///
    /// # Errors
    /// As fstatat(2).
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Stat, Errno> {
        self.at(path.as_ref(), |dir, name| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// What this directory is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn own_stat(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&self.fd)
    }

    /// Whether this directory is `other` or lies in it, however deep. A directory above
    /// that cannot be reached counts as another.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn is_or_lies_in(&self, other: &Self) -> Result<bool, Errno> {
        let stat = other.own_stat()?;
        if !has_stable_inodes(other, stat.st_dev) {
            let (own, other) = (kernel_path(self), kernel_path(other));
            return Ok(own.zip(other).is_some_and(|(own, other)| own.starts_with(other)));
        }
        let id = FileId::of(&stat);
        let mut here = FileId::of(&self.own_stat()?);
        let mut dir = self.try_clone()?;
        while here != id {
            let Ok(above) = openat(&dir.fd, "..", DIRECTORY, Mode::empty()) else {
                return Ok(false);
            };
            dir = Self { fd: above };
            let above = FileId::of(&dir.own_stat()?);
            if above == here {
                return Ok(false);
            }
            here = above;
        }
        Ok(true)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// As readlinkat(2).
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf, Errno> {
        use std::os::unix::ffi::OsStringExt;
        let target = self.at(path.as_ref(), |dir, name| readlinkat(dir, name, Vec::new()))?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Creates a symbolic link at `path` that leads to `target`, whatever that is.
    ///
    /// # Errors
    /// As symlinkat(2).
    pub fn symlink(&self, target: &Path, path: impl AsRef<Path>) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| symlinkat(target, dir, name))
    }

    /// Gives the file at `from` a second name, `to` in `to_dir`. A symbolic link is
    /// linked itself.
    ///
    /// # Errors
    /// As linkat(2).
    pub fn hard_link(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
    ) -> Result<(), Errno> {
        self.at(from.as_ref(), |dir, name| {
            to_dir.at(to.as_ref(), |to_dir, to| linkat(dir, name, to_dir, to, AtFlags::empty()))
        })
    }

    /// Renames `from` to `to` in `to_dir`, replacing what is there.
    ///
    /// # Errors
    /// As renameat(2).
    pub fn rename(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
    ) -> Result<(), Errno> {
        self.at(from.as_ref(), |dir, name| {
            to_dir.at(to.as_ref(), |to_dir, to| renameat(dir, name, to_dir, to))
        })
    }

    /// The same with flags, of which a file system may know none.
    ///
    /// # Errors
    /// As renameat2(2).
    pub fn rename_with(
        &self,
        from: impl AsRef<Path>,
        to_dir: &Self,
        to: impl AsRef<Path>,
        flags: RenameFlags,
    ) -> Result<(), Errno> {
        self.at(from.as_ref(), |dir, name| {
            to_dir.at(to.as_ref(), |to_dir, to| renameat_with(dir, name, to_dir, to, flags))
        })
    }

    /// Removes a name that is not that of a directory.
    ///
    /// # Errors
    /// As unlinkat(2).
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| unlinkat(dir, name, AtFlags::empty()))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As unlinkat(2) with `AT_REMOVEDIR`.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| unlinkat(dir, name, AtFlags::REMOVEDIR))
    }

    /// Sets the times of what `path` names; of a symbolic link, its own.
    ///
    /// # Errors
    /// As utimensat(2).
    pub fn set_times(&self, path: impl AsRef<Path>, times: &Timestamps) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| utimensat(dir, name, times, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Sets the permission bits of the file of this name, which must be the one that `id`
    /// tells of. The file need not be readable.
    ///
    /// # Errors
    /// As chmod(2); `ESTALE` where the name leads to another file.
    pub fn set_mode(&self, name: impl AsRef<Path>, id: FileId, mode: Mode) -> Result<(), Errno> {
        let file = self.open_with(name, OFlags::PATH, Mode::empty())?;
        if FileId::of(&rustix::fs::fstat(&file)?) != id {
            return Err(Errno::STALE);
        }
        // See `set_own_mode`.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        chmodat(CWD, path, mode, AtFlags::empty())
    }

    /// Opens this directory itself for reading.
    ///
    /// # Errors
    /// As openat(2).
    pub fn open_self(&self) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.fd, ".", flags, Mode::empty()).map(File::from)
    }

    /// Sets this directory's own permission bits.
    ///
    /// # Errors
    /// As fchmod(2).
    pub fn set_own_mode(&self, mode: Mode) -> Result<(), Errno> {
        // The descriptor is one for reaching only, with which fchmod refuses; `.` is the
        // same directory, and no link.
        match self.open_self() {
            Ok(readable) => fchmod(&readable, mode),
            // One that its owner may not go into. This needs /proc, and is no path that
            // anybody else can change.
            Err(Errno::ACCESS) => {
                let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
                chmodat(CWD, path, mode, AtFlags::empty())
            }
            Err(error) => Err(error),
        }
    }

    /// Sets this directory's own times.
    ///
    /// # Errors
    /// As utimensat(2).
    pub fn set_own_times(&self, times: &Timestamps) -> Result<(), Errno> {
        utimensat(&self.fd, ".", times, AtFlags::empty())
    }

    /// The names in this directory, without `.` and `..`, in no order.
    ///
    /// # Errors
    /// As openat(2) for reading, and as getdents(2) for each entry.
    pub fn entries(&self) -> Result<ReadDir, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = openat(&self.fd, ".", flags, Mode::empty())?;
        Ok(ReadDir { inner: rustix::fs::Dir::new(readable)? })
    }

    /// A second descriptor of the same directory.
    ///
    /// # Errors
    /// As dup(2).
    pub fn try_clone(&self) -> Result<Self, Errno> {
        Ok(Self { fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)? })
    }

    /// Does `act` in the directory that the last component of `path` is in.
    fn at<T>(
        &self,
        path: &Path,
        act: impl FnOnce(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match split_relative(path)? {
            (None, name) => act(self.fd.as_fd(), name),
            (Some(above), name) => act(self.open_dir(above)?.fd.as_fd(), name),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

/// What is in a directory, as it is read. See [`Dir::entries`].
#[derive(Debug)]
pub struct ReadDir {
    inner: rustix::fs::Dir,
}

impl Iterator for ReadDir {
    /// A name, and its type as far as the file system tells it. A type that was told is
    /// a hint: act on what [`Dir::stat`] or an open descriptor says.
    type Item = Result<(OsString, FileType), Errno>;

    fn next(&mut self) -> Option<Self::Item> {
        use std::os::unix::ffi::OsStrExt;
        loop {
            let entry = match self.inner.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                return Some(Ok((name.to_owned(), entry.file_type())));
            }
        }
    }
}

#[cfg(test)]
mod tests;
