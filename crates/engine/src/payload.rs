//! A payload that is encrypted or decrypted, and its segments.

use cryptstream_format::{ChunkCipher, Format, Layout, Segment};

use crate::output::Sink;
use crate::transform::Operation;
use crate::{Error, Source};

/// A payload to encrypt or decrypt, without its input and output.
pub(crate) struct Payload {
    pub(crate) operation: Operation,
    pub(crate) layout: Option<Layout>,
    pub(crate) start: u64,
    pub(crate) cipher: ChunkCipher,
    /// What comes before it in the output and is not written yet. In a small file it is written
    /// together with the first bytes of the payload.
    pub(crate) head: Vec<u8>,
}

impl Payload {
    /// Writes what comes before it.
    pub(crate) fn put_head(&mut self, sink: &mut Sink) -> Result<(), Error> {
        match std::mem::take(&mut self.head) {
            head if head.is_empty() => Ok(()),
            head => sink.put(0, &head),
        }
    }
}

/// The last segment of a payload.
pub(crate) fn last_of(layout: &Layout) -> Result<Segment, Error> {
    layout.segment(layout.segment_count() - 1).ok_or(Error::Internal("a payload without an end"))
}

/// What could be read for a segment.
pub(crate) struct Read {
    pub(crate) format: Format,
    pub(crate) operation: Operation,
    pub(crate) len: usize,
    /// Whether nothing comes after it.
    pub(crate) is_end: bool,
}

/// The segment of which this could be read.
pub(crate) fn segment_read(
    read: Read,
    layout: Option<Layout>,
    index: u64,
    source: &Source,
) -> Result<Segment, Error> {
    let Read { format, operation, len, is_end } = read;
    let segment = match (operation, is_end) {
        (_, false) => Some(Segment::inner(format, index)),
        (Operation::Encrypt, true) => Segment::last(format, index, len),
        (Operation::Decrypt, true) => Segment::last_sealed(format, index, len),
    };
    match &layout {
        Some(layout) if layout.segment(index) != segment => return Err(source.changed()),
        _ => {}
    }
    segment.ok_or_else(|| Error::CutInPayload {
        path: source.path().to_owned(),
        chunk: index * format.segment_chunks() as u64 + (len / format.sealed_chunk_len()) as u64,
        offset: source.position(),
    })
}
