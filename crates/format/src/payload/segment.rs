//! Runs of chunks, which are encrypted or decrypted together.

use crate::format::{Format, SEGMENT_LEN, TAG_LEN};

/// The longest that a segment can be with its tags, in any format.
pub const MAX_SEALED_SEGMENT_LEN: usize = Format::Native.sealed_segment_len();
/// Chunks that one payload may have, the final one included. (age would allow
/// more; these are 16 PiB.)
pub const MAX_CHUNKS: u64 = 1 << 38;

/// A unit of work: a run of chunks with up to 1 MiB of plaintext, and its offsets in the plaintext
/// and in the payload. [`Segment::split`] divides it. [`Segment::run`] and
/// [`Layout::final_chunk`](super::Layout::final_chunk) begin at any chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    format: Format,
    /// Below [`MAX_CHUNKS`].
    first_chunk: u64,
    /// A multiple of the chunk's length up to [`SEGMENT_LEN`], unless
    /// `is_last`; then anything that [`Segment::last`] takes.
    plaintext_len: usize,
    /// Whether the final chunk is in it.
    is_last: bool,
}

impl Segment {
    /// A full segment that is not the last one.
    ///
    /// For streams, whose length is not known in advance; otherwise use
    /// [`Layout::segment`](super::Layout::segment).
    #[must_use]
    pub fn inner(format: Format, index: u64) -> Self {
        let first_chunk = index * format.segment_chunks() as u64;
        Self { format, first_chunk, plaintext_len: SEGMENT_LEN, is_last: false }
    }

    /// `chunks` full chunks from chunk `first` on, without the final chunk: for decrypting a part
    /// of a payload. `None` if there are no chunks, more than a segment has, or more than a payload
    /// has.
    #[must_use]
    pub fn run(format: Format, first: u64, chunks: usize) -> Option<Self> {
        let is_possible = (1..=format.segment_chunks()).contains(&chunks)
            // The final one comes after them.
            && first.checked_add(chunks as u64).is_some_and(|after| after < MAX_CHUNKS);
        is_possible.then(|| {
            let plaintext_len = chunks * format.chunk_len();
            Self { format, first_chunk: first, plaintext_len, is_last: false }
        })
    }

    /// The run from chunk `first` on with `plaintext_len` bytes, which includes the final chunk if
    /// `is_last`. For runs that another process asks for. `None` if there is no such run.
    #[must_use]
    pub fn of_chunks(
        format: Format,
        first: u64,
        plaintext_len: usize,
        is_last: bool,
    ) -> Option<Self> {
        if !is_last {
            let is_whole = plaintext_len.is_multiple_of(format.chunk_len());
            return Self::run(format, first, plaintext_len / format.chunk_len())
                .filter(|_| is_whole);
        }
        let segment = Self { format, first_chunk: first, plaintext_len, is_last };
        let most = SEGMENT_LEN - usize::from(!format.final_chunk_may_be_full());
        let is_possible = plaintext_len <= most
            && first.checked_add(segment.chunks() as u64).is_some_and(|end| end <= MAX_CHUNKS);
        is_possible.then_some(segment)
    }

    /// The last segment, with `plaintext_len` bytes; `None` if it cannot have this length. After a
    /// full segment, a native stream still has an empty last one; an age stream does not.
    #[must_use]
    pub fn last(format: Format, index: u64, plaintext_len: usize) -> Option<Self> {
        let is_possible = match format {
            Format::Native => plaintext_len < SEGMENT_LEN,
            Format::Age => plaintext_len <= SEGMENT_LEN && (plaintext_len > 0 || index == 0),
        };
        let segment = Self { plaintext_len, is_last: true, ..Self::inner(format, index) };
        is_possible.then_some(segment)
    }

    /// The last segment, with `sealed_len` bytes in the payload; `None` if it cannot have this
    /// length.
    #[must_use]
    pub fn last_sealed(format: Format, index: u64, sealed_len: usize) -> Option<Self> {
        let len = opened_len(format, sealed_len as u64, index == 0)?;
        Self::last(format, index, len as usize)
    }

    /// A single full chunk that is not the final one, for reading a damaged segment chunk by
    /// chunk.
    #[must_use]
    pub fn inner_chunk(format: Format, chunk: u64) -> Self {
        let plaintext_len = format.chunk_len();
        Self { format, first_chunk: chunk, plaintext_len, is_last: false }
    }

    /// The final chunk alone, with `sealed_len` bytes in the payload; `None` if it cannot have this
    /// length.
    #[must_use]
    pub fn final_chunk(format: Format, chunk: u64, sealed_len: usize) -> Option<Self> {
        let plaintext_len = opened_len(format, sealed_len as u64, chunk == 0)? as usize;
        let segment = Self { format, first_chunk: chunk, plaintext_len, is_last: true };
        (segment.chunks() == 1).then_some(segment)
    }

    /// Divides the run into parts of `len` bytes of plaintext, at least one chunk each; the last
    /// part may be shorter. The buffers of a part fit into the cache of the processor.
    pub fn split(&self, len: usize) -> impl Iterator<Item = Self> + use<> {
        let whole = *self;
        let chunks = (len / whole.format.chunk_len()).max(1);
        (0..whole.chunks()).step_by(chunks).map(move |first| {
            let is_last = whole.is_last && first + chunks >= whole.chunks();
            let rest = whole.plaintext_len - first * whole.format.chunk_len();
            Self {
                format: whole.format,
                first_chunk: whole.first_chunk + first as u64,
                plaintext_len: if is_last {
                    rest
                } else {
                    rest.min(chunks * whole.format.chunk_len())
                },
                is_last,
            }
        })
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The number of the segment in which this run begins, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.first_chunk / self.format.segment_chunks() as u64
    }

    /// Whether this segment includes the final chunk.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The number of the first chunk.
    #[must_use]
    pub fn first_chunk(&self) -> u64 {
        self.first_chunk
    }

    /// Chunks in this segment, at least 1.
    #[must_use]
    pub fn chunks(&self) -> usize {
        let chunk_len = self.format.chunk_len();
        match self.format {
            Format::Native => self.plaintext_len / chunk_len + usize::from(self.is_last),
            Format::Age => self.plaintext_len.div_ceil(chunk_len).max(1),
        }
    }

    /// The offset of this segment in the plaintext, in bytes.
    #[must_use]
    pub fn plaintext_offset(&self) -> u64 {
        self.first_chunk * self.format.chunk_len() as u64
    }

    /// Bytes of plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> usize {
        self.plaintext_len
    }

    /// The offset of this segment in the payload, in bytes.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        chunk_offset(self.format, self.first_chunk)
    }

    /// Bytes in the payload, including tags.
    #[must_use]
    pub fn sealed_len(&self) -> usize {
        self.plaintext_len + self.chunks() * TAG_LEN
    }
}

/// The offset of a chunk in the payload, in bytes.
#[must_use]
pub fn chunk_offset(format: Format, chunk: u64) -> u64 {
    format.prefix_len() as u64 + chunk * format.sealed_chunk_len() as u64
}

/// The number of units for `len` bytes, including the final one: at least one.
pub(super) fn count(format: Format, len: u64, unit: u64) -> u64 {
    if format.final_chunk_may_be_full() { len.div_ceil(unit).max(1) } else { len / unit + 1 }
}

/// Bytes of plaintext in `sealed` bytes that end with the final chunk, and begin with the first one
/// if `is_whole`. `None` if no payload ends like this.
pub(super) fn opened_len(format: Format, sealed: u64, is_whole: bool) -> Option<u64> {
    let sealed_chunk = format.sealed_chunk_len() as u64;
    let chunks = count(format, sealed, sealed_chunk);
    let final_len = (sealed - (chunks - 1) * sealed_chunk).checked_sub(TAG_LEN as u64)?;
    // In age files, a chunk is only empty if it is the only one.
    let is_allowed =
        final_len > 0 || !format.final_chunk_may_be_full() || (chunks == 1 && is_whole);
    is_allowed.then(|| (chunks - 1) * format.chunk_len() as u64 + final_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_no_payload_has_are_refused() {
        for format in Format::ALL {
            let most = format.segment_chunks();
            let run = |first, chunks| Segment::run(format, first, chunks);
            assert!(run(7, most).is_some() && run(MAX_CHUNKS - 2, 1).is_some());
            assert_eq!((run(7, 0), run(7, most + 1)), (None, None));
            assert_eq!((run(MAX_CHUNKS - 1, 1), run(u64::MAX, 1)), (None, None));
        }
    }

    #[test]
    fn the_last_segment_is_found_from_its_sealed_length() {
        for format in Format::ALL {
            let (chunk, sealed_chunk) = (format.chunk_len(), format.sealed_chunk_len());
            for len in [1, chunk - 1, chunk, chunk + 1, SEGMENT_LEN - 1] {
                let segment = Segment::last(format, 3, len).unwrap();
                assert_eq!(Segment::last_sealed(format, 3, segment.sealed_len()), Some(segment));
            }
            for sealed in [0, 15, sealed_chunk + 15, format.sealed_segment_len() + 16] {
                assert_eq!(Segment::last_sealed(format, 3, sealed), None, "{sealed}");
            }
            assert_eq!(Segment::last(format, 3, SEGMENT_LEN + 1), None);
        }
        let native = |len| Segment::last_sealed(Format::Native, 3, len);
        let full = Format::Native.sealed_segment_len();
        assert_eq!((native(16_400), native(full)), (None, None));
        assert!(native(16).is_some() && native(16_400 + 16).is_some());
        let age = |index, len| Segment::last_sealed(Format::Age, index, len);
        assert!(age(3, 65_552).is_some() && age(3, 16 * 65_552).is_some());
        assert!(age(0, 16).is_some(), "nothing at all");
        assert_eq!((age(3, 16), age(0, 65_552 + 16)), (None, None), "nothing after something");
    }
}
