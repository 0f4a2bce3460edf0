//! The lengths of a plaintext and its payload.

use super::segment::{MAX_CHUNKS, Segment, count, opened_len};
use crate::format::{Format, SEGMENT_LEN, TAG_LEN};

/// A length that no payload or plaintext can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The payload is shorter than that of an empty plaintext.
    #[error("the payload has only {0} bytes, fewer than that of an empty file")]
    TooShort(u64),
    /// The last chunk is shorter than its tag, or missing: the payload was cut off or extended.
    #[error("no payload is {0} bytes long: the file was cut off or extended")]
    Impossible(u64),
    /// There are more than [`MAX_CHUNKS`](super::MAX_CHUNKS) chunks.
    #[error("{0} bytes are more than a file can hold (4 PiB, or 16 PiB in age files)")]
    TooLong(u64),
}

/// The number and the offsets of the segments and chunks of a payload. They follow from its format
/// and the length of the plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    format: Format,
    /// At most [`Layout::max_plaintext_len`], so no sum below can overflow.
    plaintext_len: u64,
}

impl Layout {
    /// The longest plaintext in bytes: 4 PiB − 1, as the final native chunk is never full, or 16
    /// PiB in age files.
    #[must_use]
    pub const fn max_plaintext_len(format: Format) -> u64 {
        MAX_CHUNKS * format.chunk_len() as u64 - !format.final_chunk_may_be_full() as u64
    }

    /// The layout of a payload that holds `len` bytes of plaintext.
    ///
    /// # Errors
    /// [`LayoutError::TooLong`] above [`Layout::max_plaintext_len`].
    pub fn of_plaintext(format: Format, len: u64) -> Result<Self, LayoutError> {
        if len > Self::max_plaintext_len(format) {
            return Err(LayoutError::TooLong(len));
        }
        Ok(Self { format, plaintext_len: len })
    }

    /// The layout of a payload of `len` bytes, prefix included.
    ///
    /// The length alone proves nothing. It is right only if the final chunk opens as such.
    ///
    /// # Errors
    /// If no payload has this length.
    pub fn of_payload(format: Format, len: u64) -> Result<Self, LayoutError> {
        let min = (format.prefix_len() + TAG_LEN) as u64;
        if len < min {
            return Err(LayoutError::TooShort(len));
        }
        let sealed = len - format.prefix_len() as u64;
        if sealed / format.sealed_chunk_len() as u64 > MAX_CHUNKS {
            return Err(LayoutError::TooLong(len));
        }
        let plaintext_len = opened_len(format, sealed, true).ok_or(LayoutError::Impossible(len))?;
        Self::of_plaintext(format, plaintext_len).map_err(|_| LayoutError::TooLong(len))
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of plaintext.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.plaintext_len
    }

    /// Bytes of payload, prefix and tags included.
    #[must_use]
    pub fn payload_len(&self) -> u64 {
        self.format.prefix_len() as u64 + self.plaintext_len + self.chunks() * TAG_LEN as u64
    }

    /// Chunks, the final one included.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        count(self.format, self.plaintext_len, self.format.chunk_len() as u64)
    }

    /// Segments, at least one. If the plaintext is a multiple of 1 MiB, the last segment of a
    /// native payload holds only the empty final chunk.
    #[must_use]
    pub fn segment_count(&self) -> u64 {
        count(self.format, self.plaintext_len, SEGMENT_LEN as u64)
    }

    /// The segment with this number, or `None` after the last one.
    #[must_use]
    pub fn segment(&self, index: u64) -> Option<Segment> {
        let last = self.segment_count() - 1;
        match index {
            i if i < last => Some(Segment::inner(self.format, i)),
            i if i == last => {
                let len = self.plaintext_len - last * SEGMENT_LEN as u64;
                Segment::last(self.format, i, len as usize)
            }
            _ => None,
        }
    }

    /// The final chunk alone. If it opens, the layout is right.
    #[must_use]
    pub fn final_chunk(&self) -> Segment {
        let first_chunk = self.chunks() - 1;
        let plaintext_len =
            (self.plaintext_len - first_chunk * self.format.chunk_len() as u64) as usize;
        Segment::of_chunks(self.format, first_chunk, plaintext_len, true)
            .expect("the final chunk of a layout is within the limits of a payload")
    }

    /// All segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let layout = *self;
        (0..self.segment_count()).filter_map(move |index| layout.segment(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around everything that matters in a format.
    fn lengths(format: Format) -> impl Iterator<Item = u64> {
        let (chunk, segment) = (format.chunk_len() as u64, SEGMENT_LEN as u64);
        let max = Layout::max_plaintext_len(format);
        let around = [chunk, 2 * chunk, segment, 3 * segment, 5 * segment + 77_777];
        let around = around.into_iter().flat_map(|len| [len - 1, len, len + 1]);
        [0, 1, 1 << 40, max - 1, max].into_iter().chain(around)
    }

    fn layouts() -> impl Iterator<Item = Layout> {
        Format::ALL.into_iter().flat_map(|format| {
            lengths(format).map(move |len| Layout::of_plaintext(format, len).unwrap())
        })
    }

    #[test]
    fn plaintext_and_payload_lengths_are_inverse() {
        for layout in layouts() {
            assert_eq!(Layout::of_payload(layout.format, layout.payload_len()), Ok(layout));
        }
    }

    /// As the specifications have it, without a look at the code above.
    #[test]
    fn payload_lengths_are_those_of_the_specifications() {
        for (format, len, payload) in [
            (Format::Native, 0, 72),
            (Format::Native, 16_383, 56 + 16_399),
            (Format::Native, 16_384, 56 + 16_400 + 16),
            (Format::Native, 1 << 20, 56 + 64 * 16_400 + 16),
            (Format::Age, 0, 32),
            (Format::Age, 65_535, 16 + 65_551),
            (Format::Age, 65_536, 16 + 65_552),
            (Format::Age, 65_537, 16 + 65_552 + 17),
            (Format::Age, 1 << 20, 16 + 16 * 65_552),
        ] {
            assert_eq!(Layout::of_plaintext(format, len).unwrap().payload_len(), payload);
        }
    }

    #[test]
    fn a_payload_is_never_shorter_than_a_tag_past_the_last_full_chunk() {
        for format in Format::ALL {
            let full = |chunks: u64| {
                format.prefix_len() as u64 + chunks * format.sealed_chunk_len() as u64
            };
            for chunks in [0u64, 1, 2, 15, 16, 17, 63, 64, 65, 1000] {
                // age's may end with a full chunk, and not with an empty one
                // after it.
                let wrong =
                    if format.final_chunk_may_be_full() && chunks > 0 { 1..17 } else { 0..16 };
                for over in wrong.clone() {
                    assert!(Layout::of_payload(format, full(chunks) + over).is_err());
                }
                let layout = Layout::of_payload(format, full(chunks) + wrong.end).unwrap();
                assert_eq!(layout.chunks(), chunks + 1);
            }
            let short = full(0) + 15;
            assert_eq!(Layout::of_payload(format, short), Err(LayoutError::TooShort(short)));
        }
    }

    #[test]
    fn lengths_beyond_the_limit_are_refused() {
        for format in Format::ALL {
            let max = Layout::max_plaintext_len(format);
            assert!(Layout::of_plaintext(format, max + 1).is_err());
            let longest = Layout::of_plaintext(format, max).unwrap().payload_len();
            assert!(Layout::of_payload(format, longest + 1).is_err());
            assert!(Layout::of_payload(format, longest + 1 + 16).is_err());
            assert!(Layout::of_payload(format, u64::MAX).is_err());
        }
    }

    #[test]
    fn segments_tile_plaintext_and_payload() {
        for layout in layouts().filter(|layout| layout.plaintext_len < 1 << 30) {
            let (mut plain, mut chunks) = (0, 0);
            let mut sealed = layout.format.prefix_len() as u64;
            let mut was_last = false;
            for segment in layout.segments() {
                assert!(!was_last);
                assert_eq!(segment.plaintext_offset(), plain);
                assert_eq!(segment.payload_offset(), sealed);
                assert_eq!(segment.first_chunk(), chunks);
                plain += segment.plaintext_len() as u64;
                sealed += segment.sealed_len() as u64;
                chunks += segment.chunks() as u64;
                was_last = segment.is_last();
            }
            assert!(was_last);
            assert_eq!(
                (plain, sealed, chunks),
                (layout.plaintext_len, layout.payload_len(), layout.chunks())
            );
            assert_eq!(layout.segment(layout.segment_count()), None);
        }
    }

    #[test]
    fn parts_tile_their_segment() {
        for layout in layouts().filter(|layout| layout.plaintext_len < 1 << 30) {
            for segment in layout.segments() {
                for chunks in [1, 3, 16, 63, 64, 65, 100] {
                    let parts: Vec<_> = segment.split(chunks * layout.format.chunk_len()).collect();
                    let (mut plain, mut sealed) =
                        (segment.plaintext_offset(), segment.payload_offset());
                    for (number, part) in parts.iter().enumerate() {
                        let is_last_part = number + 1 == parts.len();
                        assert_eq!(
                            (part.plaintext_offset(), part.payload_offset()),
                            (plain, sealed)
                        );
                        assert_eq!(part.index(), segment.index());
                        assert_eq!(part.is_last(), segment.is_last() && is_last_part);
                        assert!(part.chunks() == chunks || part.chunks() <= chunks && is_last_part);
                        plain += part.plaintext_len() as u64;
                        sealed += part.sealed_len() as u64;
                    }
                    assert_eq!(plain, segment.plaintext_offset() + segment.plaintext_len() as u64);
                    assert_eq!(sealed, segment.payload_offset() + segment.sealed_len() as u64);
                }
            }
        }
        let parts = |format| Segment::inner(format, 0).split(1).count();
        assert_eq!((parts(Format::Native), parts(Format::Age)), (64, 16));
    }

    #[test]
    fn runs_and_the_final_chunk_lie_where_their_segments_have_them() {
        for layout in layouts().filter(|layout| layout.plaintext_len < 1 << 30) {
            let format = layout.format;
            let chunks: Vec<_> = layout.segments().flat_map(|segment| segment.split(1)).collect();
            assert_eq!(chunks.last(), Some(&layout.final_chunk()));
            for first in 0..chunks.len() - 1 {
                let count = (chunks.len() - 1 - first).min(format.segment_chunks());
                let run = Segment::run(format, first as u64, count).unwrap();
                assert_eq!(run.chunks(), count);
                let after = chunks[first + count];
                let end = |start: u64, len: usize| start + len as u64;
                assert_eq!(run.plaintext_offset(), chunks[first].plaintext_offset());
                assert_eq!(run.payload_offset(), chunks[first].payload_offset());
                assert_eq!(
                    end(run.plaintext_offset(), run.plaintext_len()),
                    after.plaintext_offset()
                );
                assert_eq!(end(run.payload_offset(), run.sealed_len()), after.payload_offset());
                assert!(run.split(1).eq(chunks[first..first + count].iter().copied()));
            }
        }
    }

    #[test]
    fn single_chunks_are_those_of_the_layout() {
        for layout in layouts().filter(|layout| layout.plaintext_len < 1 << 30) {
            let format = layout.format;
            let segments = layout.segments().flat_map(|segment| segment.split(1));
            for chunk in segments {
                let single = match chunk.is_last() {
                    true => Segment::final_chunk(format, chunk.first_chunk(), chunk.sealed_len()),
                    false => Some(Segment::inner_chunk(format, chunk.first_chunk())),
                };
                assert_eq!(single, Some(chunk));
            }
        }
        let last = |format, chunk, len| Segment::final_chunk(format, chunk, len).is_some();
        let native = [0, 15, 16, 16_399, 16_400].map(|len| last(Format::Native, 3, len));
        assert_eq!(native, [false, false, true, true, false]);
        let age = [0, 15, 16, 17, 65_552, 65_553, 65_569].map(|len| last(Format::Age, 3, len));
        assert_eq!(age, [false, false, false, true, true, false, false]);
        assert!(last(Format::Age, 0, 16), "nothing at all");
    }
}
