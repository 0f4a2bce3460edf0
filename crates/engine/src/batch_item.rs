//! One file of a batch.

use std::any::Any;
use std::ffi::OsString;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use cryptstream_beneath::{FileEntry, FileId, Folder, WalkEntry};
use rustix::fs::FileType;

use crate::{Error, Parser, Source, Target};

/// Up to this length a file is small: 64 KiB.
pub(crate) const SMALL: u64 = 64 << 10;

/// One file of a batch.
#[derive(Clone, Debug)]
pub struct BatchItem {
    /// The path of the input, which is opened when its turn comes, or the URL of an object.
    pub input: PathBuf,
    /// How it is opened.
    pub origin: Origin,
    /// Its length in bytes, by which files up to 64 KiB are handled differently. It does
    /// no harm if the length has changed since.
    pub len: u64,
    /// Where the result goes.
    pub output: Destination,
    /// Dropped when the file is done or has failed.
    pub guard: Option<Arc<dyn Any + Send + Sync>>,
}

/// How the input of a [`BatchItem`] is opened.
#[derive(Clone, Debug)]
pub enum Origin {
    /// By its path, which the user has named.
    Path,
    /// Relative to its folder, where a walk has found it, and without following links. It must
    /// be the regular file that the walk saw.
    Entry(FileEntry),
    /// From a store.
    Object(Arc<dyn OpenObject>),
}

/// Where the result of a [`BatchItem`] goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Nowhere: the file is only verified.
    Nowhere,
    /// To a path that the user has named.
    Named(Target),
    /// To a folder of a tree, which is opened when it is needed.
    Beneath {
        /// The folder.
        folder: Arc<Folder>,
        /// The name in it.
        name: OsString,
        /// The path for messages.
        path: PathBuf,
        /// Whether a file that exists may be replaced.
        force: bool,
        /// Whether nothing had the name a moment ago. For a small file it is then not looked up
        /// again; a name that is taken meanwhile is found out at the end.
        is_free: bool,
    },
    /// To a store.
    Object {
        /// The object.
        object: Arc<dyn CreateObject>,
        /// Its URL, for messages.
        path: PathBuf,
        /// Whether an object that exists may be replaced.
        force: bool,
    },
}

/// An object that is opened when its turn comes.
pub trait OpenObject: Send + Sync + Debug {
    /// Opens it for reading.
    ///
    /// # Errors
    /// [`Error::Open`].
    fn open(&self) -> Result<Source, Error>;
}

/// An object that is written when its turn comes.
pub trait CreateObject: Send + Sync + Debug {
    /// Begins to write it.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::Create`].
    fn create(&self) -> Result<Target, Error>;
}

impl BatchItem {
    /// The file at `input`, and a new file at `output`, whose folder must exist.
    #[must_use]
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let input = input.into();
        // Opening it will tell why it cannot be read.
        let len = input.metadata().map_or(0, |file| file.len());
        let output = Destination::Named(Target::Path { path: output.into(), force: false });
        Self { input, origin: Origin::Path, len, output, guard: None }
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
        let origin = Origin::Entry(FileEntry { folder, name, id, pin: None });
        Some(Self { input, origin, len, output, guard: None })
    }

    pub(crate) fn open(&self, parser: &Parser) -> Result<Source, Error> {
        let source = match &self.origin {
            Origin::Path => Source::open(&self.input),
            Origin::Entry(entry) => Source::open_entry(entry, &self.input),
            Origin::Object(object) => object.open(),
        };
        source.map(|source| source.parsed_by(parser))
    }

    /// Whether an existing file may be replaced.
    #[must_use]
    pub fn replaces(&self) -> bool {
        matches!(
            self.output,
            Destination::Beneath { force: true, .. }
                | Destination::Object { force: true, .. }
                | Destination::Named(Target::Path { force: true, .. })
        )
    }

    pub(crate) fn target(&self) -> Result<Option<Target>, Error> {
        match &self.output {
            Destination::Nowhere => Ok(None),
            Destination::Named(target) => Ok(Some(target.clone())),
            Destination::Object { object, .. } => object.create().map(Some),
            Destination::Beneath { folder, name, path, force, is_free } => match folder.dir() {
                Ok(dir) => Ok(Some(Target::Beneath {
                    dir,
                    name: name.clone(),
                    path: path.clone(),
                    force: *force,
                    is_free: *is_free && self.len <= SMALL,
                })),
                Err(error) => Err(Error::Create { path: path.clone(), source: error.into() }),
            },
        }
    }
}
