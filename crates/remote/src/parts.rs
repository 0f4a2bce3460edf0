//! Where an object is cut into the parts of a multipart upload.

use std::ops::Range;

use crate::url::Scheme;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The most parts of an upload that S3 allows.
pub const MAX_PARTS: usize = 10_000;

/// The longest part that S3 allows, and the longest object that one request can put: 5 GiB.
pub const MAX_PART_SIZE: u64 = 5 * GIB;

/// The longest object, in bytes: 48.8 TiB.
pub const MAX_OBJECT_LEN: u64 = MAX_PARTS as u64 * MAX_PART_SIZE;

/// The longest block of Azure, 4,000 MiB.
const MAX_AZURE_BLOCK: u64 = 4_000 * MIB;

/// The longest object of Google Cloud Storage, 5 TiB.
const MAX_GOOGLE_OBJECT: u64 = 5 << 40;

/// The shortest part, but for the last. S3 allows 5 MiB.
const MIN_PART_SIZE: u64 = 8 * MIB;

/// How many parts an object of known length gets at most, if parts may still grow.
const WANTED_PARTS: u64 = 9_000;

/// After how many parts their size doubles if the length is unknown.
const PARTS_BEFORE_DOUBLING: usize = 500;

/// Where an object is cut into parts.
///
/// Parts are cut at offsets of the object, regardless of what it contains: an encrypted file begins
/// with a header, and each of its segments is longer than 1 MiB by its tags, so that most parts
/// begin within a segment. In return all parts but the last have the same size, as Cloudflare R2
/// requires, if the length is known beforehand.
///
/// Parts are counted from 0, as in `object_store`; the part numbers of S3 begin at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLayout {
    first_size: u64,
    /// After how many parts their size doubles, up to that of the longest part.
    run_len: usize,
    limits: Limits,
}

/// What a store allows, apart from [`MAX_PARTS`]: Azure would take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    part: u64,
    object: u64,
}

impl Limits {
    const S3: Self = Self { part: MAX_PART_SIZE, object: MAX_OBJECT_LEN };

    fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Gs => Self { object: MAX_GOOGLE_OBJECT, ..Self::S3 },
            scheme if scheme.is_azure() => {
                Self { part: MAX_AZURE_BLOCK, object: MAX_PARTS as u64 * MAX_AZURE_BLOCK }
            }
            _ => Self::S3,
        }
    }
}

/// Successive parts of one size.
struct Run {
    first_index: usize,
    parts: usize,
    start: u64,
    part_size: u64,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place among the parts, from 0.
    pub index: usize,
    /// Its bytes in the object.
    pub range: Range<u64>,
}

impl PartLayout {
    /// The layout for an object of `len` bytes, or fewer: parts of at least 8 MiB, so many MiB that
    /// there are at most 9,000 of them, or, from 43.9 TiB on, parts of 5 GiB.
    ///
    /// # Errors
    ///
    /// If `len` exceeds [`MAX_OBJECT_LEN`].
    pub fn of_len(len: u64) -> Result<Self, ObjectTooLong> {
        Self::with_parts_of(MIN_PART_SIZE, len)
    }

    /// The same with parts of at least `min` bytes.
    ///
    /// # Errors
    ///
    /// If `len` exceeds [`MAX_OBJECT_LEN`].
    pub fn with_parts_of(min: u64, len: u64) -> Result<Self, ObjectTooLong> {
        Self::within(Limits::S3, min, len)
    }

    /// The layout for an object of `len` bytes, or fewer, in a store with this scheme.
    ///
    /// # Errors
    ///
    /// If the store has no objects of that length.
    pub fn in_store(scheme: Scheme, len: u64) -> Result<Self, ObjectTooLong> {
        Self::within(Limits::of(scheme), MIN_PART_SIZE, len)
    }

    fn within(limits: Limits, min: u64, len: u64) -> Result<Self, ObjectTooLong> {
        if len > limits.object {
            return Err(ObjectTooLong { max: limits.object });
        }
        let first_size = len.div_ceil(WANTED_PARTS).next_multiple_of(MIB).clamp(min, limits.part);
        Ok(Self { first_size, run_len: MAX_PARTS, limits })
    }

    /// The layout for an object whose length is not known before it ends: the size of the parts
    /// begins at 8 MiB and doubles after every 500 parts, up to 5 GiB.
    ///
    /// So a part is never larger than 8 MiB and 1/500 of what precedes it, and the longest object
    /// has 28.3 TiB. It cannot be as long as one of known length, since small parts use up the
    /// numbers that large parts would need, and reaching 44.7 TiB would take parts of 1/100. For
    /// a longer object, and for Cloudflare R2 from 3.9 GiB on, give [`PartLayout::of_len`] a
    /// length that will suffice.
    pub fn of_unknown_len() -> Self {
        Self { first_size: MIN_PART_SIZE, run_len: PARTS_BEFORE_DOUBLING, limits: Limits::S3 }
    }

    /// The same in a store with this scheme.
    pub fn of_unknown_len_in(scheme: Scheme) -> Self {
        Self { limits: Limits::of(scheme), ..Self::of_unknown_len() }
    }

    /// The longest object that can be cut in this way, in bytes.
    pub fn max_len(&self) -> u64 {
        let len: u64 = self.runs().map(|run| run.parts as u64 * run.part_size).sum();
        len.min(self.limits.object)
    }

    /// How many parts an object of `len` bytes has: at least one, which is empty if the object is.
    /// If there is only one, a single request can put the object instead.
    ///
    /// # Errors
    ///
    /// If `len` exceeds [`PartLayout::max_len`].
    pub fn count(&self, len: u64) -> Result<usize, ObjectTooLong> {
        Ok(self.part_of(len.saturating_sub(1))?.index + 1)
    }

    /// The parts of an object of `len` bytes, in order.
    ///
    /// # Errors
    ///
    /// If `len` exceeds [`PartLayout::max_len`].
    pub fn parts(self, len: u64) -> Result<impl Iterator<Item = Part>, ObjectTooLong> {
        let count = self.count(len)?;
        let all = self.runs().flat_map(|run| (0..run.parts).map(move |place| run.part(place)));
        Ok(all
            .take(count)
            .map(move |part| Part { range: part.range.start..part.range.end.min(len), ..part }))
    }

    /// The part that contains the byte at `offset`, as long as it is if the object does not end in
    /// it.
    ///
    /// # Errors
    ///
    /// If `offset` is not below [`PartLayout::max_len`].
    pub fn part_of(&self, offset: u64) -> Result<Part, ObjectTooLong> {
        if offset >= self.limits.object {
            return Err(ObjectTooLong { max: self.max_len() });
        }
        self.runs()
            .map(|run| ((offset.saturating_sub(run.start) / run.part_size) as usize, run))
            .find(|(place, run)| *place < run.parts)
            .map(|(place, run)| run.part(place))
            .ok_or_else(|| ObjectTooLong { max: self.max_len() })
    }

    /// The part at `index`, as long as it is if the object does not end in it. `None` from
    /// [`MAX_PARTS`] on.
    pub fn part(&self, index: usize) -> Option<Part> {
        self.runs()
            .find(|run| index < run.first_index + run.parts)
            .map(|run| run.part(index - run.first_index))
    }

    fn runs(self) -> impl Iterator<Item = Run> {
        let mut start = 0;
        (0..MAX_PARTS).step_by(self.run_len).enumerate().map(move |(doublings, first_index)| {
            let run = Run {
                first_index,
                parts: self.run_len.min(MAX_PARTS - first_index),
                start,
                part_size: (self.first_size << doublings).min(self.limits.part),
            };
            start += run.parts as u64 * run.part_size;
            run
        })
    }
}

impl Run {
    fn part(&self, place: usize) -> Part {
        let start = self.start + place as u64 * self.part_size;
        Part { index: self.first_index + place, range: start..start + self.part_size }
    }
}

/// An object would be longer than its parts can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object would have more than {max} bytes, which the store does not allow")]
pub struct ObjectTooLong {
    /// The longest possible object, in bytes.
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIB: u64 = 1 << 40;

    /// What must be true of every layout, for one length.
    fn check(layout: PartLayout, len: u64) {
        let parts: Vec<_> = layout.parts(len).unwrap().collect();
        assert_eq!(parts.len(), layout.count(len).unwrap());
        assert!((1..=MAX_PARTS).contains(&parts.len()));
        let mut end = 0;
        for (index, part) in parts.iter().enumerate() {
            assert_eq!(part.index, index);
            assert_eq!(part.range.start, end);
            end = part.range.end;
            let whole = layout.part(index).unwrap();
            assert_eq!(whole.range.end.min(len), end);
            if index + 1 < parts.len() {
                assert_eq!(&whole, part);
                assert!((MIN_PART_SIZE..=MAX_PART_SIZE).contains(&(end - part.range.start)));
                assert_eq!((end - part.range.start) % MIB, 0);
            }
            if !part.range.is_empty() {
                assert_eq!(layout.part_of(part.range.start).unwrap(), whole);
                assert_eq!(layout.part_of(end - 1).unwrap(), whole);
            }
        }
        assert_eq!(end, len);
        assert!(len == 0 || !parts[parts.len() - 1].range.is_empty());
    }

    fn sizes(layout: PartLayout, indices: impl IntoIterator<Item = usize>) -> Vec<u64> {
        let size = |index| layout.part(index).map(|part| part.range.end - part.range.start);
        indices.into_iter().map(|index| size(index).unwrap() / MIB).collect()
    }

    #[test]
    fn parts_of_a_known_length_are_equal_and_few() {
        for (len, size, count) in [
            (0, 8 * MIB, 1),
            (1, 8 * MIB, 1),
            (8 * MIB, 8 * MIB, 1),
            (8 * MIB + 1, 8 * MIB, 2),
            (9_000 * 8 * MIB, 8 * MIB, 9_000),
            (9_000 * 8 * MIB + 1, 9 * MIB, 8_001),
            (100 * GIB, 12 * MIB, 8_534),
            (9_000 * MAX_PART_SIZE, MAX_PART_SIZE, 9_000),
            (9_000 * MAX_PART_SIZE + 1, MAX_PART_SIZE, 9_001),
            (MAX_OBJECT_LEN, MAX_PART_SIZE, MAX_PARTS),
        ] {
            let layout = PartLayout::of_len(len).unwrap();
            assert_eq!(sizes(layout, [0, MAX_PARTS - 1]), [size / MIB; 2], "{len}");
            assert_eq!(layout.count(len), Ok(count), "{len}");
            check(layout, len);
        }
        let too_long = Err(ObjectTooLong { max: MAX_OBJECT_LEN });
        assert_eq!(PartLayout::of_len(MAX_OBJECT_LEN + 1), too_long);
        assert_eq!(PartLayout::of_len(u64::MAX), too_long);
    }

    #[test]
    fn parts_of_an_unknown_length_double() {
        let layout = PartLayout::of_unknown_len();
        assert_eq!(sizes(layout, [0, 499, 500, 999, 1_000, 1_500]), [8, 8, 16, 16, 32, 64]);
        assert_eq!(sizes(layout, [4_500, 4_999, 5_000, 9_999]), [4_096, 4_096, 5_120, 5_120]);
        assert_eq!(layout.part(MAX_PARTS), None);
        let doubling = 500 * 8 * MIB * 1023;
        assert_eq!(layout.max_len(), doubling + 5_000 * MAX_PART_SIZE);
        assert!(layout.max_len() > 28 * TIB);
        for index in 0..MAX_PARTS {
            let Range { start, end } = layout.part(index).unwrap().range;
            assert!(end - start <= MIN_PART_SIZE + start / 500, "{index}");
        }
    }

    #[test]
    fn the_limits_are_those_of_the_store() {
        let azure = MAX_PARTS as u64 * MAX_AZURE_BLOCK;
        for (scheme, part, max) in [
            (Scheme::S3, MAX_PART_SIZE, MAX_OBJECT_LEN),
            (Scheme::Gs, 583 * MIB, 5 * TIB),
            (Scheme::Az, MAX_AZURE_BLOCK, azure),
            (Scheme::Abfss, MAX_AZURE_BLOCK, azure),
        ] {
            let layout = PartLayout::in_store(scheme, max).unwrap();
            assert_eq!(sizes(layout, [0]), [part / MIB], "{scheme:?}");
            check(layout, max);
            assert_eq!(PartLayout::in_store(scheme, max + 1), Err(ObjectTooLong { max }));
            let unknown = PartLayout::of_unknown_len_in(scheme);
            check(unknown, unknown.max_len());
            assert!(unknown.part_of(unknown.max_len()).is_err());
        }
        let unknown = PartLayout::of_unknown_len_in(Scheme::Az);
        assert_eq!(sizes(unknown, [4_000, 4_500, MAX_PARTS - 1]), [2_048, 4_000, 4_000]);
        assert_eq!(PartLayout::of_unknown_len_in(Scheme::Gs).max_len(), 5 * TIB);
    }

    #[test]
    fn parts_tile_objects_that_end_near_a_boundary() {
        let layout = PartLayout::of_unknown_len();
        for index in [0, 1, 2, 499, 500, 501, 1_000, 4_999, 5_000, 5_001, MAX_PARTS - 1] {
            let Range { start, end } = layout.part(index).unwrap().range;
            for len in [start.saturating_sub(1), start, start + 1, end - 1, end] {
                check(layout, len);
            }
            assert_eq!(layout.count(end), Ok(index + 1));
            assert_eq!(layout.count(end + 1).ok(), (index + 1 < MAX_PARTS).then_some(index + 2));
        }
        for layout in [layout, PartLayout::of_len(0).unwrap()] {
            let max = layout.max_len();
            check(layout, max);
            assert_eq!(layout.part_of(max), Err(ObjectTooLong { max }));
            assert_eq!(layout.count(u64::MAX), Err(ObjectTooLong { max }));
            assert!(layout.parts(max + 1).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_tile_objects_of_any_length(bits in 0..46_u32, random: u64, difference in -1..=1_i64) {
            let len = (random % (1_u64 << bits)).saturating_add_signed(difference);
            let round = len.next_multiple_of(MIB).saturating_add_signed(difference);
            for len in [len, round] {
                let layout = PartLayout::of_len(len).unwrap();
                prop_assert!(layout.count(len).unwrap() <= 9_001);
                check(layout, len);
                let unknown = PartLayout::of_unknown_len();
                if len <= unknown.max_len() {
                    check(unknown, len);
                }
            }
        }
    }
}
