//! Scans a damaged file chunk by chunk: which chunks are intact, and where the file ends.
//!
//! Each chunk is authenticated on its own, together with its number. So a chunk that opens holds
//! what was encrypted at that place, even if the chunks around it are damaged.

mod report;
mod scan;

use std::io;

use cryptstream_format::header::HeaderError;
use cryptstream_format::payload::MAX_CHUNKS;
use cryptstream_format::{ChunkCipher, Header, Identity, LayoutError, UnlockError};
pub use report::{Damage, DamageReport, End};
use rustix::io::Errno;
use scan::ChunkStore;

use crate::header::{read_repaired, unlock, unlock_altered};
use crate::journal::open_header;
use crate::output::{PendingFile, Sink};
use crate::{CommitOptions, DamageScan, Engine, Error, Progress, Salvage, Source, Target};

impl Engine {
    /// Finds out which chunks of a file are intact. Damage to the payload is no error; the
    /// report describes it.
    ///
    /// # Errors
    /// [`Error::NotAFile`] if the input is a stream, [`Error::NotSeekable`] if it is
    /// armored, and those of [`Engine::decrypt`] about the header and the key.
    pub fn scan_for_damage(&mut self, request: DamageScan<'_>) -> Result<DamageReport, Error> {
        let DamageScan { input, identities, progress } = request;
        let parser = self.parser_for(&input)?;
        input.with(&parser, |source| {
            let report =
                UnlockedPayload::begin(source, identities)?.walk(source, None, progress)?;
            source.check_unchanged()?;
            Ok(report)
        })
    }

    /// Decrypts the intact chunks of a file. The damaged ones become holes in the output,
    /// which read as zeros. If no chunk is intact, there is no output. An altered header is no
    /// obstacle as long as the stanza of one of the identities is intact.
    ///
    /// # Errors
    /// [`Error::NotAFile`] if input or output is a stream, [`Error::NotRemovable`] if the
    /// source is to be removed, and those of [`Engine::scan_for_damage`] and of an output.
    pub fn salvage(&mut self, request: Salvage<'_>) -> Result<DamageReport, Error> {
        let Salvage { input, target, identities, commit, progress } = request;
        let parser = self.parser_for(&input)?;
        input.with(&parser, |source| salvage(source, &target, identities, commit, progress))
    }
}

fn salvage(
    source: &mut Source,
    target: &Target,
    identities: &[&dyn Identity],
    commit: CommitOptions,
    progress: &dyn Progress,
) -> Result<DamageReport, Error> {
    if commit.remove_source {
        // Another attempt may recover more, so the source is kept.
        return Err(Error::NotRemovable { path: source.path().to_owned() });
    }
    let sink = target.open(source, commit)?;
    let Sink::File(pending) = &sink else {
        return Err(Error::NotAFile { path: sink.path().to_owned() });
    };
    let (payload, is_header_altered) = UnlockedPayload::begin_salvage(source, identities)?;
    let report = payload.walk(source, Some(pending), progress)?;
    let report = DamageReport { is_header_altered, ..report };
    if report.chunks_intact > 0 {
        // A damaged end becomes a hole too.
        pending.file().set_len(report.bytes_out).map_err(|source| Error::Write {
            path: pending.path().to_owned(),
            offset: report.bytes_out,
            source,
        })?;
        sink.commit(source, commit, None)?;
    }
    Ok(report)
}

/// A file whose key is found.
struct UnlockedPayload {
    cipher: ChunkCipher,
    /// Where the first chunk begins.
    start: u64,
    /// Bytes from there on.
    len: u64,
}

impl UnlockedPayload {
    fn begin(source: &mut Source, identities: &[&dyn Identity]) -> Result<Self, Error> {
        if source.seekable_len().is_none() {
            return Err(Error::NotAFile { path: source.path().to_owned() });
        }
        open_header(source, |source, header| {
            if source.is_armored() {
                let path = source.path().to_owned();
                return Err(Error::NotSeekable { path, is_armored: true });
            }
            Self::behind(&header, source, |source| unlock(source, &header, identities))
        })
    }

    /// Does the same even if the header was altered, as long as the file key can be unwrapped.
    /// Returns whether it was.
    fn begin_salvage(
        source: &mut Source,
        identities: &[&dyn Identity],
    ) -> Result<(Self, bool), Error> {
        let error = match Self::begin(source, identities) {
            Ok(payload) => return Ok((payload, false)),
            Err(error) => error,
        };
        let is_altered =
            matches!(error, Error::Header { .. } | Error::Unlock { source: UnlockError::Mac, .. });
        if !is_altered || !source.go_to(0) {
            return Err(error);
        }
        let Ok(header) = read_repaired(source, HeaderError::replace_damaged_part) else {
            return Err(error);
        };
        let unlock = |source: &mut Source| unlock_altered(source, &header, identities);
        Self::behind(&header, source, unlock).map(|payload| (payload, true)).map_err(|_| error)
    }

    fn behind(
        header: &Header,
        source: &mut Source,
        unlock: impl FnOnce(&mut Source) -> Result<ChunkCipher, Error>,
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
        let cipher = unlock(source)?;
        Ok(Self { cipher, start, len: sealed })
    }

    fn walk(
        &self,
        source: &Source,
        output: Option<&PendingFile>,
        progress: &dyn Progress,
    ) -> Result<DamageReport, Error> {
        progress.start(Some(self.start + self.len));
        progress.advance(self.start);
        source.read_ahead();
        let mut file = Chunks { source, start: self.start, output };
        let report = scan::walk(
            (source.parser(), source.path()),
            &self.cipher,
            self.len,
            &mut file,
            progress,
        )?;
        Ok(DamageReport { bytes_in: self.start + self.len, ..report })
    }
}

/// The chunks of a file, and the output that they go to.
struct Chunks<'a> {
    source: &'a Source,
    start: u64,
    output: Option<&'a PendingFile>,
}

impl ChunkStore for Chunks<'_> {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<bool, Error> {
        let offset = self.start + offset;
        match self.source.file().read_exact_at(buffer, offset) {
            Ok(()) => Ok(true),
            // The file has become shorter since it was opened.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.source.changed())
            }
            // A bad sector is damage like any other.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(false),
            Err(source) => Err(Error::Read { path: self.source.path().to_owned(), offset, source }),
        }
    }

    fn keep(&mut self, offset: u64, plaintext: &[u8]) -> Result<(), Error> {
        self.output.map_or(Ok(()), |output| output.write_at(offset, plaintext))
    }
}
