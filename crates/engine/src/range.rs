//! Decrypts a range of a file. Only the chunks that it lies in are read.
//!
//! A chunk that others follow proves its own place. Only the final chunk proves where the
//! plaintext ends, since anybody can change a length. So it is decrypted first if the range
//! reaches the end or is counted from it.
//!
//! No worker takes part: a worker writes whole segments at their places in the whole file.

use std::ops::Range;

use cryptstream_format::payload::chunk_offset;
use cryptstream_format::{ChunkCipher, Format, Identity, Layout, LayoutError, Segment};
use rustix::fs::Advice;

use crate::error_context::ErrorContext;
use crate::header::unlock;
use crate::journal::open_header;
use crate::memory::grow;
use crate::output::Sink;
use crate::part_io::BufferWriter;
use crate::request::{Decrypt, Output};
use crate::runs::{RUN_LEN, decrypt_run};
use crate::transform::PartWriter;
use crate::{CommitOptions, Engine, Error, Progress, Source, Summary};

/// The system is told to read ahead for longer ranges, in bytes.
const SEQUENTIAL_ABOVE: u64 = 1 << 20;

/// A range of a plaintext, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From byte `start` up to, but not including, byte `end`, or to the end of the
    /// plaintext if that comes first.
    Between {
        /// The first byte.
        start: u64,
        /// The byte after the last one; above `start`.
        end: u64,
    },
    /// From this byte to the end.
    From(u64),
    /// The last bytes, this many of them, or all if there are fewer.
    Last(u64),
}

/// The result of decrypting a range.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeSummary {
    /// Bytes read and written.
    pub summary: Summary,
    /// The range of the plaintext that was written, in bytes.
    pub range: Range<u64>,
    /// The length of the whole plaintext in bytes, if it had to be verified for this range.
    pub plaintext_len: Option<u64>,
}

impl Engine {
    /// Decrypts a range of a file. Only the chunks that hold it are read, so damage
    /// elsewhere goes unnoticed.
    ///
    /// # Errors
    /// [`Error::NotSeekable`], [`Error::RangeAfterEnd`], and those of
    /// [`Engine::decrypt`]. After an error there is no output file.
    pub fn decrypt_range(
        &mut self,
        request: Decrypt<'_>,
        range: ByteRange,
    ) -> Result<RangeSummary, Error> {
        let Decrypt { input, output, identities, commit, progress } = request;
        let open = |source: &mut Source| match &output {
            Output::Target(target) => target.open(source, commit),
            Output::Pipe(pipe) => match pipe.try_clone() {
                Ok(pipe) => Ok(Sink::pipe(pipe, source.path().to_owned())),
                Err(error) => Err(Error::Open { path: source.path().to_owned(), source: error }),
            },
        };
        let parser = self.parser_for(&input)?;
        input.with(&parser, |source| {
            decrypt_source(source, open, identities, range, commit, progress)
        })
    }
}

fn decrypt_source(
    source: &mut Source,
    mut open: impl FnMut(&mut Source) -> Result<Sink, Error>,
    identities: &[&dyn Identity],
    range: ByteRange,
    commit: CommitOptions,
    progress: &dyn Progress,
) -> Result<RangeSummary, Error> {
    let len = source.begin_random_access()?;
    let (header, plan, mut sink, cipher) = open_header(source, |source, header| {
        if source.is_armored() {
            let path = source.path().to_owned();
            return Err(Error::NotSeekable { path, is_armored: true });
        }
        // Before the slow key derivation: a file of an impossible length needs none.
        let payload_len = len.saturating_sub(header.len() as u64);
        let plan = RangePlan::of(range, header.format(), payload_len)
            .map_err(|error| Error::Layout { path: source.path().to_owned(), source: error })?;
        let sink = open(source)?;
        let cipher = unlock(source, &header, identities)?;
        Ok((header, plan, sink, cipher))
    })?;
    let start = header.len() as u64;
    let (path, output_path) = (source.path().to_owned(), sink.path().to_owned());
    let mut runs = RunDecryption {
        source,
        cipher: &cipher,
        context: ErrorContext { path, output_path, start },
        bytes_in: start + header.format().prefix_len() as u64,
        buffer: Vec::new(),
    };
    let mut tail = None;
    let (range, plaintext_len) = match plan {
        RangePlan::BeforeEnd(range) => (range, None),
        RangePlan::ToEnd(layout) => {
            let chunk = layout.final_chunk();
            let mut text = Vec::new();
            runs.decrypt(&chunk, &mut BufferWriter(&mut text))?;
            tail = Some((chunk, text));
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
    // Progress counts plaintext, since its length is known.
    progress.start(Some(bytes_out));
    let full_chunks = tail.as_ref().map(|(chunk, _)| chunk.first_chunk());
    let mut text = Vec::new();
    for run in runs_in(&range, header.format(), full_chunks) {
        let (range, sink, text) = (&range, &mut sink, &mut text);
        runs.decrypt(&run, &mut RangeWriter { range, sink, text, progress })?;
    }
    if let Some((chunk, mut text)) = tail {
        let (range, sink, text) = (&range, &mut sink, &mut text);
        RangeWriter { range, sink, text, progress }.write(&chunk)?;
    }
    let bytes_in = runs.bytes_in;
    sink.commit(source, commit, None)?;
    let format = header.format();
    let summary = Summary { format, bytes_in, bytes_out, ..Summary::default() };
    Ok(RangeSummary { summary, range, plaintext_len })
}

/// Whether the final chunk must be decrypted first.
#[derive(Debug, PartialEq, Eq)]
enum RangePlan {
    /// No: these bytes are in chunks that others follow, which prove their own place.
    BeforeEnd(Range<u64>),
    /// Yes: the range reaches the final chunk of this payload, or is counted from it.
    ToEnd(Layout),
}

impl RangePlan {
    fn of(range: ByteRange, format: Format, payload_len: u64) -> Result<Self, LayoutError> {
        if let ByteRange::Between { start, end } = range
            && start < end
            && end <= Layout::max_plaintext_len(format)
            && chunk_offset(format, end.div_ceil(format.chunk_len() as u64)) < payload_len
        {
            return Ok(Self::BeforeEnd(start..end));
        }
        Layout::of_payload(format, payload_len).map(Self::ToEnd)
    }
}

/// The part of the range that lies in a plaintext of `len` bytes. The error is the start of a
/// range that lies after it.
fn clipped(range: ByteRange, len: u64) -> Result<Range<u64>, u64> {
    let (start, end) = match range {
        ByteRange::Last(count) => return Ok(len.saturating_sub(count)..len),
        ByteRange::From(start) => (start, len),
        ByteRange::Between { start, end } => (start, end.min(len)),
    };
    if start < end { Ok(start..end) } else { Err(start) }
}

/// The runs of chunks that hold `range`, up to but not including chunk `limit`, if there is one.
fn runs_in(
    range: &Range<u64>,
    format: Format,
    limit: Option<u64>,
) -> impl Iterator<Item = Segment> {
    let chunk_len = format.chunk_len() as u64;
    let end = range.end.div_ceil(chunk_len).min(limit.unwrap_or(u64::MAX));
    let most = (RUN_LEN / format.chunk_len()) as u64;
    let mut next = range.start / chunk_len;
    std::iter::from_fn(move || {
        let count = end.saturating_sub(next).min(most);
        let run = Segment::run(format, next, count as usize)?;
        next += count;
        Some(run)
    })
}

/// The part of a run's `text` that lies in `range`, and its offset from the start of the range.
fn wanted<'a>(range: &Range<u64>, run: &Segment, text: &'a [u8]) -> (u64, &'a [u8]) {
    let (start, len) = (run.plaintext_offset(), text.len() as u64);
    let from = range.start.saturating_sub(start).min(len);
    let to = range.end.saturating_sub(start).clamp(from, len);
    (start + from - range.start, &text[from as usize..to as usize])
}

/// Decrypts runs of chunks at their places in a file.
struct RunDecryption<'a> {
    source: &'a Source,
    cipher: &'a ChunkCipher,
    context: ErrorContext,
    /// Bytes of the file that were decrypted.
    bytes_in: u64,
    buffer: Vec<u8>,
}

impl RunDecryption<'_> {
    fn decrypt(&mut self, run: &Segment, writer: &mut impl PartWriter<Error>) -> Result<(), Error> {
        let Self { source, cipher, context, bytes_in, buffer } = self;
        decrypt_run(run, source, cipher, context, buffer, writer)?;
        *bytes_in += run.sealed_len() as u64;
        Ok(())
    }
}

/// Writes the bytes of each part that lie in the range.
struct RangeWriter<'a> {
    range: &'a Range<u64>,
    sink: &'a mut Sink,
    text: &'a mut Vec<u8>,
    progress: &'a dyn Progress,
}

impl PartWriter<Error> for RangeWriter<'_> {
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], Error> {
        grow(self.text, part.plaintext_len())?;
        self.text.truncate(part.plaintext_len());
        Ok(self.text)
    }

    fn write(&mut self, part: &Segment) -> Result<(), Error> {
        let (offset, text) = wanted(self.range, part, self.text);
        self.sink.put(offset, text)?;
        self.progress.advance(text.len() as u64);
        Ok(())
    }
}
