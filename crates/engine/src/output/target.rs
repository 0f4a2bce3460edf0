//! What a name on the command line means as an output.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{PendingFile, Sink, Stream};
use crate::input::PIPE_SIZE;
use crate::{Error, Source};

/// Where a run is to leave its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name in the file system.
    Path {
        /// The name.
        path: PathBuf,
        /// Whether a file that exists may be replaced.
        force: bool,
    },
    /// Standard output.
    Stdout {
        /// Refuse anything but text: it is a terminal, and nobody asked for
        /// the output to go there by name.
        only_text: bool,
    },
}

impl Target {
    /// Looks whether something is in the way, as far as that can be seen
    /// beforehand: before a user is asked for anything.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::SameFile`],
    /// [`Error::OutputIsDirectory`], [`Error::Create`].
    pub fn check(&self, source: &Source) -> Result<(), Error> {
        match self {
            Self::Path { path, force } => resolve(path, *force, source).map(drop),
            Self::Stdout { .. } => Ok(()),
        }
    }

    /// Opens the target; what stands there already is left as it is.
    pub(super) fn open(&self, source: &Source) -> Result<Sink, Error> {
        match self {
            Self::Path { path, force } => match resolve(path, *force, source)? {
                Place::File(real) => PendingFile::create(&real, *force).map(Sink::File),
                Place::Stream => {
                    let file = OpenOptions::new().write(true).open(path);
                    let failed = |source| Error::Create { path: path.to_owned(), source };
                    Ok(stream(file.map_err(failed)?, path.to_owned(), false))
                }
            },
            Self::Stdout { only_text } => open_stdout(*only_text, source),
        }
    }
}

/// What a name stands for.
enum Place {
    /// A file that is to come into being or to be replaced, by its real name.
    File(PathBuf),
    /// A pipe or a device.
    Stream,
}

fn resolve(path: &Path, force: bool, source: &Source) -> Result<Place, Error> {
    let failed = |source| Error::Create { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return resolve_new(path, force);
        }
        Err(error) => return Err(failed(error)),
    };
    if is_same_file(&metadata, source) {
        return Err(Error::SameFile { input: source.path().to_owned(), output: path.to_owned() });
    }
    let file_type = metadata.file_type();
    if file_type.is_dir() {
        return Err(Error::OutputIsDirectory { path: path.to_owned() });
    }
    if file_type.is_fifo() || file_type.is_char_device() || (file_type.is_block_device() && force) {
        return Ok(Place::Stream);
    }
    if !force {
        return Err(Error::OutputExists { path: path.to_owned() });
    }
    if !file_type.is_file() {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
    }
    // Through symbolic links, so that the file is replaced and not the link.
    fs::canonicalize(path).map(Place::File).map_err(failed)
}

/// Nothing is there, but perhaps a link that leads nowhere.
fn resolve_new(path: &Path, force: bool) -> Result<Place, Error> {
    let bytes = path.as_os_str().as_bytes();
    if [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end)) {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(Error::Create { path: path.to_owned(), source });
    }
    if !force && fs::symlink_metadata(path).is_ok() {
        return Err(Error::OutputExists { path: path.to_owned() });
    }
    Ok(Place::File(path.to_owned()))
}

fn open_stdout(only_text: bool, source: &Source) -> Result<Sink, Error> {
    let path = PathBuf::from("standard output");
    let file = match io::stdout().as_fd().try_clone_to_owned() {
        Ok(fd) => File::from(fd),
        Err(source) => return Err(Error::Create { path, source }),
    };
    if let Ok(metadata) = file.metadata()
        && metadata.is_file()
        && is_same_file(&metadata, source)
    {
        return Err(Error::SameFile { input: source.path().to_owned(), output: path });
    }
    Ok(stream(file, path, only_text))
}

pub(super) fn stream(file: File, path: PathBuf, only_text: bool) -> Sink {
    // Fewer, larger writes. It fails where the output is no pipe; no matter.
    let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_SIZE);
    Sink::Stream(Stream { file, path, position: 0, only_text })
}

/// By device and inode, so that no link of either kind can hide it.
fn is_same_file(metadata: &Metadata, source: &Source) -> bool {
    source.is_regular() && (metadata.dev(), metadata.ino()) == source.id()
}

/// Splits a path into the folder that it is in and its name there.
pub(super) fn split(path: &Path) -> Option<(PathBuf, OsString)> {
    let name = path.file_name()?.to_owned();
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Some((parent.to_owned(), name))
}
