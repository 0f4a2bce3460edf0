//! Inputs that the user has named, and their outputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, Folder};
use rustix::fd::AsFd;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::file_names::is_encrypted_name;
use crate::messages::{self, Failure};

/// An input that the user has named, and its output.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// The opened folder; `None` for a file.
    pub(super) folder: Option<Arc<Folder>>,
    pub(crate) stat: Stat,
}

impl Root {
    /// Whether a folder would be created with a name that belongs to a file.
    pub(crate) fn is_folder_named_as_file(&self) -> bool {
        self.folder.is_some() && is_encrypted_name(&self.output) && !self.output.exists()
    }

    /// Opens an input that the user has named, following links; without an output yet.
    pub(super) fn open(input: PathBuf) -> Result<Self, Failure> {
        let opened = match Dir::open(&input) {
            Ok(dir) => dir.own_stat().and_then(|stat| Ok((Some(Folder::root(dir)?), stat))),
            Err(Errno::NOTDIR) => rustix::fs::stat(&input).map(|stat| (None, stat)),
            Err(error) => Err(error),
        };
        match opened {
            Ok((folder, stat)) => Ok(Self { input, output: PathBuf::new(), folder, stat }),
            Err(Errno::NOENT) => Err(messages::missing(&input)),
            Err(error) => Err(messages::unreadable(&input, &error.into())),
        }
    }
}

/// Refuses an output at `path` that is the input folder `folder`, or lies in it. `input` is the
/// name of that folder.
pub(crate) fn check_outside(path: &Path, folder: &Dir, input: &Path) -> Result<(), Failure> {
    if !lies_in(path, folder) {
        return Ok(());
    }
    let contains = |dir: Dir| folder.is_or_lies_in(&dir).unwrap_or(false);
    let is_itself = Dir::open(path).is_ok_and(contains);
    Err(messages::tree::output_in_input(input, path, is_itself))
}

/// Whether a path leads into this folder, as far as it exists.
fn lies_in(path: &Path, folder: &Dir) -> bool {
    let lies_in = |dir: Dir| dir.is_or_lies_in(folder).unwrap_or(false);
    // A file, perhaps behind a link.
    let parent = match Dir::open(path) {
        Err(Errno::NOTDIR) => fs::canonicalize(path).ok(),
        _ => None,
    };
    let parent = parent.as_deref().and_then(Path::parent);
    nearest(parent.unwrap_or(path)).is_some_and(lies_in)
}

/// Whether an output's name is too long for its file system.
pub(crate) fn is_name_too_long(output: &Path) -> bool {
    let most = nearest(output).and_then(|dir| rustix::fs::fstatvfs(dir.as_fd()).ok());
    let most = most.map_or(u64::MAX, |limits| limits.f_namemax);
    output.file_name().is_some_and(|name| name.len() as u64 > most)
}

/// The folder at a path, or the nearest existing one above it.
pub(super) fn nearest(path: &Path) -> Option<Dir> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find_map(|path| Dir::open(path).ok())
}
