//! Resolves paths that the user has named.
//!
//! The user's own links are followed once. The result is the descriptor of a folder and a
//! name in it. Everything after that is relative to the descriptor, so replacing a link
//! meanwhile has no effect.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileId, kernel_path};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, openat};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::Error;

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// The permission bits with which others than the owner may change a folder.
const OTHERS_WRITE: u32 = 0o022;

/// Opens the folder at `path`, to write into it. If the last component is a link, it is
/// followed, unless another user has created it in a folder that others can write to.
///
/// # Errors
/// [`Error::Open`], [`Error::OutputPlanted`].
pub fn open_folder(path: &Path) -> Result<Dir, Error> {
    reach_folder(path).map_err(|refused| match refused {
        Refused::System(error) => Error::Open { path: path.to_owned(), source: error.into() },
        Refused::Planted(owner) => Error::OutputPlanted { path: path.to_owned(), owner },
    })
}

fn reach_folder(path: &Path) -> Result<Dir, Refused> {
    if path.file_name().is_none() {
        return Ok(Dir::open(path)?);
    }
    match Named::reach(path, OpenFiles::ByName)? {
        Reached::Folder(folder) => Ok(folder),
        Reached::Found(Found::There(named, _)) => Ok(named.folder.open_dir(&named.name)?),
        Reached::Found(Found::Nothing(..)) => Err(Errno::NOENT.into()),
        Reached::Found(Found::Descriptor(fd, stat)) => {
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Ok(fd.into()),
                _ => Err(Errno::NOTDIR.into()),
            }
        }
    }
}

/// A name in a folder.
pub(crate) struct Named {
    pub(crate) folder: Arc<Dir>,
    pub(crate) name: OsString,
}

/// What was found.
pub(crate) enum Found {
    /// Nothing. For a dangling link, the place of the link itself.
    Nothing(Named, Option<Stat>),
    /// Something that is no symbolic link.
    There(Named, Stat),
    /// A descriptor of this process (`/dev/stdout`, `/dev/fd/N`, a process substitution)
    /// without any other name. Opened with `O_PATH`.
    Descriptor(OwnedFd, Stat),
}

/// How a link in /proc to an open file is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenFiles {
    /// As the path of the file, if it has one.
    ByName,
    /// As a descriptor that is written to from its current position on.
    AsDescriptors,
}

/// What was reached.
enum Reached {
    Found(Found),
    /// A link leads to a folder by a path without a last name, such as `..`.
    Folder(Dir),
}

/// Why nothing was found.
#[derive(Debug)]
pub(crate) enum Refused {
    /// An error of the system.
    System(Errno),
    /// The user with this id has created it in a folder that others can write to.
    Planted(u32),
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl Named {
    /// Finds what `path` leads to.
    pub(crate) fn find(path: &Path) -> Result<Found, Refused> {
        Self::found(path, OpenFiles::ByName)
    }

    /// The same for an output. What another process has opened for this one, such as
    /// `/dev/stdout`, is written to and not replaced.
    pub(crate) fn find_output(path: &Path) -> Result<Found, Refused> {
        Self::found(path, OpenFiles::AsDescriptors)
    }

    fn found(path: &Path, open_files: OpenFiles) -> Result<Found, Refused> {
        match Self::reach(path, open_files)? {
            Reached::Found(found) => Ok(found),
            Reached::Folder(_) => Err(Errno::ISDIR.into()),
        }
    }

    fn reach(path: &Path, open_files: OpenFiles) -> Result<Reached, Refused> {
        let found = |found| Ok(Reached::Found(found));
        let (folder, name) = Dir::open_parent(path)?;
        let mut here = Self { folder: Arc::new(folder), name };
        // The first link, and the open file that a link of /proc stands for.
        let (mut first, mut open_file) = (None, None);
        for _ in 0..MAX_LINKS {
            let stat = match here.folder.stat(&here.name) {
                Ok(stat) => stat,
                Err(Errno::NOENT) if open_file.is_none() => {
                    return found(first.map_or(Found::Nothing(here, None), nothing_behind));
                }
                Err(error) => return Err(error.into()),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return match open_file {
                    Some(id) if !FileId::of(&stat).may_be(id, &here.folder) => {
                        Err(Errno::NOENT.into())
                    }
                    _ => found(Found::There(here, stat)),
                };
            }
            if rustix::fs::fstatfs(&here.folder)?.f_type == PROC_SUPER_MAGIC {
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                let fd = openat(&here.folder, &here.name, flags, Mode::empty())?;
                let stat = fstat(&fd)?;
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                if is_file && open_files == OpenFiles::AsDescriptors {
                    return found(Found::Descriptor(here.duplicate().unwrap_or(fd), stat));
                }
                if !is_file {
                    return found(Found::Descriptor(fd, stat));
                }
                open_file = Some(FileId::of(&stat));
            } else if let Some(owner) = planted_by(&here.folder, &stat)? {
                return Err(Refused::Planted(owner));
            }
            let next = match here.next() {
                Err(Errno::NOENT) => {
                    return found(nothing_behind(first.unwrap_or((here, stat))));
                }
                Ok(Next::Folder(folder)) => return Ok(Reached::Folder(folder)),
                Ok(Next::Named(next)) => next,
                Err(error) => return Err(error.into()),
            };
            let link = std::mem::replace(&mut here, next);
            first.get_or_insert((link, stat));
        }
        Err(Errno::LOOP.into())
    }

    /// The descriptor of this process that this name in /proc/self/fd stands for: so what
    /// is written goes to where that process is in the file.
    fn duplicate(&self) -> Option<OwnedFd> {
        let here = getpid();
        let own = kernel_path(&*self.folder)? == Path::new(&format!("/proc/{here}/fd"));
        let number = self.name.to_str().filter(|_| own)?.parse().ok()?;
        let process = pidfd_open(here, PidfdFlags::empty()).ok()?;
        pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
    }

    /// Where this, which is a link, leads.
    fn next(&self) -> Result<Next, Errno> {
        let target = self.folder.read_link(&self.name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &Path| openat(&self.folder, path, flags, Mode::empty()).map(Dir::from);
        let Some(name) = target.file_name() else { return open(&target).map(Next::Folder) };
        let above = target.parent().filter(|above| !above.as_os_str().is_empty());
        let folder = open(above.unwrap_or(Path::new(".")))?;
        Ok(Next::Named(Self { folder: Arc::new(folder), name: name.to_owned() }))
    }
}

/// Where a link leads.
enum Next {
    Named(Named),
    /// To a folder, by a path without a last name.
    Folder(Dir),
}

fn nothing_behind((named, link): (Named, Stat)) -> Found {
    Found::Nothing(named, Some(link))
}

/// The id of the user who owns this, if that is neither this user nor root, and others can
/// write to the folder.
pub(crate) fn planted_by(folder: &Dir, stat: &Stat) -> Result<Option<u32>, Errno> {
    if !Protection::PlantedPipe.is_on() {
        return Ok(None);
    }
    let me = rustix::process::geteuid().as_raw();
    let is_trusted = |owner: u32| owner == me || owner == 0;
    if is_trusted(stat.st_uid) {
        return Ok(None);
    }
    let folder = folder.own_stat()?;
    let is_closed = is_trusted(folder.st_uid) && folder.st_mode & OTHERS_WRITE == 0;
    Ok((!is_closed).then_some(stat.st_uid))
}
