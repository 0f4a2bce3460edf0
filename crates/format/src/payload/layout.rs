//! Where each byte lies: plaintext lengths, payload lengths, chunks, segments.

use crate::version::{Format, SEGMENT_LEN, TAG_LEN};

/// The longest that a segment can be with its tags, in any format.
pub const MAX_SEALED_SEGMENT_LEN: usize = Format::Native.sealed_segment_len();
/// Chunks that one payload may have, the final one included. (age would allow
/// more; these are 16 PiB.)
pub const MAX_CHUNKS: u64 = 1 << 38;

/// A length that no payload, or no plaintext, can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The payload is shorter than that of an empty plaintext.
    #[error("the payload has {0} bytes, fewer than that of an empty file")]
    TooShort(u64),
    /// The last chunk is shorter than its own tag, or missing: something was
    /// cut off or added.
    #[error("no payload is {0} bytes long: it was cut, or something was added")]
    Impossible(u64),
    /// More chunks than a payload may have.
    #[error("{0} bytes are more than one file can hold (4 PiB, or 16 PiB of age's)")]
    TooLong(u64),
}

/// The arithmetic of one payload, fixed by its format and the length of its
/// plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    format: Format,
    /// At most [`Layout::max_plaintext_len`], so no sum below can overflow.
    plaintext_len: u64,
}

impl Layout {
    /// The longest plaintext: 4 PiB − 1, as the final native chunk is never
    /// full, or 16 PiB.
    #[must_use]
    pub const fn max_plaintext_len(format: Format) -> u64 {
        MAX_CHUNKS * format.chunk_len() as u64 - !format.may_end_full() as u64
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
    /// The length alone proves nothing: it is right only if the final chunk
    /// opens as the final one.
    ///
    /// # Errors
    /// When no payload has this length.
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

    /// Segments, at least one. After a multiple of 1 MiB the last native
    /// segment holds the empty final chunk alone.
    #[must_use]
    pub fn segment_count(&self) -> u64 {
        count(self.format, self.plaintext_len, SEGMENT_LEN as u64)
    }

    /// Segment `index`, or `None` past the last one.
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

    /// The final chunk alone. If it opens, the layout is that of the payload.
    #[must_use]
    pub fn final_chunk(&self) -> Segment {
        let first_chunk = self.chunks() - 1;
        let plaintext_len =
            (self.plaintext_len - first_chunk * self.format.chunk_len() as u64) as usize;
        Segment { format: self.format, first_chunk, plaintext_len, is_last: true }
    }

    /// All segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let layout = *self;
        (0..self.segment_count()).filter_map(move |index| layout.segment(index))
    }
}

/// Units that `len` bytes take, the final one included: at least one.
fn count(format: Format, len: u64, unit: u64) -> u64 {
    if format.may_end_full() { len.div_ceil(unit).max(1) } else { len / unit + 1 }
}

/// Bytes of plaintext in `sealed` bytes of chunks up to the final one;
/// `is_whole` when they begin with the first chunk of the payload. `None` if
/// no payload ends so.
fn opened_len(format: Format, sealed: u64, is_whole: bool) -> Option<u64> {
    let sealed_chunk = format.sealed_chunk_len() as u64;
    let chunks = count(format, sealed, sealed_chunk);
    let final_len = (sealed - (chunks - 1) * sealed_chunk).checked_sub(TAG_LEN as u64)?;
    // age has an empty chunk only where there is nothing else.
    let is_allowed = final_len > 0 || !format.may_end_full() || (chunks == 1 && is_whole);
    is_allowed.then(|| (chunks - 1) * format.chunk_len() as u64 + final_len)
}

/// One unit of work: a run of chunks of up to 1 MiB, with its fixed place in
/// the plaintext and in the payload. [`Segment::split`] makes smaller ones of
/// it; [`Segment::run`] and [`Layout::final_chunk`] are runs that begin at any
/// chunk.
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
    /// A full segment with others after it.
    ///
    /// For streams, where the layout is not known in advance; otherwise use
    /// [`Layout::segment`].
    #[must_use]
    pub fn inner(format: Format, index: u64) -> Self {
        let first_chunk = index * format.segment_chunks() as u64;
        Self { format, first_chunk, plaintext_len: SEGMENT_LEN, is_last: false }
    }

    /// `chunks` full chunks from chunk `first` on, with others after them: for
    /// opening a part of a payload without knowing where it ends. `None` if
    /// that is nothing, longer than a segment, or more than a payload has.
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

    /// The run of chunks that another process names: from chunk `first` on, with so many
    /// bytes, the final one among them if `is_last`. `None` if there is no such run.
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
        let most = SEGMENT_LEN - usize::from(!format.may_end_full());
        let is_possible = plaintext_len <= most
            && first.checked_add(segment.chunks() as u64).is_some_and(|end| end <= MAX_CHUNKS);
        is_possible.then_some(segment)
    }

    /// The last segment, with `plaintext_len` bytes; `None` if none can have
    /// so many. A native stream that ends after a full segment still has an
    /// empty last one; one of age's ends with the full one.
    #[must_use]
    pub fn last(format: Format, index: u64, plaintext_len: usize) -> Option<Self> {
        let is_possible = match format {
            Format::Native => plaintext_len < SEGMENT_LEN,
            Format::Age => plaintext_len <= SEGMENT_LEN && (plaintext_len > 0 || index == 0),
        };
        let segment = Self { plaintext_len, is_last: true, ..Self::inner(format, index) };
        is_possible.then_some(segment)
    }

    /// The last segment, given the sealed bytes that were left of a stream;
    /// `None` if no segment can end with so many bytes.
    #[must_use]
    pub fn last_sealed(format: Format, index: u64, sealed_len: usize) -> Option<Self> {
        let len = opened_len(format, sealed_len as u64, index == 0)?;
        Self::last(format, index, len as usize)
    }

    /// One full chunk with others after it, by itself: where some of a segment
    /// are damaged.
    #[must_use]
    pub fn inner_chunk(format: Format, chunk: u64) -> Self {
        let plaintext_len = format.chunk_len();
        Self { format, first_chunk: chunk, plaintext_len, is_last: false }
    }

    /// The final chunk by itself, given its sealed bytes; `None` if none can
    /// have so many.
    #[must_use]
    pub fn final_chunk(format: Format, chunk: u64, sealed_len: usize) -> Option<Self> {
        let plaintext_len = opened_len(format, sealed_len as u64, chunk == 0)? as usize;
        let segment = Self { format, first_chunk: chunk, plaintext_len, is_last: true };
        (segment.chunks() == 1).then_some(segment)
    }

    /// The same run in parts of `len` bytes of plaintext or of one chunk, if
    /// that is longer, in order; the last part may be shorter. They can be
    /// sealed and opened like segments, with buffers that stay in the
    /// processor's cache.
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

    /// Number of the segment that this is, or is a part of, from 0; of a run of
    /// chunks, the one that it begins in.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.first_chunk / self.format.segment_chunks() as u64
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

    /// Chunks in this segment, at least 1.
    #[must_use]
    pub fn chunks(&self) -> usize {
        let chunk_len = self.format.chunk_len();
        match self.format {
            Format::Native => self.plaintext_len / chunk_len + usize::from(self.is_last),
            Format::Age => self.plaintext_len.div_ceil(chunk_len).max(1),
        }
    }

    /// Where this segment's plaintext begins in the whole plaintext.
    #[must_use]
    pub fn plaintext_offset(&self) -> u64 {
        self.first_chunk * self.format.chunk_len() as u64
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
        chunk_offset(self.format, self.first_chunk)
    }

    /// Bytes in the payload, tags included.
    #[must_use]
    pub fn sealed_len(&self) -> usize {
        self.plaintext_len + self.chunks() * TAG_LEN
    }
}

/// Where chunk `chunk` begins, counted from the payload's first byte.
#[must_use]
pub fn chunk_offset(format: Format, chunk: u64) -> u64 {
    format.prefix_len() as u64 + chunk * format.sealed_chunk_len() as u64
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
                let wrong = if format.may_end_full() && chunks > 0 { 1..17 } else { 0..16 };
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
    fn single_chunks_are_those_of_the_layout() {
        for layout in layouts().filter(|layout| layout.plaintext_len < 1 << 30) {
            let format = layout.format;
            let segments = layout.segments().flat_map(|segment| segment.split(1));
            for chunk in segments {
                let single = match chunk.is_last {
                    true => Segment::final_chunk(format, chunk.first_chunk, chunk.sealed_len()),
                    false => Some(Segment::inner_chunk(format, chunk.first_chunk)),
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
