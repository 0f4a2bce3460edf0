//! One of many files.

use std::any::Any;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use cryptstream_beneath::{FileEntry, FileId, Folder, WalkEntry};
use rustix::fs::FileType;

use crate::{Error, Parser, Source, Target};

/// One of many files.
#[derive(Clone, Debug)]
pub struct BatchItem {
    /// What is read. It is opened when its turn comes.
    pub input: PathBuf,
    /// Where a walk has found it, if it is part of a tree: it is then opened in its
    /// directory, through no link, and must be the regular file that was seen.
    pub entry: Option<FileEntry>,
    /// Its length in bytes as it was seen: what is small goes another way. Where
    /// it has changed meanwhile, no harm is done.
    pub len: u64,
    /// Where the result goes; of those that are verified, nowhere.
    pub output: Destination,
    /// Is dropped when the file is done, or has failed.
    pub guard: Option<Arc<dyn Any + Send + Sync>>,
}

/// Where the result of an [`BatchItem`] goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Nowhere: it is only to be known whether there is one.
    Nowhere,
    /// Under a name that the user has given.
    Named(Target),
    /// Into a directory of a tree, which is opened when it is needed.
    Beneath {
        /// The directory.
        folder: Arc<Folder>,
        /// The name there.
        name: OsString,
        /// The same for messages.
        path: PathBuf,
        /// Whether a file that exists may be replaced.
        force: bool,
    },
}

impl BatchItem {
    /// The file at `input`, and a new file at `output`, whose folder must exist.
    #[must_use]
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let input = input.into();
        // Opening it will tell why it cannot be read.
        let len = input.metadata().map_or(0, |file| file.len());
        let output = Destination::Named(Target::Path { path: output.into(), force: false });
        Self { input, entry: None, len, output, guard: None }
    }

    /// A file that a walk through a tree has found, and a new file at `output`, whose
    /// folder must exist. `None` for anything but a regular file.
    #[must_use]
    pub fn found(found: WalkEntry, output: impl Into<PathBuf>) -> Option<Self> {
        let (id, len) = (FileId::of(&found.stat), u64::try_from(found.stat.st_size).ok()?);
        if found.kind() != FileType::RegularFile {
            return None;
        }
        let WalkEntry { folder, name, relative: input, .. } = found;
        let output = Destination::Named(Target::Path { path: output.into(), force: false });
        Some(Self { input, entry: Some(FileEntry { folder, name, id }), len, output, guard: None })
    }

    pub(crate) fn open(&self, parser: &Parser) -> Result<Source, Error> {
        let source = match &self.entry {
            Some(entry) => Source::open_entry(entry, &self.input),
            None => Source::open(&self.input),
        };
        source.map(|source| source.parsed_by(parser))
    }

    /// Whether it replaces what is there.
    #[must_use]
    pub fn replaces(&self) -> bool {
        matches!(
            self.output,
            Destination::Beneath { force: true, .. }
                | Destination::Named(Target::Path { force: true, .. })
        )
    }

    pub(crate) fn target(&self) -> Result<Option<Target>, Error> {
        match &self.output {
            Destination::Nowhere => Ok(None),
            Destination::Named(target) => Ok(Some(target.clone())),
            Destination::Beneath { folder, name, path, force } => match folder.dir() {
                Ok(dir) => Ok(Some(Target::Beneath {
                    dir,
                    name: name.clone(),
                    path: path.clone(),
                    force: *force,
                })),
                Err(error) => Err(Error::Create { path: path.clone(), source: error.into() }),
            },
        }
    }
}
