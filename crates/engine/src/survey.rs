//! A damaged file, chunk by chunk: which open, which do not, and where it ends.
//!
//! Each chunk is authenticated by itself and under its number, so that one that
//! opens is what was sealed at that place, whatever has become of its
//! neighbours.

mod walk;

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use cryptstream_format::payload::MAX_CHUNKS;
use cryptstream_format::{ChunkCipher, Format, Header, Identity, LayoutError};
use rustix::io::Errno;
use walk::Ground;

use crate::decrypt::unlock;
use crate::output::{PendingFile, Sink};
use crate::rekey::journal::open_header;
use crate::{CommitOptions, Error, Progress, Source, Target};

/// The most damaged ranges that are remembered one by one: 1 MiB of them.
const MAX_RANGES: usize = 1 << 16;

/// What of a sealed file opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The file's format.
    pub format: Format,
    /// Bytes of the sealed file.
    pub bytes_in: u64,
    /// Bytes of plaintext from the first to the last chunk. Verified where the
    /// final chunk was found, else what the file's length says.
    pub len: u64,
    /// Bytes of plaintext that open.
    pub intact: u64,
    /// Chunks that open.
    pub chunks: u64,
    /// Those that do not.
    pub damage: Damage,
    /// How it ends.
    pub end: End,
}

/// Where chunks do not open, by the bytes of the plaintext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// In order, none touching the next; of very many only the first.
    pub ranges: Vec<Range<u64>>,
    /// How many there are.
    pub count: u64,
    /// Bytes in all of them.
    pub bytes: u64,
}

/// How a sealed file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its final chunk.
    Whole,
    /// After its final chunk so many bytes follow that do not belong to it.
    Followed(u64),
    /// Its last chunk does not open: it is damaged, cut, or added to.
    Damaged,
    /// The final chunk is not there: what comes after the last one was cut off.
    Missing,
}

impl Survey {
    /// Goes through all chunks of a file.
    ///
    /// # Errors
    /// [`Error::NotAFile`] of a stream. Header and key must be right as
    /// ever: without them there is nothing that could be opened.
    pub fn of(
        source: &mut Source,
        identities: &[&dyn Identity],
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let opened = Opened::begin(source, identities)?;
        let survey = opened.walk(source, None, progress)?;
        source.check_unchanged()?;
        Ok(survey)
    }

    /// Whether every byte of the file is as it was sealed.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.count == 0 && self.end == End::Whole
    }
}

/// Opens what opens of `source` into `target`, which must be a file: the rest
/// of it are holes, which read as zeros. Nothing is left under the target's
/// name where not a single chunk opens.
///
/// # Errors
/// [`Error::NotAFile`] where either is a stream; those of [`Survey::of`] and
/// of an output.
pub fn salvage(
    source: &mut Source,
    target: &Target,
    identities: &[&dyn Identity],
    commit: CommitOptions,
    progress: &dyn Progress,
) -> Result<Survey, Error> {
    if commit.remove_source {
        // What could not be salvaged today may be tomorrow.
        return Err(Error::NotRemovable { path: source.path().to_owned() });
    }
    let sink = Sink::open(target, source, commit)?;
    let Sink::File(pending) = &sink else {
        return Err(Error::NotAFile { path: sink.path().to_owned() });
    };
    let opened = Opened::begin(source, identities)?;
    let survey = opened.walk(source, Some(pending), progress)?;
    if survey.chunks > 0 {
        // What is damaged at the end is a hole as well.
        pending.file().set_len(survey.len).map_err(|source| Error::Write {
            path: pending.path().to_owned(),
            offset: survey.len,
            source,
        })?;
        sink.commit(source, commit, None)?;
    }
    Ok(survey)
}

/// A file whose key is found.
struct Opened {
    cipher: ChunkCipher,
    /// Where the first chunk begins.
    start: u64,
    /// Bytes from there on.
    len: u64,
}

impl Opened {
    fn begin(source: &mut Source, identities: &[&dyn Identity]) -> Result<Self, Error> {
        if source.seekable_len().is_none() {
            return Err(Error::NotAFile { path: source.path().to_owned() });
        }
        open_header(source, |source, header| {
            if source.is_armored() {
                let path = source.path().to_owned();
                return Err(Error::NotSeekable { path, is_armored: true });
            }
            Self::behind(&header, source, identities)
        })
    }

    fn behind(
        header: &Header,
        source: &mut Source,
        identities: &[&dyn Identity],
    ) -> Result<Self, Error> {
        let path = || source.path().to_owned();
        let len = source.seekable_len().ok_or_else(|| Error::NotAFile { path: path() })?;
        let format = header.format();
        let start = (header.len() + format.prefix_len()) as u64;
        let sealed =
            len.checked_sub(start).ok_or_else(|| Error::CutInHeader { path: path(), len })?;
        if sealed.div_ceil(format.sealed_chunk_len() as u64) > MAX_CHUNKS {
            let error = LayoutError::TooLong(sealed);
            return Err(Error::Layout { path: path(), source: error });
        }
        let cipher = unlock(source, header, identities)?;
        Ok(Self { cipher, start, len: sealed })
    }

    fn walk(
        &self,
        source: &Source,
        output: Option<&PendingFile>,
        progress: &dyn Progress,
    ) -> Result<Survey, Error> {
        progress.start(Some(self.start + self.len));
        progress.advance(self.start);
        let mut file = Chunks { source, start: self.start, output };
        let survey = walk::walk(
            (source.parser(), source.path()),
            &self.cipher,
            self.len,
            &mut file,
            progress,
        )?;
        Ok(Survey { bytes_in: self.start + self.len, ..survey })
    }
}

/// The chunks of a file, and the output that they go to.
struct Chunks<'a> {
    source: &'a Source,
    start: u64,
    output: Option<&'a PendingFile>,
}

impl Ground for Chunks<'_> {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<bool, Error> {
        let offset = self.start + offset;
        match self.source.file().read_exact_at(buffer, offset) {
            Ok(()) => Ok(true),
            // It was longer when it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.source.changed())
            }
            // A place on the disk that cannot be read is damage like any other.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(false),
            Err(source) => Err(Error::Read { path: self.source.path().to_owned(), offset, source }),
        }
    }

    fn keep(&mut self, offset: u64, plaintext: &[u8]) -> Result<(), Error> {
        self.output.map_or(Ok(()), |output| output.write_at(offset, plaintext))
    }
}
