//! Opening a part of a file: only the chunks that it lies in are read.
//!
//! Chunks that others follow prove by themselves what they are and where they
//! belong. Where the plaintext ends only the final chunk can prove, as a length
//! alone is anybody's word; so it is opened first when the part is counted from
//! the end or reaches it.
//!
//! Main does it alone: a worker's segments begin at multiples of 1 MiB, and
//! their output has the place that they have in the whole.

use std::ops::Range;

use cryptstream_format::payload::chunk_offset;
use cryptstream_format::{ChunkCipher, Format, Identity, Layout, LayoutError, Segment};
use rustix::fs::Advice;

use crate::error_context::ErrorContext;
use crate::header::unlock;
use crate::job::{Failure, read_exact_at};
use crate::journal::open_header;
use crate::memory::grow;
use crate::output::Sink;
use crate::{CommitOptions, Engine, Error, Progress, Source, Summary, Target};

/// Plaintext that is read, opened and written in one go: 256 KiB.
const PART_LEN: usize = 256 << 10;
/// Parts above this size are worth being read ahead.
const SEQUENTIAL_ABOVE: u64 = 1 << 20;

/// A part of a plaintext, as it can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From byte `start` up to byte `end`, which is not in it, or up to the
    /// plaintext's end if that comes first.
    Between {
        /// The first byte.
        start: u64,
        /// The byte after the last one; above `start`.
        end: u64,
    },
    /// From this byte up to the end.
    From(u64),
    /// So many bytes before the end, or all that there are.
    Last(u64),
}

/// What was opened of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSummary {
    /// What was moved.
    pub summary: Summary,
    /// The bytes of the plaintext that were written.
    pub range: Range<u64>,
    /// The length of the whole plaintext, where the final chunk has proved it.
    pub plaintext_len: Option<u64>,
}

impl Engine {
    /// Opens a part of `source` with the first of `identities` that fits, into
    /// `target`. Damage to chunks in which no byte of it lies is not noticed.
    ///
    /// # Errors
    /// [`Error::NotSeekable`], [`Error::RangeAfterEnd`], and those of
    /// [`Engine::decrypt`]; the target then has not come into being.
    pub fn decrypt_range(
        &mut self,
        source: &mut Source,
        target: &Target,
        identities: &[&dyn Identity],
        range: ByteRange,
        commit: CommitOptions,
        progress: &dyn Progress,
    ) -> Result<RangeSummary, Error> {
        let len = source.begin_random_access()?;
        let (header, reach, mut sink, cipher) = open_header(source, |source, header| {
            if source.is_armored() {
                let path = source.path().to_owned();
                return Err(Error::NotSeekable { path, is_armored: true });
            }
            // Before the key derivation: where the length is wrong, it would be
            // for nothing.
            let payload_len = len.saturating_sub(header.len() as u64);
            let reach = Reach::of(range, header.format(), payload_len)
                .map_err(|error| Error::Layout { path: source.path().to_owned(), source: error })?;
            let sink = target.open(source, commit)?;
            let cipher = unlock(source, &header, identities)?;
            Ok((header, reach, sink, cipher))
        })?;
        let start = header.len() as u64;
        let mut opener = Opener::new(source, cipher, start, &sink);
        let mut tail = None;
        let (range, plaintext_len) = match reach {
            Reach::Inner(range) => (range, None),
            Reach::End(layout) => {
                let chunk = layout.final_chunk();
                opener.open(&chunk)?;
                tail = Some((chunk, std::mem::take(&mut opener.opened)));
                let len = layout.plaintext_len();
                let after_end =
                    |start| Error::RangeAfterEnd { path: source.path().to_owned(), start, len };
                (clipped(range, len).map_err(after_end)?, Some(len))
            }
        };
        let bytes_out = range.end - range.start;
        sink.expect(bytes_out)?;
        if bytes_out > SEQUENTIAL_ABOVE {
            source.advise(Advice::Sequential);
        }
        // Counted in plaintext, of which the length is at hand.
        progress.start(Some(bytes_out));
        let full_chunks = tail.as_ref().map(|(chunk, _)| chunk.first_chunk());
        for run in runs(&range, header.format(), full_chunks) {
            let text = opener.open(&run)?;
            let (offset, text) = wanted(&range, &run, text);
            sink.put(offset, text)?;
            progress.advance(text.len() as u64);
        }
        if let Some((chunk, text)) = &tail {
            let (offset, text) = wanted(&range, chunk, text);
            sink.put(offset, text)?;
            progress.advance(text.len() as u64);
        }
        let bytes_in = opener.bytes_in;
        sink.commit(source, commit, None)?;
        let format = header.format();
        let summary = Summary { format, bytes_in, bytes_out, ..Summary::default() };
        Ok(RangeSummary { summary, range, plaintext_len })
    }
}

/// How far a part reaches in a payload of some length.
#[derive(Debug, PartialEq, Eq)]
enum Reach {
    /// These bytes, in chunks that others follow. They are what they are,
    /// whatever has become of the end.
    Inner(Range<u64>),
    /// To the final chunk, or what is counted from it.
    End(Layout),
}

impl Reach {
    fn of(range: ByteRange, format: Format, payload_len: u64) -> Result<Self, LayoutError> {
        if let ByteRange::Between { start, end } = range
            && start < end
            && end <= Layout::max_plaintext_len(format)
            && chunk_offset(format, end.div_ceil(format.chunk_len() as u64)) < payload_len
        {
            return Ok(Self::Inner(start..end));
        }
        Layout::of_payload(format, payload_len).map(Self::End)
    }
}

/// The bytes of a plaintext of `len` bytes that were asked for; fails with
/// the first of them if there is none.
fn clipped(range: ByteRange, len: u64) -> Result<Range<u64>, u64> {
    let (start, end) = match range {
        ByteRange::Last(count) => return Ok(len.saturating_sub(count)..len),
        ByteRange::From(start) => (start, len),
        ByteRange::Between { start, end } => (start, end.min(len)),
    };
    if start < end { Ok(start..end) } else { Err(start) }
}

/// The runs of chunks that hold `range`; those before chunk `limit`, if the
/// final chunk is there.
fn runs(range: &Range<u64>, format: Format, limit: Option<u64>) -> impl Iterator<Item = Segment> {
    let chunk_len = format.chunk_len() as u64;
    let end = range.end.div_ceil(chunk_len).min(limit.unwrap_or(u64::MAX));
    let most = (PART_LEN / format.chunk_len()) as u64;
    let mut next = range.start / chunk_len;
    std::iter::from_fn(move || {
        let count = end.saturating_sub(next).min(most);
        let run = Segment::run(format, next, count as usize)?;
        next += count;
        Some(run)
    })
}

/// What of a run's `text` is in `range`, and its place there.
fn wanted<'a>(range: &Range<u64>, run: &Segment, text: &'a [u8]) -> (u64, &'a [u8]) {
    let (start, len) = (run.plaintext_offset(), text.len() as u64);
    let from = range.start.saturating_sub(start).min(len);
    let to = range.end.saturating_sub(start).clamp(from, len);
    (start + from - range.start, &text[from as usize..to as usize])
}

/// Opens runs of chunks at their places in a file.
struct Opener<'a> {
    source: &'a Source,
    cipher: ChunkCipher,
    /// Where errors are, and where the payload begins.
    place: ErrorContext,
    /// Bytes that were of use.
    bytes_in: u64,
    sealed: Vec<u8>,
    opened: Vec<u8>,
}

impl<'a> Opener<'a> {
    fn new(source: &'a Source, cipher: ChunkCipher, start: u64, sink: &Sink) -> Self {
        let (path, output_path) = (source.path().to_owned(), sink.path().to_owned());
        let bytes_in = start + cipher.format().prefix_len() as u64;
        let place = ErrorContext { path, output_path, start };
        Self { source, cipher, place, bytes_in, sealed: Vec::new(), opened: Vec::new() }
    }

    /// The plaintext of `run`, verified. It stays in `opened`.
    fn open(&mut self, run: &Segment) -> Result<&[u8], Error> {
        let (sealed_len, len) = (run.sealed_len(), run.plaintext_len());
        grow(&mut self.sealed, sealed_len)?;
        grow(&mut self.opened, len)?;
        self.opened.truncate(len);
        let (sealed, opened) = (&mut self.sealed[..sealed_len], &mut self.opened[..]);
        let offset = self.place.start + run.payload_offset();
        let failed = |failure| self.place.clone().error(run, failure);
        read_exact_at(self.source.file(), sealed, offset).map_err(failed)?;
        let (parser, path) = (self.source.parser(), self.source.path());
        if let Some(chunk) = parser.open(path, &self.cipher, run, sealed, opened)? {
            return Err(failed(Failure::Damaged { chunk }));
        }
        self.bytes_in += sealed_len as u64;
        Ok(opened)
    }
}
