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

/// An open directory, from which paths below it are resolved. Opening it needs no read permission.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl Dir {
    /// Opens the directory at `path`, following links. Use it for paths that the user has named.
    ///
    /// # Errors
    /// As openat(2); `ENOTDIR` if it is not a directory.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self { fd: openat(CWD, path, DIRECTORY, Mode::empty())? })
    }

    /// Opens the parent directory of `path`, following links, and returns it with the last
    /// component, which need not exist. Use it for paths that the user has named.
    ///
    /// # Errors
    /// As openat(2); `EISDIR` if the path does not end in a name, such as `/` or `a/..`.
    pub fn open_parent(path: &Path) -> Result<(Self, OsString), Errno> {
        let name = path.file_name().ok_or(Errno::ISDIR)?.to_owned();
        Ok((Self::open(path.parent().unwrap_or(Path::new(".")))?, name))
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    /// As openat(2); `ELOOP` if a component is a symbolic link, `ENOTDIR` if one is not a
    /// directory.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<Self, Errno> {
        let fd = resolve(&self.fd, path.as_ref(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Opens the file at `path` for reading. It may be a pipe or a device: check with fstat(2)
    /// before reading.
    ///
    /// # Errors
    /// As openat(2); `ELOOP` if any component, including the last, is a symbolic link.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File, Errno> {
        self.open_with(path, OFlags::RDONLY, Mode::empty())
    }

    /// Opens the file of this name for reading, following links and waiting for the writer of a
    /// pipe. Use it for names that the user has given.
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

    /// Opens the file at `path` with these flags. `O_NOFOLLOW`, `O_CLOEXEC`, `O_NONBLOCK` and
    /// `O_NOCTTY` are added.
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

    /// Creates a file for writing, which must not exist yet.
    ///
    /// # Errors
    /// As openat(2) with `O_EXCL`.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: Mode) -> Result<File, Errno> {
        self.open_with(path, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY, mode)
    }

    /// Creates an unnamed file in this directory for writing (`O_TMPFILE`).
    ///
    /// # Errors
    /// As openat(2). File systems without unnamed files fail with various errors.
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

    /// The attributes of the file at `path`. A link is not followed.
    ///
    /// # Errors
    /// As fstatat(2).
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Stat, Errno> {
        self.at(path.as_ref(), |dir, name| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// The attributes of this directory.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn own_stat(&self) -> Result<Stat, Errno> {
        rustix::fs::fstat(&self.fd)
    }

    /// Whether this directory is `other` or lies below it. A parent that cannot be opened counts
    /// as a different directory.
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

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// As readlinkat(2).
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf, Errno> {
        use std::os::unix::ffi::OsStringExt;
        let target = self.at(path.as_ref(), |dir, name| readlinkat(dir, name, Vec::new()))?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Creates a symbolic link to `target` at `path`. The target is not checked.
    ///
    /// # Errors
    /// As symlinkat(2).
    pub fn symlink(&self, target: &Path, path: impl AsRef<Path>) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| symlinkat(target, dir, name))
    }

    /// Creates a hard link `to` in `to_dir` to the file or symbolic link at `from`.
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

    /// Renames `from` to `to` in `to_dir`, replacing an existing file.
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

    /// Like [`Dir::rename`] with flags, which a file system may not support.
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

    /// Removes a file or a link.
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

    /// Sets the times of the file at `path`. A link is not followed.
    ///
    /// # Errors
    /// As utimensat(2).
    pub fn set_times(&self, path: impl AsRef<Path>, times: &Timestamps) -> Result<(), Errno> {
        self.at(path.as_ref(), |dir, name| utimensat(dir, name, times, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Sets the permission bits of the file of this name, if it has this `id`. The file need not
    /// be readable.
    ///
    /// # Errors
    /// As chmod(2); `ESTALE` if it is another file.
    pub fn set_mode(&self, name: impl AsRef<Path>, id: FileId, mode: Mode) -> Result<(), Errno> {
        let file = self.open_with(name, OFlags::PATH, Mode::empty())?;
        if FileId::of(&rustix::fs::fstat(&file)?) != id {
            return Err(Errno::STALE);
        }
        // fchmod(2) refuses a descriptor with `O_PATH`; nobody else can change this path.
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
        // fchmod(2) refuses a descriptor with `O_PATH`. `.` is the same directory, not a link.
        match self.open_self() {
            Ok(readable) => fchmod(&readable, mode),
            // Its bits deny reading. This needs /proc; nobody else can change this path.
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

    /// The names in this directory without `.` and `..`, in no particular order.
    ///
    /// # Errors
    /// As openat(2); each entry as getdents(2).
    pub fn entries(&self) -> Result<ReadDir, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = openat(&self.fd, ".", flags, Mode::empty())?;
        Ok(ReadDir { inner: rustix::fs::Dir::new(readable)? })
    }

    /// Duplicates the descriptor.
    ///
    /// # Errors
    /// As dup(2).
    pub fn try_clone(&self) -> Result<Self, Errno> {
        Ok(Self { fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)? })
    }

    /// Calls `act` with the parent directory of `path` and its last component.
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

/// Iterates over the names in a directory. See [`Dir::entries`].
#[derive(Debug)]
pub struct ReadDir {
    inner: rustix::fs::Dir,
}

impl Iterator for ReadDir {
    /// A name, and its type if the file system reports it. The type is only a hint: rely on
    /// [`Dir::stat`] or an open descriptor.
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
