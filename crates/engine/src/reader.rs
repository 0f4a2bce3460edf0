//! Reads and seeks in the plaintext of an encrypted file.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use cryptstream_format::{ChunkCipher, Identity, Layout, Segment};
use zeroize::Zeroizing;

use crate::chunk_ranges::{ChunkRanges, TakeSealed};
use crate::error_context::ErrorContext;
use crate::header::unlock;
use crate::journal::open_header;
use crate::memory::grow;
use crate::part_io::{BufferWriter, CiphertextReader};
use crate::runs::{RUN_LEN, decrypt_run};
use crate::transform::PartReader;
use crate::{Engine, Error, Source};

impl Engine {
    /// Opens an encrypted file for random access, with the first identity that fits.
    ///
    /// # Errors
    /// [`Error::NotSeekable`], and those of [`Engine::decrypt`].
    pub fn open(
        &mut self,
        path: impl AsRef<Path>,
        identities: &[&dyn Identity],
    ) -> Result<Reader, Error> {
        let source = Source::open(path.as_ref())?.parsed_by(&self.parser()?);
        Self::open_source(source, identities)
    }

    /// The same for an input that is open.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub fn open_source(mut source: Source, identities: &[&dyn Identity]) -> Result<Reader, Error> {
        let len = source.begin_random_access()?;
        let (layout, cipher, start) = open_header(&mut source, |source, header| {
            let (path, start) = (source.path().to_owned(), header.len() as u64);
            if source.is_armored() {
                return Err(Error::NotSeekable { path, is_armored: true });
            }
            let layout = Layout::of_payload(header.format(), len.saturating_sub(start))
                .map_err(|error| Error::Layout { path, source: error })?;
            Ok((layout, unlock(source, &header, identities)?, start))
        })?;
        let path = source.path().to_owned();
        let context = ErrorContext { output_path: path.clone(), path, start };
        let (input, text) = (Vec::new(), Zeroizing::default());
        let mut reader =
            Reader { source, layout, cipher, context, position: 0, at: 0, input, text };
        // The length proves nothing; the final chunk does.
        reader.decrypt(&layout.final_chunk())?;
        Ok(reader)
    }
}

/// Reads and seeks in the plaintext of an encrypted file. It returns only verified bytes. Reading a
/// damaged chunk fails with an [`io::Error`] that holds an [`Error`]; the other chunks can still be
/// read. Like a [`File`](std::fs::File), it may seek past the end, where it reads nothing. It does
/// not borrow the engine.
pub struct Reader {
    source: Source,
    layout: Layout,
    cipher: ChunkCipher,
    context: ErrorContext,
    /// The offset of the next byte to read.
    position: u64,
    /// The offset of `text` in the plaintext.
    at: u64,
    input: Vec<u8>,
    /// The plaintext that was decrypted last.
    text: Zeroizing<Vec<u8>>,
}

impl Reader {
    /// The length of the whole plaintext in bytes. It is verified.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a file, not a collection")]
    pub fn len(&self) -> u64 {
        self.layout.plaintext_len()
    }

    /// Reads from byte `offset` of the plaintext on into `buffer`, on up to `threads` threads, and
    /// without the position of the reader. Returns the number of bytes, which is lower than asked
    /// for at the end only. Only verified bytes are returned: on an error the buffer is zeros.
    ///
    /// # Errors
    /// Those of [`Engine::decrypt`]. [`Error::Cancelled`] once `is_cancelled` returns true.
    pub fn read_at(
        &self,
        buffer: &mut [u8],
        offset: u64,
        threads: usize,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<usize, Error> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let Self { source, layout, cipher, context, .. } = self;
        let fetch = |run: &Segment, space: &mut Vec<u8>, take: &mut TakeSealed<'_>| {
            grow(space, run.sealed_len())?;
            let mut reader =
                CiphertextReader { file: source.file(), start: context.start, buffer: space };
            let read = reader.read(run);
            let sealed = read.map_err(|failure| context.clone().error(run, failure))?;
            take(sealed)
        };
        let ranges = ChunkRanges { layout, cipher, path: &context.path, start: context.start };
        ranges.open(offset, &mut buffer[..len], threads, is_cancelled, &fetch)?;
        Ok(len)
    }

    /// Decrypts a run of chunks into `text`.
    fn decrypt(&mut self, run: &Segment) -> Result<(), Error> {
        let Self { source, cipher, context, input, text, .. } = self;
        let done = decrypt_run(run, source, cipher, context, input, &mut BufferWriter(text));
        self.at = run.plaintext_offset();
        if done.is_err() {
            self.text.clear();
        }
        done
    }

    /// The run of chunks that contains a byte of the plaintext.
    fn run_at(&self, position: u64) -> Option<Segment> {
        let (format, chunk_len) = (self.layout.format(), self.layout.format().chunk_len());
        let first = position / chunk_len as u64;
        let last = self.layout.final_chunk();
        let count = last.first_chunk().saturating_sub(first).min((RUN_LEN / chunk_len) as u64);
        if count == 0 { Some(last) } else { Segment::run(format, first, count as usize) }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.len() || buffer.is_empty() {
            return Ok(0);
        }
        let is_here = (self.at..self.at + self.text.len() as u64).contains(&self.position);
        if !is_here {
            let run = self.run_at(self.position).ok_or(io::ErrorKind::InvalidData)?;
            self.decrypt(&run).map_err(io::Error::other)?;
        }
        let text = &self.text[(self.position - self.at) as usize..];
        let len = text.len().min(buffer.len());
        buffer[..len].copy_from_slice(&text[..len]);
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
