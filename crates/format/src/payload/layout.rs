//! Where each byte lies: plaintext lengths, payload lengths, chunks, segments.

use super::cipher::PREFIX_LEN;

/// Plaintext bytes in every chunk but the final one.
pub const CHUNK_LEN: usize = 16_384;
/// Bytes of the authentication tag that follows each chunk.
pub const TAG_LEN: usize = 16;
/// A full chunk with its tag.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Chunks in every segment but the last one.
pub const SEGMENT_CHUNKS: u64 = 64;
/// Plaintext bytes in every segment but the last one: 1 MiB, measured to be
/// the best unit of work among 64 KiB … 4 MiB.
pub const SEGMENT_LEN: usize = 1 << 20;
/// A full segment with its tags.
pub const SEALED_SEGMENT_LEN: usize = SEGMENT_CHUNKS as usize * SEALED_CHUNK_LEN;
/// Chunks that one payload may have, the final one included.
pub const MAX_CHUNKS: u64 = 1 << 38;
/// The longest plaintext: the final chunk is never full, so 4 PiB − 1.
pub const MAX_PLAINTEXT_LEN: u64 = MAX_CHUNKS * CHUNK_LEN as u64 - 1;

const MIN_PAYLOAD_LEN: u64 = (PREFIX_LEN + TAG_LEN) as u64;

/// A length that no payload, or no plaintext, can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The payload is shorter than that of an empty plaintext.
    #[error("the payload has {0} bytes, fewer than the {MIN_PAYLOAD_LEN} of an empty one")]
    TooShort(u64),
    /// The last chunk is shorter than its own tag, or missing: something was
    /// cut off or added.
    #[error("no payload is {0} bytes long: it was cut, or something was added")]
    Impossible(u64),
    /// More chunks than a payload may have.
    #[error("{0} bytes are more than one file can hold (4 PiB)")]
    TooLong(u64),
}

/// The arithmetic of one payload, fixed by the length of its plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// At most [`MAX_PLAINTEXT_LEN`], so no sum below can overflow.
    plaintext_len: u64,
}

impl Layout {
    /// The layout of a payload that holds `len` bytes of plaintext.
    ///
    /// # Errors
    /// [`LayoutError::TooLong`] above [`MAX_PLAINTEXT_LEN`].
    pub fn of_plaintext(len: u64) -> Result<Self, LayoutError> {
        if len > MAX_PLAINTEXT_LEN {
            return Err(LayoutError::TooLong(len));
        }
        Ok(Self { plaintext_len: len })
    }

    /// The layout of a payload of `len` bytes, prefix included.
    ///
    /// The length alone proves nothing: it is right only if the final chunk
    /// opens as the final one.
    ///
    /// # Errors
    /// When no payload has this length.
    pub fn of_payload(len: u64) -> Result<Self, LayoutError> {
        if len < MIN_PAYLOAD_LEN {
            return Err(LayoutError::TooShort(len));
        }
        let sealed = len - PREFIX_LEN as u64;
        let full_chunks = sealed / SEALED_CHUNK_LEN as u64;
        let final_len = (sealed % SEALED_CHUNK_LEN as u64)
            .checked_sub(TAG_LEN as u64)
            .ok_or(LayoutError::Impossible(len))?;
        if full_chunks >= MAX_CHUNKS {
            return Err(LayoutError::TooLong(len));
        }
        Self::of_plaintext(full_chunks * CHUNK_LEN as u64 + final_len)
    }

    /// Bytes of plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// Bytes of payload, prefix and tags included.
    #[must_use]
    pub fn payload_len(&self) -> u64 {
        PREFIX_LEN as u64 + self.plaintext_len + self.chunks() * TAG_LEN as u64
    }

    /// Chunks, the final one (which may be empty, never full) included.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.plaintext_len / CHUNK_LEN as u64 + 1
    }

    /// Segments, at least one. After a multiple of 1 MiB the last segment
    /// holds the empty final chunk alone.
    #[must_use]
    pub fn segment_count(&self) -> u64 {
        self.plaintext_len / SEGMENT_LEN as u64 + 1
    }

    /// Segment `index`, or `None` past the last one.
    #[must_use]
    pub fn segment(&self, index: u64) -> Option<Segment> {
        let last = self.segment_count() - 1;
        match index {
            i if i < last => Some(Segment::inner(i)),
            i if i == last => {
                Some(Segment::last(i, (self.plaintext_len % SEGMENT_LEN as u64) as usize))
            }
            _ => None,
        }
    }

    /// All segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let layout = *self;
        (0..self.segment_count()).filter_map(move |index| layout.segment(index))
    }
}

/// One unit of work: a run of up to 64 chunks, with its fixed place in the
/// plaintext and in the payload. [`Segment::split`] makes smaller ones of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Below [`MAX_CHUNKS`].
    first_chunk: u64,
    /// A multiple of [`CHUNK_LEN`] up to [`SEGMENT_LEN`], unless `is_last`,
    /// then anything below it.
    plaintext_len: usize,
    /// Whether the final chunk is in it.
    is_last: bool,
}

impl Segment {
    /// A full segment with others after it.
    ///
    /// For streams, where the layout is not known in advance; otherwise use
    /// [`Layout::segment`].
    #[must_use]
    pub fn inner(index: u64) -> Self {
        let first_chunk = index * SEGMENT_CHUNKS;
        Self { first_chunk, plaintext_len: SEGMENT_LEN, is_last: false }
    }

    /// The last segment, with `plaintext_len` bytes.
    ///
    /// # Panics
    /// When `plaintext_len` is a whole segment or more: a stream that ends
    /// after a full segment still has an empty last one.
    #[must_use]
    pub fn last(index: u64, plaintext_len: usize) -> Self {
        assert!(plaintext_len < SEGMENT_LEN, "the last segment is never full");
        Self { first_chunk: index * SEGMENT_CHUNKS, plaintext_len, is_last: true }
    }

    /// The last segment, given the sealed bytes that were left of a stream;
    /// `None` if no segment can end with so many bytes.
    #[must_use]
    pub fn last_sealed(index: u64, sealed_len: usize) -> Option<Self> {
        let full_chunks = sealed_len / SEALED_CHUNK_LEN;
        let final_len = (sealed_len % SEALED_CHUNK_LEN).checked_sub(TAG_LEN)?;
        (sealed_len < SEALED_SEGMENT_LEN)
            .then(|| Self::last(index, full_chunks * CHUNK_LEN + final_len))
    }

    /// The same run in parts of `chunks` chunks, in order; the last part may
    /// have fewer. They can be sealed and opened like segments, with buffers
    /// that stay in the processor's cache.
    ///
    /// # Panics
    /// When `chunks` is 0.
    pub fn split(&self, chunks: usize) -> impl Iterator<Item = Self> + use<> {
        let whole = *self;
        (0..whole.chunks()).step_by(chunks).map(move |first| {
            let is_last = whole.is_last && first + chunks >= whole.chunks();
            let rest = whole.plaintext_len - first * CHUNK_LEN;
            Self {
                first_chunk: whole.first_chunk + first as u64,
                plaintext_len: if is_last { rest } else { rest.min(chunks * CHUNK_LEN) },
                is_last,
            }
        })
    }

    /// Number of the segment that this is, or is a part of, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.first_chunk / SEGMENT_CHUNKS
    }

    /// Whether this segment carries the final chunk.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Number of this segment's first chunk in the payload.
    #[must_use]
    pub fn first_chunk(&self) -> u64 {
        self.first_chunk
    }

    /// Chunks in this segment, 1 to 64.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.plaintext_len / CHUNK_LEN + usize::from(self.is_last)
    }

    /// Where this segment's plaintext begins in the whole plaintext.
    #[must_use]
    pub fn plaintext_offset(&self) -> u64 {
        self.first_chunk * CHUNK_LEN as u64
    }

    /// Bytes of plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> usize {
        self.plaintext_len
    }

    /// Where this segment's first chunk begins in the payload, counted from
    /// the payload's first byte.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        PREFIX_LEN as u64 + self.first_chunk * SEALED_CHUNK_LEN as u64
    }

    /// Bytes in the payload, tags included.
    #[must_use]
    pub fn sealed_len(&self) -> usize {
        self.plaintext_len + self.chunks() * TAG_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 14] = [
        0,
        1,
        16_383,
        16_384,
        16_385,
        32_768,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        3 << 20,
        (5 << 20) + 77_777,
        1 << 40,
        MAX_PLAINTEXT_LEN - 1,
        MAX_PLAINTEXT_LEN,
    ];

    #[test]
    fn plaintext_and_payload_lengths_are_inverse() {
        for len in LENGTHS {
            let layout = Layout::of_plaintext(len).unwrap();
            assert_eq!(Layout::of_payload(layout.payload_len()), Ok(layout), "{len}");
        }
    }

    #[test]
    fn a_payload_is_never_shorter_than_a_tag_past_the_last_full_chunk() {
        for chunks in [0u64, 1, 2, 63, 64, 65, 1000] {
            for over in 0..16 {
                let len = PREFIX_LEN as u64 + chunks * SEALED_CHUNK_LEN as u64 + over;
                assert!(Layout::of_payload(len).is_err(), "{len}");
            }
            let len = PREFIX_LEN as u64 + chunks * SEALED_CHUNK_LEN as u64 + 16;
            assert_eq!(Layout::of_payload(len).unwrap().chunks(), chunks + 1);
        }
        assert_eq!(Layout::of_payload(71), Err(LayoutError::TooShort(71)));
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused() {
        assert!(Layout::of_plaintext(MAX_PLAINTEXT_LEN + 1).is_err());
        let longest = Layout::of_plaintext(MAX_PLAINTEXT_LEN).unwrap().payload_len();
        assert!(Layout::of_payload(longest + 1).is_err());
        assert!(Layout::of_payload(longest + 1 + 16).is_err());
        assert!(Layout::of_payload(u64::MAX).is_err());
    }

    #[test]
    fn segments_tile_plaintext_and_payload() {
        for len in LENGTHS.into_iter().filter(|len| *len < 1 << 30) {
            let layout = Layout::of_plaintext(len).unwrap();
            let (mut plain, mut sealed, mut chunks) = (0, PREFIX_LEN as u64, 0);
            for segment in layout.segments() {
                assert_eq!(segment.plaintext_offset(), plain);
                assert_eq!(segment.payload_offset(), sealed);
                assert_eq!(segment.first_chunk(), chunks);
                plain += segment.plaintext_len() as u64;
                sealed += segment.sealed_len() as u64;
                chunks += segment.chunks() as u64;
                assert_eq!(segment.is_last(), plain == len && segment.index() == len >> 20);
            }
            assert_eq!((plain, sealed, chunks), (len, layout.payload_len(), layout.chunks()));
            assert_eq!(layout.segment(layout.segment_count()), None);
        }
    }

    #[test]
    fn parts_tile_their_segment() {
        for len in LENGTHS.into_iter().filter(|len| *len < 1 << 30) {
            let layout = Layout::of_plaintext(len).unwrap();
            for segment in layout.segments() {
                for chunks in [1, 3, 16, 63, 64, 65, 100] {
                    let parts: Vec<_> = segment.split(chunks).collect();
                    let (mut plain, mut sealed) =
                        (segment.plaintext_offset(), segment.payload_offset());
                    for (number, part) in parts.iter().enumerate() {
                        assert_eq!(
                            (part.plaintext_offset(), part.payload_offset()),
                            (plain, sealed)
                        );
                        assert_eq!(part.index(), segment.index());
                        assert_eq!(part.is_last(), segment.is_last() && number + 1 == parts.len());
                        assert!(
                            part.chunks() <= chunks
                                && (part.chunks() == chunks || number + 1 == parts.len())
                        );
                        plain += part.plaintext_len() as u64;
                        sealed += part.sealed_len() as u64;
                    }
                    assert_eq!(plain, segment.plaintext_offset() + segment.plaintext_len() as u64);
                    assert_eq!(sealed, segment.payload_offset() + segment.sealed_len() as u64);
                }
            }
        }
    }

    #[test]
    fn the_last_segment_is_found_from_its_sealed_length() {
        for len in [0, 1, 16_383, 16_384, 16_385, SEGMENT_LEN - 1] {
            let segment = Segment::last(3, len);
            assert_eq!(Segment::last_sealed(3, segment.sealed_len()), Some(segment));
        }
        for sealed in [
            0,
            15,
            SEALED_CHUNK_LEN,
            SEALED_CHUNK_LEN + 15,
            SEALED_SEGMENT_LEN,
            SEALED_SEGMENT_LEN + 16,
        ] {
            assert_eq!(Segment::last_sealed(3, sealed), None, "{sealed}");
        }
    }
}
