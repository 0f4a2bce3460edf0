//! A file that is to get another header: opened and locked.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileEntry, FileId, has_stable_inodes};
use cryptstream_format::{Format, Header, Identity};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, StatxFlags, Timestamps};
use rustix::io::Errno;

use super::summary::{RekeyMethod, RekeySummary};
use super::unlock::{EncryptedFile, UnlockedHeader};
use crate::data_file::{Caching, DataFile};
use crate::header::read_header;
use crate::journal::{self, UndoJournal};
use crate::output::sync_content;
use crate::path_resolution::{Resolution, ResolveError, ResolvedPath};
use crate::{Error, Parser, Source};

/// An encrypted file that is to be rekeyed. It is locked while this lives.
pub struct LockedFile {
    pub(super) source: Source,
    /// The same, to be written to.
    pub(super) file: DataFile,
    /// The folder that it is in, behind symbolic links, and its name there.
    pub(super) folder: Arc<Dir>,
    pub(super) name: OsString,
    pub(super) len: u64,
    pub(super) header: Result<Header, Error>,
    /// What an exchange of headers left that was interrupted.
    pub(super) journal: Option<UndoJournal>,
}

impl LockedFile {
    /// Opens and locks the file, and reads its header.
    ///
    /// # Errors
    /// [`Error::Open`] and its like; [`Error::NotRegular`],
    /// [`Error::NotChangeable`], [`Error::Busy`], [`Error::Armored`]; those of
    /// a header.
    pub fn open(path: &Path, parser: &Parser) -> Result<Self, Error> {
        let resolved = find(path)?;
        Self::of(resolved, Source::open(path)?.parsed_by(parser))
    }

    /// The same for a file that was found in a folder; `path` is for messages.
    ///
    /// # Errors
    /// Those of [`LockedFile::open`].
    pub fn open_entry(entry: &FileEntry, path: &Path, parser: &Parser) -> Result<Self, Error> {
        let source = Source::open_entry(entry, path)?;
        let folder = entry
            .folder
            .dir()
            .map_err(|error| Error::Open { path: path.to_owned(), source: error.into() })?;
        let resolved = ResolvedPath { folder, name: entry.name.clone() };
        refresh(&resolved);
        Self::of(resolved, source.parsed_by(parser))
    }

    fn of(ResolvedPath { folder, name }: ResolvedPath, mut source: Source) -> Result<Self, Error> {
        let path = &source.path().to_owned();
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let file = folder.open_with(&name, OFlags::RDWR, Mode::empty()).map_err(|error| {
            Error::NotChangeable { path: path.to_owned(), source: error.into() }
        })?;
        // Some file systems have no locks; that is no hindrance.
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::WOULDBLOCK) {
            return Err(Error::Busy { path: path.to_owned() });
        }
        let file = DataFile::from(file);
        // Another run may have replaced the file just before the lock.
        let is_it = |id: FileId| source.id().may_be(id, &file);
        let is_named = folder.stat(&name).is_ok_and(|stat| is_it(FileId::of(&stat)));
        if !is_it(file_id(&file)?) || !is_named {
            return Err(source.changed());
        }
        // Some file systems let nobody read and write a file at once.
        if !has_stable_inodes(&file, source.id().dev) {
            file.read_at(&mut [0], 0)
                .map_err(|source| Error::NotChangeable { path: path.to_owned(), source })?;
        }
        let len = file.metadata().map_err(failed)?.len();
        let header = read_header(&mut source);
        if source.is_armored() {
            return Err(Error::Armored { path: path.to_owned() });
        }
        let journal = UndoJournal::find(&folder, &name, &file, &source);
        match header {
            Err(error) if journal.is_none() => Err(error),
            header => Ok(Self { source, file, folder, name, len, header, journal }),
        }
    }

    /// How the content of this file and of its replacement passes through the page cache.
    pub(super) fn set_caching(&mut self, caching: Caching) {
        self.source.set_caching(caching);
        self.file.set_caching(caching);
    }

    /// The file as an input.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The file's format.
    #[must_use]
    pub fn format(&self) -> Format {
        match (&self.header, &self.journal) {
            (Ok(header), _) => header.format(),
            (_, Some(journal)) => journal.format(),
            (_, None) => Format::default(),
        }
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.len
    }

    /// Whether one of `identities` fits, before anything else is asked for. Of a file
    /// whose header is torn only the later steps can tell.
    ///
    /// # Errors
    /// [`Error::Unlock`], [`Error::Layout`], [`Error::Commitment`], [`Error::Damaged`],
    /// [`Error::Read`].
    pub fn check_keys(&self, identities: &[&dyn Identity]) -> Result<(), Error> {
        match &self.header {
            Ok(header) if self.journal.is_none() => self.unlock_with(header, identities).map(drop),
            _ => Ok(()),
        }
    }

    /// Finds the file key, and checks that it belongs to this payload.
    /// Before that is known, nothing is changed; then, what an interrupted run
    /// left is brought to its end.
    pub(super) fn unlock(&mut self, identities: &[&dyn Identity]) -> Result<UnlockedHeader, Error> {
        let header = std::mem::replace(&mut self.header, Err(Error::Internal("read twice")));
        let error = match header.and_then(|header| self.unlock_with(&header, identities)) {
            Ok(unlocked) => {
                self.forget_journal()?;
                return Ok(unlocked);
            }
            Err(error) => error,
        };
        let torn = self.journal.as_ref().filter(|_| journal::concerns_header(&error));
        let Some(header) = torn.and_then(UndoJournal::header_if_torn) else { return Err(error) };
        let unlocked = self.unlock_with(&header, identities)?;
        self.write_header(&unlocked.header).map_err(|source| self.failed(source))?;
        self.forget_journal()?;
        Ok(unlocked)
    }

    fn unlock_with(
        &self,
        header: &Header,
        identities: &[&dyn Identity],
    ) -> Result<UnlockedHeader, Error> {
        let bytes = match &self.journal {
            Some(journal) if journal.is_header(header) => Some(journal.old_header().to_vec()),
            _ => None,
        };
        let encrypted = EncryptedFile { source: &self.source, file: &self.file, len: self.len };
        encrypted.unlock(header, bytes, identities)
    }

    /// Writes a header that has the present one's length, and makes it durable.
    pub(super) fn write_header(&self, header: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(header, 0)?;
        sync_content(&self.file)
    }

    /// Removes the journal of a run that was interrupted: the file's header is
    /// known to be whole, and is made durable before. The file gets back the times that
    /// it had before that run.
    fn forget_journal(&mut self) -> Result<(), Error> {
        let Some(journal) = self.journal.take() else { return Ok(()) };
        journal.check_removable(self.source.path())?;
        sync_content(&self.file).map_err(|source| self.failed(source))?;
        self.keep_times(&journal.times());
        journal.remove(&self.file).map_err(|error| self.failed(error.into()))?;
        self.source = Source::open(self.source.path())?.parsed_by(self.source.parser());
        match self.source.id().may_be(file_id(&self.file)?, &self.file) {
            true => Ok(()),
            false => Err(self.source.changed()),
        }
    }

    /// `encrypt --newer` recognizes a copy by its time, so rekeying keeps it. If that fails,
    /// the copy counts as out of date.
    pub(super) fn keep_times(&self, times: &Timestamps) {
        let _ = rustix::fs::futimens(&self.file, times);
    }

    pub(super) fn summary(
        &self,
        old: &UnlockedHeader,
        method: RekeyMethod,
        header: &[u8],
        bytes_written: u64,
    ) -> Result<RekeySummary, Error> {
        let new_header_len = header.len() as u64;
        Ok(RekeySummary {
            format: old.format,
            method,
            old_header_len: old.start(),
            new_header_len,
            bytes_in: self.len,
            bytes_out: self.len - old.start() + new_header_len,
            bytes_written,
            // The name that was replaced is not among them any more.
            names_left: self.names()?,
        })
    }

    /// Names that the file has.
    pub(super) fn names(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata().map_err(|source| self.unreadable(0, source))?;
        Ok(metadata.nlink())
    }

    pub(super) fn unreadable(&self, offset: u64, source: std::io::Error) -> Error {
        Error::Read { path: self.source.path().to_owned(), offset, source }
    }

    /// Writing the header failed.
    pub(super) fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.source.path().to_owned(), offset: 0, source }
    }
}

/// The place of a file that the user has named, behind links.
fn find(path: &Path) -> Result<ResolvedPath, Error> {
    let failed = |error: Errno| Error::Open { path: path.to_owned(), source: error.into() };
    let (resolved, stat) = match ResolvedPath::find(path) {
        Ok(Resolution::Existing(resolved, stat)) => (resolved, stat),
        Ok(Resolution::Missing(..)) => return Err(failed(Errno::NOENT)),
        Ok(Resolution::Descriptor(..)) | Err(ResolveError::System(Errno::ISDIR)) => {
            return Err(Error::NotRegular { path: path.to_owned() });
        }
        Err(ResolveError::System(error)) => return Err(failed(error)),
        Err(ResolveError::Planted(owner)) => {
            return Err(Error::OutputPlanted { path: path.to_owned(), owner });
        }
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotRegular { path: path.to_owned() });
    }
    refresh(&resolved);
    Ok(resolved)
}

/// Has the file system ask anew what the file is. A cache may not know yet what has just
/// been written, and would make it look like a change later.
fn refresh(resolved: &ResolvedPath) {
    let fresh = AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
    let _ = rustix::fs::statx(&resolved.folder, &resolved.name, fresh, StatxFlags::BASIC_STATS);
}

fn file_id(file: &File) -> Result<FileId, Error> {
    let stat = rustix::fs::fstat(file);
    stat.map(|stat| FileId::of(&stat)).map_err(|_| Error::Internal("an open file has no state"))
}
