//! Where output goes: a file, a pipe or a device.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileId, KnownFile};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fcntl_getfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::abandoned::remove_abandoned_once;
use super::object::OutputObject;
use super::options::CommitOptions;
use super::pending::PendingFile;
use super::permissions::Permissions;
use super::sink::Sink;
use super::stream::Stream;
use crate::path_resolution::{
    Resolution, ResolveError, ResolvedPath, planted_by, refuse_if_owned_by_other,
};
use crate::{Error, ObjectOutput, Source};

/// Where the result goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// A path. If a pipe or a device has it, the result is written to that.
    Path {
        /// The path.
        path: PathBuf,
        /// Whether a file that exists may be replaced.
        force: bool,
    },
    /// A name in a folder that is open already, such as one of a tree. A symbolic link
    /// that has the name is replaced itself, never followed.
    Beneath {
        /// The folder.
        dir: Arc<Dir>,
        /// The name in it, of one component.
        name: OsString,
        /// The name for messages.
        path: PathBuf,
        /// Whether a file or a link that exists may be replaced.
        force: bool,
        /// Whether nothing had the name a moment ago, so that it need not be looked up now. If it
        /// was taken meanwhile, that is found out at the end.
        is_free: bool,
    },
    /// An object in a store.
    Object {
        /// Where it is written to.
        object: Arc<dyn ObjectOutput>,
        /// The name for messages.
        path: PathBuf,
    },
    /// A pipe that is open. Its reader must make nothing final before the run has succeeded.
    Pipe {
        /// The end to write to.
        pipe: Arc<OwnedFd>,
        /// The name for messages.
        path: PathBuf,
    },
    /// Standard output.
    Stdout {
        /// Refuse anything but text, because it is a terminal.
        only_text: bool,
    },
}

impl Target {
    /// Checks that the output can be created, as far as that is possible beforehand.
    /// Useful before a user is asked for a passphrase.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::SameFile`], [`Error::OutputIsDirectory`],
    /// [`Error::OutputPlanted`], [`Error::OwnedByOther`], [`Error::Create`].
    pub fn check(&self, source: &Source) -> Result<(), Error> {
        match self {
            Self::Path { path, force } => resolve(path, *force, Some(source)).map(drop),
            Self::Beneath { dir, name, path, force, .. } => {
                beneath(dir, name, path, *force, source).map(drop)
            }
            Self::Object { .. } | Self::Pipe { .. } | Self::Stdout { .. } => Ok(()),
        }
    }

    /// The output's name for messages, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path { path, .. }
            | Self::Beneath { path, .. }
            | Self::Object { path, .. }
            | Self::Pipe { path, .. } => Some(path),
            Self::Stdout { .. } => None,
        }
    }

    /// Prepares for writing, and refuses early what could only fail at the end.
    pub(crate) fn open(&self, source: &Source, options: CommitOptions) -> Result<Sink, Error> {
        let is_removable = || self.path().is_some() && source.is_removable();
        if options.remove_source && !is_removable() {
            return Err(Error::NotRemovable { path: source.path().to_owned() });
        }
        if options.remove_source {
            source.check_owner()?;
        }
        let (mode, lacks_acl) = source.output_mode();
        let permissions = match (options.follow_mode, options.keep_mode) {
            // Whoever can write to the store can change what it says.
            _ if source.is_object() => Permissions::AsNewFile(mode),
            (true, _) => Permissions::Following(mode),
            (false, true) => Permissions::Exactly(mode),
            (false, false) => Permissions::AsNewFile(mode),
        };
        let is_verifiable = || self.path().is_some() && source.is_file();
        if options.verify && !is_verifiable() {
            return Err(Error::NotVerifiable { path: source.path().to_owned() });
        }
        match self.open_with(source, permissions)? {
            // A file that must be written in order cannot be read before it is closed.
            Sink::File(pending) if options.verifies() && pending.is_in_order() => {
                Err(Error::NotVerifiable { path: source.path().to_owned() })
            }
            Sink::Stream(_) if options.remove_source => {
                let output = self.path().unwrap_or(source.path());
                Err(Error::NotRemovable { path: output.to_owned() })
            }
            Sink::Stream(_) if options.verify => {
                Err(Error::NotVerifiable { path: source.path().to_owned() })
            }
            Sink::File(mut pending) => {
                pending.lacks_acl = lacks_acl;
                Ok(Sink::File(pending))
            }
            sink => Ok(sink),
        }
    }

    /// Opens the target without changing an existing file.
    fn open_with(&self, source: &Source, permissions: Permissions) -> Result<Sink, Error> {
        match self {
            Self::Path { path, force } => match resolve(path, *force, Some(source))? {
                PathState::File(resolved, present) => {
                    remove_abandoned_once(&resolved.folder);
                    PendingFile::create_over(resolved, path, *force, present, permissions)
                        .map(|pending| Sink::File(Box::new(pending)))
                }
                PathState::Stream(reached) => {
                    let failed = |error: Errno| create_error(path, error.into());
                    let file = reached.open().map_err(failed)?;
                    Ok(Sink::Stream(Stream::new(file, path.to_owned(), false)))
                }
            },
            Self::Beneath { dir, name, path, force, is_free } => {
                let present = match is_free {
                    true => None,
                    false => beneath(dir, name, path, *force, source)?,
                };
                let resolved = ResolvedPath { folder: Arc::clone(dir), name: name.clone() };
                PendingFile::create_over(resolved, path, *force, present, permissions)
                    .map(|pending| Sink::File(Box::new(pending)))
            }
            Self::Object { object, path } => {
                let (object, attributes) = (Arc::clone(object), source.object_attributes());
                Ok(Sink::Object(OutputObject::new(object, path.clone(), attributes)))
            }
            Self::Pipe { pipe, path } => {
                let own = pipe.try_clone().map_err(|error| create_error(path, error))?;
                Ok(Sink::Stream(Stream::new(own.into(), path.clone(), false)))
            }
            Self::Stdout { only_text } => open_stdout(*only_text, source),
        }
    }
}

/// What a path leads to.
enum PathState {
    /// A new file, or one that replaces an existing file.
    File(ResolvedPath, Option<Stat>),
    /// A pipe or a device.
    Stream(SpecialFile),
}

/// Resolves an output's path. The user's own links are followed, so that the file is replaced
/// and not the link.
fn resolve(path: &Path, force: bool, source: Option<&Source>) -> Result<PathState, Error> {
    let (resolved, stat) = match find(path)? {
        Resolution::Missing(_, Some(_)) if !force => {
            return Err(Error::OutputExists { path: path.to_owned() });
        }
        Resolution::Missing(resolved, link) => return Ok(PathState::File(resolved, link)),
        Resolution::Existing(resolved, stat) => (resolved, stat),
        Resolution::Descriptor(fd, stat) => {
            // An open file without a name can still be the input.
            if let Some(source) = source.filter(|source| source.is_regular())
                && KnownFile::of(&fd, &stat).is(&source.known())
            {
                return Err(same_file(path, source));
            }
            return match kind(&stat) {
                FileType::Directory => Err(Error::OutputIsDirectory { path: path.to_owned() }),
                FileType::BlockDevice if !force => {
                    Err(Error::OutputExists { path: path.to_owned() })
                }
                _ => Ok(PathState::Stream(SpecialFile { fd, resolved: None })),
            };
        }
    };
    refuse_same_or_folder(&resolved.folder, &resolved.name, &stat, path, source)?;
    if is_stream(&stat, force) {
        let failed = |error: Errno| create_error(path, error.into());
        if let Some(owner) = planted_by(&resolved.folder, &stat).map_err(failed)? {
            return Err(Error::OutputPlanted { path: path.to_owned(), owner });
        }
        return SpecialFile::below(resolved, &stat).map(PathState::Stream).map_err(failed);
    }
    match kind(&stat) {
        _ if !force => Err(Error::OutputExists { path: path.to_owned() }),
        FileType::RegularFile => {
            refuse_if_owned_by_other(&resolved.folder, &stat, path)?;
            Ok(PathState::File(resolved, Some(stat)))
        }
        _ => Err(create_error(path, io::ErrorKind::InvalidInput.into())),
    }
}

fn find(path: &Path) -> Result<Resolution, Error> {
    if ends_as_folder(path) {
        return Err(match Dir::open(path) {
            Ok(_) => Error::OutputIsDirectory { path: path.to_owned() },
            Err(Errno::NOENT) => create_error(path, io::ErrorKind::NotADirectory.into()),
            Err(error) => create_error(path, error.into()),
        });
    }
    ResolvedPath::find_output(path).map_err(|refused| match refused {
        ResolveError::System(Errno::ISDIR) => Error::OutputIsDirectory { path: path.to_owned() },
        ResolveError::System(error) => create_error(path, error.into()),
        ResolveError::Planted(owner) => Error::OutputPlanted { path: path.to_owned(), owner },
    })
}

/// Writes a small file completely or not at all, or writes to a pipe or a device, as for
/// [`Target::Path`].
pub(super) fn write_small(
    path: &Path,
    content: &[u8],
    may_replace: bool,
    permissions: Permissions,
    sync: bool,
) -> Result<(), Error> {
    match resolve(path, may_replace, None)? {
        PathState::File(resolved, present) => {
            remove_abandoned_once(&resolved.folder);
            let pending =
                PendingFile::create_over(resolved, path, may_replace, present, permissions)?;
            pending.write_at(0, content)?;
            pending.commit(sync).map(drop)
        }
        PathState::Stream(reached) => {
            let file = reached.open().map_err(|error| create_error(path, error.into()))?;
            let mut stream = Stream::new(file, path.to_owned(), false);
            stream.write(0, content)?;
            if sync { stream.sync() } else { Ok(()) }
        }
    }
}

/// What has the name in the folder, or an error if that cannot be replaced.
fn beneath(
    dir: &Dir,
    name: &OsString,
    path: &Path,
    force: bool,
    source: &Source,
) -> Result<Option<Stat>, Error> {
    let stat = match dir.stat(name) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(create_error(path, error.into())),
    };
    refuse_same_or_folder(dir, name, &stat, path, Some(source))?;
    match kind(&stat) {
        FileType::RegularFile | FileType::Symlink if force => {
            refuse_if_owned_by_other(dir, &stat, path)?;
            Ok(Some(stat))
        }
        _ => Err(Error::OutputExists { path: path.to_owned() }),
    }
}

/// A pipe or a device, opened with `O_PATH`, so that exactly this one is written to whatever
/// happens to its name.
struct SpecialFile {
    fd: OwnedFd,
    /// Where it was found, if it has a name.
    resolved: Option<ResolvedPath>,
}

impl SpecialFile {
    /// What has this name, if it is still the same.
    fn below(resolved: ResolvedPath, stat: &Stat) -> Result<Self, Errno> {
        let file = resolved.folder.open_with(&resolved.name, OFlags::PATH, Mode::empty())?;
        if !is_same(&file, stat)? {
            return Err(Errno::STALE);
        }
        Ok(Self { fd: file.into(), resolved: Some(resolved) })
    }

    /// Opens it for writing, and waits for a pipe's reader.
    fn open(&self) -> Result<File, Errno> {
        // A descriptor that can be written to already.
        if !fcntl_getfl(&self.fd)?.contains(OFlags::PATH) {
            return Ok(File::from(fcntl_dupfd_cloexec(&self.fd, 0)?));
        }
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        // Opened anew, it does not know where its process is in a file.
        let is_file =
            self.resolved.is_none() && kind(&rustix::fs::fstat(&self.fd)?) == FileType::RegularFile;
        let more = if is_file { OFlags::APPEND } else { OFlags::empty() };
        match (open_waiting(CWD, path.as_ref(), more), &self.resolved) {
            // Without /proc by its name, if that is still its own.
            (Err(Errno::NOENT), Some(resolved)) => {
                let file = open_waiting(&resolved.folder, &resolved.name, OFlags::NOFOLLOW)?;
                let stat = rustix::fs::fstat(&self.fd)?;
                if is_same(&file, &stat)? { Ok(file) } else { Err(Errno::STALE) }
            }
            (opened, _) => opened,
        }
    }
}

fn open_waiting(folder: impl AsFd, name: &OsStr, more: OFlags) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | more;
    loop {
        match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            opened => return opened.map(File::from),
        }
    }
}

fn is_same(file: &File, stat: &Stat) -> Result<bool, Errno> {
    let now = rustix::fs::fstat(file)?;
    Ok(FileId::of(stat).may_be(FileId::of(&now), file) && now.st_mode == stat.st_mode)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is_stream(stat: &Stat, force: bool) -> bool {
    match kind(stat) {
        FileType::Fifo | FileType::CharacterDevice => true,
        FileType::BlockDevice => force,
        _ => false,
    }
}

fn refuse_same_or_folder(
    dir: &Dir,
    name: &OsStr,
    stat: &Stat,
    path: &Path,
    source: Option<&Source>,
) -> Result<(), Error> {
    // By device and inode if these are reliable, so that links cannot hide it.
    if let Some(source) = source.filter(|source| source.is_regular())
        && source.known().is_named(dir, name, stat)
    {
        return Err(same_file(path, source));
    }
    if kind(stat) == FileType::Directory {
        return Err(Error::OutputIsDirectory { path: path.to_owned() });
    }
    Ok(())
}

fn same_file(path: &Path, source: &Source) -> Error {
    Error::SameFile { input: source.path().to_owned(), output: path.to_owned() }
}

fn create_error(path: &Path, source: io::Error) -> Error {
    Error::Create { path: path.to_owned(), source }
}

/// Whether the path can only be that of a folder.
fn ends_as_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.is_empty()
        || [&b"."[..], b".."].contains(&bytes)
        || [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end))
}

fn open_stdout(only_text: bool, source: &Source) -> Result<Sink, Error> {
    let path = PathBuf::from("standard output");
    let file = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => File::from(fd),
        Err(source) => return Err(Error::Create { path, source }),
    };
    if source.is_regular() && KnownFile::open(&file).is_ok_and(|known| known.is(&source.known())) {
        return Err(same_file(&path, source));
    }
    Ok(Sink::Stream(Stream::new(file, path, only_text)))
}
