//! Opening: header and sealed segments in, plaintext segments out.

use std::path::PathBuf;

use cryptstream_format::header::{HeaderErrorKind, MAX_HEADER_LEN};
use cryptstream_format::payload::{
    CHUNK_LEN, PREFIX_LEN, SEALED_CHUNK_LEN, SEALED_SEGMENT_LEN, SEGMENT_CHUNKS,
};
use cryptstream_format::{ChunkError, Header, Identity, Layout, PayloadCipher, Segment};

use crate::output::Sink;
use crate::work::{Operation, file_to_file};
use crate::{Error, PART_CHUNKS, Progress, RunOptions, Source, Summary, Target, WorkerStats};

/// Enough for the headers of nearly all files, and for a small file whole.
const FIRST_READ: usize = 16 << 10;
/// How much of a foreign file is kept for guessing what it is.
const HEAD_LEN: usize = 512;

/// Opens `source` with the first of `identities` that fits, into `target`.
///
/// Plaintext reaches a file's name only when all of it is verified, and a
/// stream only in verified segments.
///
/// # Errors
/// See [`Error`]; the target then has not come into being.
pub fn decrypt(
    source: &mut Source,
    target: &Target,
    identities: &[&dyn Identity],
    options: &RunOptions,
    progress: &dyn Progress,
) -> Result<Summary, Error> {
    let header = read_header(source)?;
    let start = header.len() as u64;
    // Before the key derivation: where the length is wrong, it would be for
    // nothing.
    let layout = source
        .known_len()
        .map(|len| Layout::of_payload(len.saturating_sub(start)))
        .transpose()
        .map_err(|error| Error::Layout { path: source.path().to_owned(), source: error })?;
    let mut sink = Sink::open(target, source, options.commit)?;
    let file_key = header.unlock(identities).map_err(|error| Error::Unlock {
        path: source.path().to_owned(),
        source: error,
        sealed_for: header.stanzas().iter().map(|stanza| stanza.tag().to_owned()).collect(),
    })?;
    let mut prefix = [0; PREFIX_LEN];
    if source.fill(&mut prefix)? < PREFIX_LEN {
        return Err(cut_in_header(source));
    }
    let cipher = PayloadCipher::from_prefix(&file_key, &prefix)
        .map_err(|error| Error::Commitment { path: source.path().to_owned(), source: error })?;

    progress.start(source.expected_len());
    progress.advance(start + PREFIX_LEN as u64);
    let summary = match (layout, &mut sink) {
        (Some(layout), Sink::File(pending)) => {
            let cipher = cipher.into_chunks();
            let operation = Operation::Open;
            let workers =
                file_to_file(operation, layout, start, cipher, source, pending, options, progress)?;
            let bytes_in = start + layout.payload_len();
            Summary { bytes_in, bytes_out: layout.plaintext_len(), workers }
        }
        (layout, sink) => {
            let stream = Stream {
                path: source.path().to_owned(),
                start,
                layout,
                cipher,
                sealed: vec![0; SEALED_SEGMENT_LEN],
                plaintext: vec![0; PART_CHUNKS * CHUNK_LEN],
                progress,
            };
            let bytes_out = stream.open(source, sink)?;
            Summary { bytes_in: source.position(), bytes_out, workers: WorkerStats::default() }
        }
    };
    sink.commit(source, options.commit)?;
    Ok(summary)
}

/// Reads the header and leaves the source at the payload's first byte.
fn read_header(source: &mut Source) -> Result<Header, Error> {
    let mut bytes = vec![0; FIRST_READ];
    let mut len = source.fill(&mut bytes)?;
    loop {
        match Header::parse(&bytes[..len]) {
            Ok(Some(header)) => {
                source.give_back(&bytes[header.len()..len]);
                return Ok(header);
            }
            // Full means that there may be more; the parser gives up at 1 MiB.
            Ok(None) if len == bytes.len() => {
                bytes.resize((2 * len).min(MAX_HEADER_LEN), 0);
                len += source.fill(&mut bytes[len..])?;
            }
            Ok(None) if len == 0 => return Err(not_sealed(source, &[])),
            Ok(None) => return Err(cut_in_header(source)),
            Err(error) if error.kind == HeaderErrorKind::Version => {
                return Err(not_sealed(source, &bytes[..len]));
            }
            Err(error) => {
                return Err(Error::Header { path: source.path().to_owned(), source: error });
            }
        }
    }
}

fn not_sealed(source: &Source, bytes: &[u8]) -> Error {
    let head = bytes[..bytes.len().min(HEAD_LEN)].to_vec();
    Error::NotSealed { path: source.path().to_owned(), head }
}

fn cut_in_header(source: &Source) -> Error {
    Error::CutInHeader { path: source.path().to_owned(), len: source.position() }
}

/// The opening of one payload in order.
struct Stream<'a> {
    path: PathBuf,
    /// Byte of the input at which the payload begins.
    start: u64,
    /// Where the input's length can be relied upon.
    layout: Option<Layout>,
    cipher: PayloadCipher,
    sealed: Vec<u8>,
    plaintext: Vec<u8>,
    progress: &'a dyn Progress,
}

impl Stream<'_> {
    /// Opens all segments; returns the length of the plaintext.
    fn open(mut self, source: &mut Source, sink: &mut Sink) -> Result<u64, Error> {
        let mut index = 0;
        loop {
            let segment = self.read(index, source)?;
            for part in segment.split(PART_CHUNKS) {
                let begin = (part.payload_offset() - segment.payload_offset()) as usize;
                let sealed = &self.sealed[begin..begin + part.sealed_len()];
                let len = part.plaintext_len();
                let opened = self.cipher.open(&part, sealed, &mut self.plaintext[..len]);
                opened.map_err(|error| self.damaged(&part, error))?;
                sink.put(part.plaintext_offset(), &self.plaintext[..len])?;
            }
            self.progress.advance(segment.sealed_len() as u64);
            if segment.is_last() {
                return Ok(segment.plaintext_offset() + segment.plaintext_len() as u64);
            }
            index += 1;
        }
    }

    /// Reads segment `index` into the buffer. Only the last one is not full.
    fn read(&mut self, index: u64, source: &mut Source) -> Result<Segment, Error> {
        let len = source.fill(&mut self.sealed)?;
        let segment = match len {
            SEALED_SEGMENT_LEN => Some(Segment::inner(index)),
            _ => Segment::last_sealed(index, len),
        };
        match &self.layout {
            Some(layout) if layout.segment(index) != segment => return Err(source.changed()),
            _ => {}
        }
        segment.ok_or_else(|| Error::CutInPayload {
            path: self.path.clone(),
            chunk: index * SEGMENT_CHUNKS + (len / SEALED_CHUNK_LEN) as u64,
            offset: source.position(),
        })
    }

    fn damaged(&self, part: &Segment, error: ChunkError) -> Error {
        match error {
            ChunkError::Damaged { chunk, .. } => Error::Damaged {
                path: self.path.clone(),
                chunk,
                offset: self.start + PREFIX_LEN as u64 + chunk * SEALED_CHUNK_LEN as u64,
                is_last: part.is_last() && chunk + 1 == part.first_chunk() + part.chunks() as u64,
            },
            ChunkError::BufferLength { .. } => {
                Error::Internal("a segment was opened with the wrong length")
            }
        }
    }
}
