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
/// The bit with which only the owner of an entry, or of the folder, may rename or remove it.
const STICKY: u32 = 0o1000;

/// Opens the folder at `path`, to write into it. If the last component is a link, it is
/// followed, unless another user has created it in a folder that others can write to.
///
/// # Errors
/// [`Error::Open`], [`Error::OutputPlanted`].
pub fn open_folder(path: &Path) -> Result<Dir, Error> {
    resolve_folder(path).map_err(|refused| match refused {
        ResolveError::System(error) => Error::Open { path: path.to_owned(), source: error.into() },
        ResolveError::Planted(owner) => Error::OutputPlanted { path: path.to_owned(), owner },
    })
}

fn resolve_folder(path: &Path) -> Result<Dir, ResolveError> {
    if path.file_name().is_none() {
        return Ok(Dir::open(path)?);
    }
    match ResolvedPath::resolve(path, ProcLinks::AsPaths)? {
        PathEnd::Folder(folder) => Ok(folder),
        PathEnd::Resolved(Resolution::Existing(resolved, _)) => {
            Ok(resolved.folder.open_dir(&resolved.name)?)
        }
        PathEnd::Resolved(Resolution::Missing(..)) => Err(Errno::NOENT.into()),
        PathEnd::Resolved(Resolution::Descriptor(fd, stat)) => {
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Ok(fd.into()),
                _ => Err(Errno::NOTDIR.into()),
            }
        }
    }
}

/// A name in an open folder: what a path leads to behind all links.
pub(crate) struct ResolvedPath {
    pub(crate) folder: Arc<Dir>,
    pub(crate) name: OsString,
}

/// What a path leads to.
pub(crate) enum Resolution {
    /// Nothing. For a dangling link, the place of the link itself.
    Missing(ResolvedPath, Option<Stat>),
    /// A file of any kind but a symbolic link.
    Existing(ResolvedPath, Stat),
    /// A descriptor of this process (`/dev/stdout`, `/dev/fd/N`, a process substitution)
    /// without any other name. Opened with `O_PATH`.
    Descriptor(OwnedFd, Stat),
}

/// How a link in /proc to an open file is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProcLinks {
    /// As the path of the file, if it has one.
    AsPaths,
    /// As a descriptor that is written to from its current position on.
    AsDescriptors,
}

/// Where the components of a path end.
enum PathEnd {
    Resolved(Resolution),
    /// A link leads to a folder by a path without a last name, such as `..`.
    Folder(Dir),
}

/// Why a path was not resolved.
#[derive(Debug)]
pub(crate) enum ResolveError {
    /// An error of the system.
    System(Errno),
    /// The user with this id has created it in a folder that others can write to.
    Planted(u32),
}

impl From<Errno> for ResolveError {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl ResolvedPath {
    /// Finds what `path` leads to.
    pub(crate) fn find(path: &Path) -> Result<Resolution, ResolveError> {
        Self::resolve_file(path, ProcLinks::AsPaths)
    }

    /// Finds what `path` leads to, for an output. A file that another process has opened for
    /// this one, such as `/dev/stdout`, is written to, not replaced.
    pub(crate) fn find_output(path: &Path) -> Result<Resolution, ResolveError> {
        Self::resolve_file(path, ProcLinks::AsDescriptors)
    }

    fn resolve_file(path: &Path, proc_links: ProcLinks) -> Result<Resolution, ResolveError> {
        match Self::resolve(path, proc_links)? {
            PathEnd::Resolved(found) => Ok(found),
            PathEnd::Folder(_) => Err(Errno::ISDIR.into()),
        }
    }

    fn resolve(path: &Path, proc_links: ProcLinks) -> Result<PathEnd, ResolveError> {
        let found = |found| Ok(PathEnd::Resolved(found));
        let (folder, name) = Dir::open_parent(path)?;
        let mut here = Self { folder: Arc::new(folder), name };
        // The first link, and the open file that a link of /proc stands for.
        let (mut first, mut open_file) = (None, None);
        for _ in 0..MAX_LINKS {
            let stat = match here.folder.stat(&here.name) {
                Ok(stat) => stat,
                Err(Errno::NOENT) if open_file.is_none() => {
                    return found(first.map_or(Resolution::Missing(here, None), missing_behind));
                }
                Err(error) => return Err(error.into()),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return match open_file {
                    Some(id) if !FileId::of(&stat).may_be(id, &here.folder) => {
                        Err(Errno::NOENT.into())
                    }
                    _ => found(Resolution::Existing(here, stat)),
                };
            }
            if rustix::fs::fstatfs(&here.folder)?.f_type == PROC_SUPER_MAGIC {
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                let fd = openat(&here.folder, &here.name, flags, Mode::empty())?;
                let stat = fstat(&fd)?;
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                if is_file && proc_links == ProcLinks::AsDescriptors {
                    return found(Resolution::Descriptor(here.duplicate().unwrap_or(fd), stat));
                }
                if !is_file {
                    return found(Resolution::Descriptor(fd, stat));
                }
                open_file = Some(FileId::of(&stat));
            } else if let Some(owner) = planted_by(&here.folder, &stat)? {
                return Err(ResolveError::Planted(owner));
            }
            let next = match here.next() {
                Err(Errno::NOENT) => {
                    return found(missing_behind(first.unwrap_or((here, stat))));
                }
                Ok(LinkTarget::Folder(folder)) => return Ok(PathEnd::Folder(folder)),
                Ok(LinkTarget::Path(next)) => next,
                Err(error) => return Err(error.into()),
            };
            let link = std::mem::replace(&mut here, next);
            first.get_or_insert((link, stat));
        }
        Err(Errno::LOOP.into())
    }

    /// The descriptor of this process that this name in /proc/self/fd stands for. A duplicate
    /// shares the file position of the process that opened it.
    fn duplicate(&self) -> Option<OwnedFd> {
        let here = getpid();
        let own = kernel_path(&*self.folder)? == Path::new(&format!("/proc/{here}/fd"));
        let number = self.name.to_str().filter(|_| own)?.parse().ok()?;
        let process = pidfd_open(here, PidfdFlags::empty()).ok()?;
        pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
    }

    /// Follows this link by one step.
    fn next(&self) -> Result<LinkTarget, Errno> {
        let target = self.folder.read_link(&self.name)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &Path| openat(&self.folder, path, flags, Mode::empty()).map(Dir::from);
        let Some(name) = target.file_name() else { return open(&target).map(LinkTarget::Folder) };
        let above = target.parent().filter(|above| !above.as_os_str().is_empty());
        let folder = open(above.unwrap_or(Path::new(".")))?;
        Ok(LinkTarget::Path(Self { folder: Arc::new(folder), name: name.to_owned() }))
    }
}

/// Where a link leads.
enum LinkTarget {
    Path(ResolvedPath),
    /// To a folder, by a path without a last name.
    Folder(Dir),
}

fn missing_behind((resolved, link): (ResolvedPath, Stat)) -> Resolution {
    Resolution::Missing(resolved, Some(link))
}

/// Refuses what only its owner may replace or remove, because of the sticky bit of its folder.
pub(crate) fn refuse_if_owned_by_other(
    folder: &Dir,
    stat: &Stat,
    path: &Path,
) -> Result<(), Error> {
    let me = rustix::process::geteuid().as_raw();
    let is_kept = |folder: Stat| folder.st_mode & STICKY != 0 && folder.st_uid != me;
    if stat.st_uid == me || !folder.own_stat().is_ok_and(is_kept) || may_ignore_owners() {
        return Ok(());
    }
    Err(Error::OwnedByOther { path: path.to_owned(), owner: stat.st_uid })
}

/// Whether this process has the capability for what is left to owners (capabilities(7)).
fn may_ignore_owners() -> bool {
    const CAP_FOWNER: u64 = 1 << 3;
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return rustix::process::geteuid().is_root();
    };
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    effective.is_some_and(|set| set & CAP_FOWNER != 0)
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
