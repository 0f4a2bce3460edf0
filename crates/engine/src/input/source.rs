//! Input: a regular file that is read at offsets, or a stream that is read in order.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileEntry, mode_without_acl, uncached_stat};
use cryptstream_shm::descriptors::cached_len;
use rustix::fs::{Advice, FileType, Stat};
use rustix::io::Errno;

use super::armor::Armor;
use super::object::InputObject;
use super::pipe::{PIPE_SIZE, PipeWriter, PipedEnd, pipe};
use crate::data_file::{Caching, DataFile};
use crate::{Error, ObjectAttributes, ObjectInput, Parser};

/// Up to this size a file is read until it ends, whatever size it reports, because files in /proc
/// report 0 bytes, and files in /sys a page, which has at most 64 KiB.
pub(super) const TRUST_SIZE_ABOVE: u64 = 64 << 10;
/// Files above this size are read ahead eagerly.
const SEQUENTIAL_ABOVE: u64 = 1 << 20;

/// The type of an object, and its permission bits if the store knows none: those of new files.
const OBJECT_TYPE: u32 = 0o100_000;
const OBJECT_MODE: u32 = 0o666;

/// An opened input.
pub struct Source {
    pub(super) file: DataFile,
    pub(super) path: PathBuf,
    /// As it was when the input was opened.
    pub(super) stat: Stat,
    /// Whether `file` is read at offsets, from 0 on, without its own position.
    pub(super) is_positional: bool,
    /// The next byte that [`Source::fill`] gives.
    pub(super) position: u64,
    /// Bytes that were read and given back; they come before the file's.
    pub(super) unread: Vec<u8>,
    /// What the content is taken out of, if it is armored.
    pub(super) armor: Option<Box<Armor>>,
    /// The other end, if another thread of this process writes the input.
    pub(super) piped: Option<PipedEnd>,
    /// The directory that it was opened in, and its name there.
    pub(super) origin: Option<(Arc<Dir>, OsString)>,
    /// Who parses it.
    pub(super) parser: Parser,
    /// Whether all that is taken from it is authenticated.
    pub(super) is_authenticated: bool,
}

impl Source {
    /// Opens the file, pipe or device at `path`, which the user has named: links are
    /// followed.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::InputIsDirectory`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Relative to its directory, so that it can be removed from where it was opened.
        let ends_in_name = !path.as_os_str().as_bytes().ends_with(b"/");
        let origin = Dir::open_parent(path).ok().filter(|_| ends_in_name);
        let opened = match &origin {
            Some((dir, name)) => dir.open_named(name).map_err(io::Error::from),
            None => File::open(path),
        };
        let file = opened.map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let source = Self::new(file, path.to_owned(), true)?;
        if source.is_positional && source.size() > SEQUENTIAL_ABOVE {
            source.advise(Advice::Sequential);
        }
        let origin = origin.map(|(dir, name)| (Arc::new(dir), name));
        Ok(Self { origin, ..source })
    }

    /// Opens a file of a tree, relative to its directory and through no link. `path` is
    /// its name for messages.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::InputChanged`] where the name leads to anything but the
    /// file that was seen.
    pub fn open_entry(entry: &FileEntry, path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let (dir, file, stat) = match entry.open() {
            Ok(opened) => opened,
            Err(Errno::STALE) => return Err(Error::InputChanged { path }),
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let origin = Some((dir, entry.name.clone()));
        Ok(Self { origin, ..Self::with_stat(file, path, stat, true) })
    }

    /// Standard input, from its current position on.
    ///
    /// # Errors
    /// [`Error::Open`] if it is closed, [`Error::InputIsDirectory`].
    pub fn stdin() -> Result<Self, Error> {
        let path = PathBuf::from("standard input");
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(fd) => Self::new(fd.into(), path, false),
            Err(source) => Err(Error::Open { path, source }),
        }
    }

    /// An input that the [`PipeWriter`] writes. `path` is its name for messages. The output
    /// gets the permission bits of `like`, as far as they are for files. Drop the source
    /// before you wait for the thread that writes.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn piped(path: PathBuf, like: &File) -> Result<(PipeWriter, Self), Error> {
        let mode = match rustix::fs::fstat(like) {
            Ok(stat) => mode_without_acl(like, stat.st_mode).0 & 0o666,
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let (reader, writer, end) = match pipe(mode) {
            Ok(pipe) => pipe,
            Err(source) => return Err(Error::Open { path, source }),
        };
        let source = Self { piped: Some(end), ..Self::new(reader, path, false)? };
        Ok((writer, source))
    }

    /// An object. `path` is its name for messages.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn object(object: Arc<dyn ObjectInput>, path: PathBuf) -> Result<Self, Error> {
        let ObjectAttributes { modified, mode } = object.attributes();
        let opened = DataFile::of_object(object).and_then(|file| {
            let stat = rustix::fs::fstat(&file)?;
            Ok((file, stat))
        });
        let (file, mut stat) = match opened {
            Ok(opened) => opened,
            Err(source) => return Err(Error::Open { path, source }),
        };
        // What is said of the memory is not what is true of the object.
        stat.st_mode = OBJECT_TYPE | mode.map_or(OBJECT_MODE, |mode| mode & 0o777);
        if let Some(modified) = modified {
            stat.st_mtime = modified.div_euclid(1_000_000_000);
            // Never negative, and less than a second.
            stat.st_mtime_nsec = modified.rem_euclid(1_000_000_000) as _;
        }
        Ok(Self::with_data_file(file, path, stat, true))
    }

    pub(super) fn new(file: File, path: PathBuf, may_seek: bool) -> Result<Self, Error> {
        let stat = match rustix::fs::fstat(&file) {
            Ok(stat) => stat,
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::Directory {
            return Err(Error::InputIsDirectory { path });
        }
        if file_type == FileType::Fifo {
            // Fewer, larger reads. Refused above the user's limit; no matter.
            let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_SIZE);
        }
        Ok(Self::with_stat(file, path, stat, may_seek))
    }

    fn with_stat(file: File, path: PathBuf, stat: Stat, may_seek: bool) -> Self {
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        // What a cache says of it would look like a change later.
        let stat = if is_regular { uncached_stat(&file, stat) } else { stat };
        Self::with_data_file(file.into(), path, stat, may_seek && is_regular)
    }

    pub(super) fn with_data_file(
        file: DataFile,
        path: PathBuf,
        stat: Stat,
        is_positional: bool,
    ) -> Self {
        Self {
            file,
            path,
            stat,
            is_positional,
            position: 0,
            unread: Vec::new(),
            armor: None,
            piped: None,
            origin: None,
            parser: Parser::default(),
            is_authenticated: false,
        }
    }

    /// Has `parser` parse the input. By default this process does. Must be called before
    /// anything is read.
    #[must_use]
    pub fn parsed_by(self, parser: &Parser) -> Self {
        Self { parser: parser.clone(), ..self }
    }

    /// Who parses it.
    pub(crate) fn parser(&self) -> &Parser {
        &self.parser
    }

    /// Treats the input as armored from now on: its content is what is in the
    /// armor. `head` is all that was read of it, and is read again.
    pub(crate) fn unarmor(&mut self, head: &[u8]) -> Result<(), Error> {
        if self.armor.is_some() || self.position != head.len() as u64 || !self.unread.is_empty() {
            return Err(Error::Internal("an armor that does not begin with the input"));
        }
        self.armor = Some(Box::new(Armor::new(head, &self.path, &self.parser)?));
        self.position = 0;
        Ok(())
    }

    /// Whether the input is armored, which is known once its header has been read.
    #[must_use]
    pub fn is_armored(&self) -> bool {
        self.armor.is_some()
    }

    /// The input's name for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes, if it is reliable.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        (self.is_at_offsets() && self.size() > TRUST_SIZE_ABOVE).then(|| self.size())
    }

    /// The number of bytes as the system tells it, of a file that is read at
    /// offsets.
    pub(crate) fn seekable_len(&self) -> Option<u64> {
        self.is_at_offsets().then(|| self.size())
    }

    /// Expected length in bytes, for showing progress.
    #[must_use]
    pub fn expected_len(&self) -> Option<u64> {
        let len = match self.armor {
            // 48 bytes in a line of 65.
            Some(_) => self.size() / 65 * 48,
            None => self.size(),
        };
        (self.is_regular() && len > 0).then_some(len)
    }

    /// Whether it is an object, whose content has to be fetched.
    pub(crate) fn is_object(&self) -> bool {
        self.file.object().is_some()
    }

    /// The object, if it is one.
    pub(crate) fn as_object(&self) -> Option<InputObject> {
        let object = Arc::clone(self.file.object()?);
        Some(InputObject { object, path: self.path.clone() })
    }

    /// Says that everything from here on will be read in order.
    pub(crate) fn read_ahead(&self) {
        if let Some(object) = self.file.object() {
            object.read_ahead(self.position);
        }
    }

    /// Whether this is a file whose content is complete, not a stream that is still being written.
    pub(crate) fn is_file(&self) -> bool {
        self.is_positional
    }

    /// Whether any part of the content can be read from the file at once.
    pub(super) fn is_at_offsets(&self) -> bool {
        self.is_positional && self.armor.is_none()
    }

    /// Tells the system in what manner the file will be read.
    pub(crate) fn advise(&self, advice: Advice) {
        // Only a hint, so its failure does not matter.
        let _ = rustix::fs::fadvise(&self.file, 0, None, advice);
    }

    pub(crate) fn is_regular(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile
    }

    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// The file itself, for others to read from at offsets.
    pub(crate) fn file(&self) -> &DataFile {
        &self.file
    }

    /// Whether most of it is in the page cache.
    pub(crate) fn is_mostly_cached(&self) -> bool {
        cached_len(&self.file).is_ok_and(|len| len > self.size() / 2)
    }

    /// Drops what is left of it in the page cache, if it is not to stay there.
    pub(crate) fn drop_rest(&self) {
        self.file.drop_rest();
    }

    /// How its content passes through the page cache from now on.
    pub(crate) fn set_caching(&mut self, caching: Caching) {
        if !self.is_object() {
            self.file.set_caching(caching);
        }
    }

    /// Bytes given so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of text read so far, if the input is armored.
    pub(crate) fn text_len(&self) -> Option<u64> {
        self.armor.as_ref().map(|armor| armor.text_len())
    }
}
