//! Rekeying: another header before the same payload.
//!
//! The new header wraps the same file key for others. How it gets into the
//! file depends on what the file system and the header's length allow; each
//! way leaves the old file or the new one, whole, whenever it is interrupted:
//!
//! - small files are written anew and replaced by a rename;
//! - where the file system can share blocks, the file is cloned, the clone
//!   gets the header, and replaces the file;
//! - where the new header has the old one's length, it is written over it,
//!   with a journal beside the file that undoes this (`journal`);
//! - otherwise the payload is copied behind the new header.

pub(crate) mod journal;
mod replace;
mod reseal;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, Entry, FileId, is_exact};
use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{
    FileKey, Format, Header, Identity, Layout, Padding, PayloadCipher, Recipient, WrapError,
    WrappedKey,
};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, StatxFlags, Timestamps};
use rustix::io::Errno;

use self::journal::Beside;
use crate::decrypt::{cut_in_header, read_header, unlock_error};
use crate::encrypt::BLOCK;
use crate::memory::zeroed;
use crate::named::{Found, Named, Refused};
use crate::output::sync_content;
use crate::{Error, Parser, Progress, Source};

/// Below this plaintext length a file is written anew.
const SMALL: u64 = SEGMENT_LEN as u64;

/// How a file came to its new header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RekeyMethod {
    /// The header was written over the old one.
    InPlace,
    /// A clone that shares the payload's blocks has replaced the file.
    Shared,
    /// A copy has replaced the file.
    Rewritten,
    /// A file with another file key has replaced the file.
    Reencrypted,
}

impl RekeyMethod {
    /// A word for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Shared => "shared",
            Self::Rewritten => "rewritten",
            Self::Reencrypted => "reencrypted",
        }
    }
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RekeySummary {
    /// The format of the file.
    pub format: Format,
    /// How it was done.
    pub method: RekeyMethod,
    /// Bytes of the old header.
    pub old_header_len: u64,
    /// Bytes of the new one.
    pub new_header_len: u64,
    /// Bytes of the file before.
    pub bytes_before: u64,
    /// Bytes of the file now.
    pub bytes_after: u64,
    /// Bytes that were written, the journal's included.
    pub bytes_written: u64,
    /// Other names (hard links) that still have the old file.
    pub names_left: u64,
}

/// A file that is to get another header. It is locked while this lives.
pub struct Rekeying {
    source: Source,
    /// The same, to be written to.
    file: File,
    /// The folder that it is in, behind symbolic links, and its name there.
    folder: Arc<Dir>,
    name: OsString,
    len: u64,
    header: Result<Header, Error>,
    /// What an exchange of headers left that was interrupted.
    journal: Option<Beside>,
}

/// A header that was unlocked, and what it led to.
struct Unlocked {
    format: Format,
    /// As it stands in the file.
    header: Vec<u8>,
    file_key: FileKey,
    layout: Layout,
    cipher: PayloadCipher,
}

impl Unlocked {
    /// Where the payload begins.
    fn start(&self) -> u64 {
        self.header.len() as u64
    }

    /// How a header is filled up where its length is free, as when sealing.
    fn free_padding(&self) -> Padding {
        if self.layout.plaintext_len() < SMALL { Padding::None } else { Padding::Multiple(BLOCK) }
    }
}

impl Rekeying {
    /// Opens and locks the file, and reads its header.
    ///
    /// # Errors
    /// [`Error::Open`] and its like; [`Error::NotRegular`],
    /// [`Error::NotChangeable`], [`Error::Busy`], [`Error::Armored`]; those of
    /// a header.
    pub fn open(path: &Path, parser: &Parser) -> Result<Self, Error> {
        let named = find(path)?;
        Self::of(named, Source::open(path)?.parsed_by(parser))
    }

    /// The same for a file that was found in a folder; `path` is for messages.
    ///
    /// # Errors
    /// Those of [`Rekeying::open`].
    pub fn open_entry(entry: &Entry, path: &Path, parser: &Parser) -> Result<Self, Error> {
        let source = Source::open_entry(entry, path)?;
        let folder = entry
            .folder
            .dir()
            .map_err(|error| Error::Open { path: path.to_owned(), source: error.into() })?;
        let named = Named { folder, name: entry.name.clone() };
        refresh(&named);
        Self::of(named, source.parsed_by(parser))
    }

    fn of(Named { folder, name }: Named, mut source: Source) -> Result<Self, Error> {
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
        // Another run may have replaced the file just before the lock.
        let is_it = |id: FileId| source.id().may_be(id, &file);
        let is_named = folder.stat(&name).is_ok_and(|stat| is_it(FileId::of(&stat)));
        if !is_it(file_id(&file)?) || !is_named {
            return Err(source.changed());
        }
        // Some file systems let nobody read and write a file at once.
        if !is_exact(&file, source.id().dev) {
            file.read_at(&mut [0], 0)
                .map_err(|source| Error::NotChangeable { path: path.to_owned(), source })?;
        }
        let len = file.metadata().map_err(failed)?.len();
        let header = read_header(&mut source);
        if source.is_armored() {
            return Err(Error::Armored { path: path.to_owned() });
        }
        let journal = Beside::find(&folder, &name, &file, &source);
        match header {
            Err(error) if journal.is_none() => Err(error),
            header => Ok(Self { source, file, folder, name, len, header, journal }),
        }
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
    /// Those of [`Rekeying::rekey`].
    pub fn check_keys(&self, identities: &[&dyn Identity]) -> Result<(), Error> {
        match &self.header {
            Ok(header) if self.journal.is_none() => self.unlock_with(header, identities).map(drop),
            _ => Ok(()),
        }
    }

    /// Seals the file key, which one of `identities` must give, for
    /// `recipients` instead. The payload stays.
    ///
    /// # Errors
    /// See [`Error`]; the file is then as it was.
    pub fn rekey(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let wrapped = WrappedKey::wrap(old.format, &old.file_key, &plain(recipients))?;
        let exact = fitting(wrapped.header(&old.file_key, Padding::Exactly(old.header.len())))?;
        let has_other_names = self.names()? > 1;
        // Where others know the file by other names, they are to keep it.
        let is_large = old.layout.plaintext_len() >= SMALL;
        if let Some(header) = &exact
            && has_other_names
        {
            return self.exchange(&old, header);
        }
        if is_large && let Some(summary) = self.share(&old, &wrapped, exact.as_deref())? {
            return Ok(summary);
        }
        if let Some(header) = &exact
            && is_large
        {
            return self.exchange(&old, header);
        }
        let header = wrapped.header(&old.file_key, old.free_padding())?;
        self.rewrite(&old, &header, progress)
    }

    /// Opens the content, and seals it under another file key for
    /// `recipients`, in this format. Nothing of it gets to the disk between.
    ///
    /// # Errors
    /// See [`Error`]; the file is then as it was.
    pub fn reencrypt(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let file_key = FileKey::generate()?;
        let header = WrappedKey::wrap(old.format, &file_key, &plain(recipients))?
            .header(&file_key, old.free_padding())?;
        let cipher = PayloadCipher::generate(old.format, &file_key)?;
        self.reseal(&old, &header, &cipher, threads, progress)
    }

    /// Finds the file key, and sees to it that it is that of this payload.
    /// Before that is known, nothing is changed; then, what an interrupted run
    /// left is brought to its end.
    fn unlock(&mut self, identities: &[&dyn Identity]) -> Result<Unlocked, Error> {
        let header = std::mem::replace(&mut self.header, Err(Error::Internal("read twice")));
        let error = match header.and_then(|header| self.unlock_with(&header, identities)) {
            Ok(unlocked) => {
                self.forget_journal()?;
                return Ok(unlocked);
            }
            Err(error) => error,
        };
        let torn = self.journal.as_ref().filter(|_| journal::concerns_header(&error));
        let Some(header) = torn.and_then(Beside::header_if_torn) else { return Err(error) };
        let unlocked = self.unlock_with(&header, identities)?;
        self.write_header(&unlocked.header).map_err(|source| self.failed(source))?;
        self.forget_journal()?;
        Ok(unlocked)
    }

    fn unlock_with(
        &self,
        header: &Header,
        identities: &[&dyn Identity],
    ) -> Result<Unlocked, Error> {
        let path = || self.source.path().to_owned();
        let (format, start) = (header.format(), header.len() as u64);
        if self.len < start + format.prefix_len() as u64 {
            return Err(cut_in_header(&self.source));
        }
        let layout = Layout::of_payload(format, self.len - start)
            .map_err(|error| Error::Layout { path: path(), source: error })?;
        let file_key =
            header.unlock(identities).map_err(|error| unlock_error(&self.source, header, error))?;
        let prefix = self.read_exactly(start, format.prefix_len())?;
        let cipher = PayloadCipher::from_prefix(format, &file_key, &prefix)
            .map_err(|error| Error::Commitment { path: path(), source: error })?;
        let bytes = match &self.journal {
            Some(journal) if journal.is_header(header) => journal.old_header().to_vec(),
            _ => self.read_exactly(0, header.len())?,
        };
        let unlocked = Unlocked { format, header: bytes, file_key, layout, cipher };
        self.check_end(&unlocked)?;
        Ok(unlocked)
    }

    /// Opens the final chunk: so the key is known to be that of this payload,
    /// and the payload to be whole in its length.
    fn check_end(&self, unlocked: &Unlocked) -> Result<(), Error> {
        let last = crate::engine::last_of(&unlocked.layout)?;
        let part = last
            .split(unlocked.format.chunk_len())
            .last()
            .ok_or(Error::Internal("a segment without chunks"))?;
        let at = unlocked.start() + part.payload_offset();
        let sealed = self.read_exactly(at, part.sealed_len())?;
        let mut opened = zeroize::Zeroizing::new(zeroed(part.plaintext_len())?);
        let (path, cipher) = (self.source.path(), unlocked.cipher.chunks());
        let damaged = self.source.parser().open(path, &cipher, &part, &sealed, &mut opened)?;
        if damaged.is_some() {
            return Err(Error::Damaged {
                path: path.to_owned(),
                chunk: part.first_chunk(),
                offset: at,
                is_last: true,
            });
        }
        Ok(())
    }

    /// Writes `header` over the old one, which has its length, and sees to it
    /// that an interruption at any moment can be undone.
    fn exchange(&self, old: &Unlocked, header: &[u8]) -> Result<RekeySummary, Error> {
        // So that an interruption does not even leave the journal.
        let _deferred = crate::interrupt::defer();
        let prefix = old.cipher.prefix();
        let (journal, journal_len) = Beside::create(self, &old.header, prefix, header)?;
        if let Err(error) = self.source.check_unchanged() {
            // Nothing has happened yet.
            let _ = journal.remove(&self.file);
            return Err(error);
        }
        if let Err(source) = self.write_header(header) {
            // If it cannot be undone now, the journal stays for a later run.
            if self.write_header(&old.header).is_ok() {
                let _ = journal.remove(&self.file);
            }
            return Err(self.failed(source));
        }
        self.keep_times(&self.source.times());
        journal.remove(&self.file).map_err(|error| Error::NotDurable {
            path: self.source.path().to_owned(),
            source: error.into(),
        })?;
        let written = journal_len + header.len() as u64;
        let summary = self.summary(old, RekeyMethod::InPlace, header, written)?;
        Ok(RekeySummary { names_left: 0, ..summary })
    }

    /// Writes a header that has the present one's length, and makes it durable.
    fn write_header(&self, header: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(header, 0)?;
        sync_content(&self.file)
    }

    /// Removes the journal of a run that was interrupted: the file's header is
    /// known to be whole, and is made durable before. The file gets back the times that
    /// it had before that run.
    fn forget_journal(&mut self) -> Result<(), Error> {
        let Some(journal) = self.journal.take() else { return Ok(()) };
        sync_content(&self.file).map_err(|source| self.failed(source))?;
        self.keep_times(&journal.times());
        journal.remove(&self.file).map_err(|error| self.failed(error.into()))?;
        self.source = Source::open(self.source.path())?.parsed_by(self.source.parser());
        match self.source.id().may_be(file_id(&self.file)?, &self.file) {
            true => Ok(()),
            false => Err(self.source.changed()),
        }
    }

    /// A copy in a mirrored folder is known by its time, which tells nothing of its keys.
    /// Where it cannot be kept, the copy counts as out of date.
    fn keep_times(&self, times: &Timestamps) {
        let _ = rustix::fs::futimens(&self.file, times);
    }

    fn summary(
        &self,
        old: &Unlocked,
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
            bytes_before: self.len,
            bytes_after: self.len - old.start() + new_header_len,
            bytes_written,
            // The name that was replaced is not among them any more.
            names_left: self.names()?,
        })
    }

    /// Names that the file has.
    fn names(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata().map_err(|source| self.unreadable(0, source))?;
        Ok(metadata.nlink())
    }

    fn read_exactly(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = zeroed(len)?;
        match read_at(&self.file, &mut bytes, offset) {
            Ok(read) if read.len() == len => Ok(bytes),
            Ok(_) => Err(self.source.changed()),
            Err(source) => Err(self.unreadable(offset, source)),
        }
    }

    fn unreadable(&self, offset: u64, source: std::io::Error) -> Error {
        Error::Read { path: self.source.path().to_owned(), offset, source }
    }

    /// Writing the header failed.
    fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.source.path().to_owned(), offset: 0, source }
    }
}

/// As many bytes of `buffer` as there are.
fn read_at<'a>(file: &File, buffer: &'a mut [u8], offset: u64) -> std::io::Result<&'a [u8]> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&buffer[..filled])
}

/// The place of a file that the user has named, behind links.
fn find(path: &Path) -> Result<Named, Error> {
    let failed = |error: Errno| Error::Open { path: path.to_owned(), source: error.into() };
    let (named, stat) = match Named::find(path) {
        Ok(Found::There(named, stat)) => (named, stat),
        Ok(Found::Nothing(..)) => return Err(failed(Errno::NOENT)),
        Ok(Found::Descriptor(..)) | Err(Refused::System(Errno::ISDIR)) => {
            return Err(Error::NotRegular { path: path.to_owned() });
        }
        Err(Refused::System(error)) => return Err(failed(error)),
        Err(Refused::Planted(owner)) => {
            return Err(Error::OutputPlanted { path: path.to_owned(), owner });
        }
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotRegular { path: path.to_owned() });
    }
    refresh(&named);
    Ok(named)
}

/// Has the file system ask anew what the file is. A cache may not know yet what has just
/// been written, and would make it look like a change later.
fn refresh(named: &Named) {
    let fresh = AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
    let _ = rustix::fs::statx(&named.folder, &named.name, fresh, StatxFlags::BASIC_STATS);
}

fn file_id(file: &File) -> Result<FileId, Error> {
    let stat = rustix::fs::fstat(file);
    stat.map(|stat| FileId::of(&stat)).map_err(|_| Error::Internal("an open file has no state"))
}

fn plain<'a>(recipients: &[&'a (dyn Recipient + Sync)]) -> Vec<&'a dyn Recipient> {
    recipients.iter().map(|recipient| *recipient as &dyn Recipient).collect()
}

/// A header, if it can have the length that was asked for.
fn fitting(header: Result<Vec<u8>, WrapError>) -> Result<Option<Vec<u8>>, WrapError> {
    match header {
        Ok(header) => Ok(Some(header)),
        // The stanza that fills it up may be one too many.
        Err(WrapError::NoFit | WrapError::TooLong) => Ok(None),
        Err(error) => Err(error),
    }
}
