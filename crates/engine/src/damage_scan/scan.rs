//! Goes through the chunks, wherever they are stored.

use std::ops::Range;
use std::path::Path;

use cryptstream_format::payload::{SEGMENT_LEN, TAG_LEN};
use cryptstream_format::{ChunkCipher, Format, Segment};

use super::report::{Damage, DamageReport, End};
use crate::memory::zeroed;
use crate::{Error, Parser, Progress};

/// The maximum number of damaged ranges that are listed. They take 1 MiB.
const MAX_RANGES: usize = 1 << 16;

/// Where the chunks are read from, and where the intact ones go.
pub(super) trait ChunkStore {
    /// Fills the buffer with encrypted bytes from `offset` on. Returns `false` if some of them
    /// cannot be read.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<bool, Error>;
    /// Keeps intact plaintext, which belongs at this offset.
    fn keep(&mut self, offset: u64, plaintext: &[u8]) -> Result<(), Error>;
}

/// Tries to open every chunk of a payload of `len` bytes.
pub(super) fn walk(
    (parser, path): (&Parser, &Path),
    cipher: &ChunkCipher,
    len: u64,
    store: &mut dyn ChunkStore,
    progress: &dyn Progress,
) -> Result<DamageReport, Error> {
    let format = cipher.format();
    let chunk_len = format.sealed_chunk_len();
    let mut walk = Walk { parser, path, cipher, format, len, found: ScanState::default() };
    let mut sealed = zeroed((format.sealed_segment_len() as u64).min(len) as usize)?;
    let mut plain = zeroed(SEGMENT_LEN.min(sealed.len()))?;
    let mut chunk = 0;
    let mut end = None;
    while end.is_none() && chunk * (chunk_len as u64) < len {
        let offset = chunk * chunk_len as u64;
        let here = (sealed.len() as u64).min(len - offset) as usize;
        let sealed = &mut sealed[..here];
        let is_readable = store.read(offset, sealed)?;
        // Adjacent intact chunks are written together.
        let first = chunk * format.chunk_len() as u64;
        let mut run = 0..0;
        for (number, sealed) in sealed.chunks_mut(chunk_len).enumerate() {
            let from = number * format.chunk_len();
            let is_readable = is_readable || store.read(chunk * chunk_len as u64, sealed)?;
            let opened = match is_readable {
                true => walk.open(chunk, sealed, &mut plain[from..])?,
                false => None,
            };
            walk.found.take(format, chunk, sealed.len(), opened.as_ref());
            chunk += 1;
            match opened {
                Some(part) if run.end == from => run.end += part.plaintext_len(),
                _ => {
                    keep(store, first, &plain, &run)?;
                    let more = opened.map_or(0, |part| part.plaintext_len());
                    run = from..from + more;
                }
            }
            if opened.is_some_and(|part| part.is_last()) {
                end = Some((chunk - 1) * chunk_len as u64 + sealed.len() as u64);
                break;
            }
        }
        keep(store, first, &plain, &run)?;
        progress.advance(here as u64);
    }
    let end = match end {
        Some(end) if end == len => End::Whole,
        Some(end) => End::Followed(len - end),
        None => match walk.look_for_end(store, &mut sealed, &mut plain)? {
            Some(end) => End::Followed(len - end),
            None => walk.end_by_length(),
        },
    };
    Ok(walk.found.report(format, end))
}

fn keep(
    store: &mut dyn ChunkStore,
    first: u64,
    plain: &[u8],
    run: &Range<usize>,
) -> Result<(), Error> {
    if run.is_empty() {
        return Ok(());
    }
    store.keep(first + run.start as u64, &plain[run.clone()])
}

struct Walk<'a> {
    parser: &'a Parser,
    path: &'a Path,
    cipher: &'a ChunkCipher,
    format: Format,
    /// Encrypted bytes of all chunks.
    len: u64,
    found: ScanState,
}

impl Walk<'_> {
    /// Opens a chunk: if it is full, as a chunk that others follow; otherwise, or if that fails,
    /// as the final one.
    fn open(&self, chunk: u64, sealed: &[u8], plain: &mut [u8]) -> Result<Option<Segment>, Error> {
        let is_full = sealed.len() == self.format.sealed_chunk_len();
        let inner = is_full.then(|| Segment::inner_chunk(self.format, chunk));
        let last = Segment::final_chunk(self.format, chunk, sealed.len());
        for part in inner.into_iter().chain(last) {
            if self.opens(&part, sealed, plain)? {
                return Ok(Some(part));
            }
        }
        Ok(None)
    }

    fn opens(&self, part: &Segment, sealed: &[u8], plain: &mut [u8]) -> Result<bool, Error> {
        let plain = &mut plain[..part.plaintext_len()];
        let damaged = self.parser.open(self.path, self.cipher, part, sealed, plain)?;
        Ok(damaged.is_none())
    }

    /// Looks for a final chunk that is followed by something else, so that its length is
    /// unknown: tries every length after the last intact chunk. Returns where the chunk ends.
    ///
    /// This is done only if the end is damaged. It takes at most 30 ms, or a second with age's
    /// larger chunks.
    fn look_for_end(
        &mut self,
        store: &mut dyn ChunkStore,
        sealed: &mut [u8],
        plain: &mut [u8],
    ) -> Result<Option<u64>, Error> {
        let chunk = self.found.next;
        let offset = chunk * self.format.sealed_chunk_len() as u64;
        let len = (self.format.sealed_chunk_len() as u64).min(self.len - offset) as usize;
        if !store.read(offset, &mut sealed[..len])? {
            return Ok(None);
        }
        let mut found = None;
        for part in (TAG_LEN..=len).filter_map(|len| Segment::final_chunk(self.format, chunk, len))
        {
            if self.opens(&part, &sealed[..part.sealed_len()], plain)? {
                found = Some(part);
                break;
            }
        }
        let Some(part) = found else { return Ok(None) };
        let run = 0..part.plaintext_len();
        keep(store, part.plaintext_offset(), plain, &run)?;
        // The bytes after it seemed to be damaged, but are no part of the plaintext.
        self.found.run = None;
        self.found.opened(&part);
        Ok(Some(offset + part.sealed_len() as u64))
    }

    /// How a file without an intact final chunk ends, going by its length.
    fn end_by_length(&self) -> End {
        let chunk_len = self.format.sealed_chunk_len() as u64;
        let (chunks, rest) = (self.len / chunk_len, self.len % chunk_len);
        let is_possible = Segment::final_chunk(self.format, chunks, rest as usize).is_some();
        // A full last chunk that opens is not the final one. If it does not open, it may be,
        // provided that the format allows a full final chunk.
        let may_end_full =
            rest == 0 && self.format.final_chunk_may_be_full() && self.found.next < chunks;
        if is_possible || may_end_full { End::Damaged } else { End::Missing }
    }
}

/// What the scan has found so far.
#[derive(Default)]
struct ScanState {
    damage: Damage,
    /// The damaged range that the scan is in.
    run: Option<Range<u64>>,
    intact: u64,
    chunks: u64,
    /// The number after that of the last intact chunk.
    next: u64,
    /// Bytes of plaintext up to the end of the last chunk, intact or not.
    len: u64,
}

impl ScanState {
    fn take(&mut self, format: Format, chunk: u64, sealed_len: usize, part: Option<&Segment>) {
        let Some(part) = part else {
            // A chunk of no more than a tag holds no plaintext.
            let start = chunk * format.chunk_len() as u64;
            let end = start + sealed_len.saturating_sub(TAG_LEN) as u64;
            if end > start {
                self.run.get_or_insert(start..start).end = end;
            }
            self.len = end;
            return;
        };
        self.end_run();
        self.opened(part);
    }

    fn opened(&mut self, part: &Segment) {
        self.chunks += 1;
        self.intact += part.plaintext_len() as u64;
        self.next = part.first_chunk() + 1;
        self.len = part.plaintext_offset() + part.plaintext_len() as u64;
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        self.damage.count += 1;
        self.damage.bytes += run.end - run.start;
        if self.damage.ranges.len() < MAX_RANGES {
            self.damage.ranges.push(run);
        }
    }

    fn report(mut self, format: Format, end: End) -> DamageReport {
        self.end_run();
        let Self { damage, intact, chunks, len, .. } = self;
        DamageReport {
            format,
            bytes_in: 0,
            bytes_out: len,
            bytes_intact: intact,
            chunks_intact: chunks,
            damage,
            end,
            is_header_altered: false,
        }
    }
}

#[cfg(test)]
mod tests;
