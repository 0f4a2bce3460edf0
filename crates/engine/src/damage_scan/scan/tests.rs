use cryptstream_format::{FileKey, Layout, PayloadCipher};

use super::*;

/// Encrypted chunks in memory, some of which cannot be read, and the plaintext that was kept.
struct Memory {
    sealed: Vec<u8>,
    unreadable: Vec<Range<usize>>,
    kept: Vec<(u64, Vec<u8>)>,
}

impl ChunkStore for Memory {
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<bool, Error> {
        let range = offset as usize..offset as usize + buffer.len();
        buffer.copy_from_slice(&self.sealed[range.clone()]);
        Ok(self.unreadable.iter().all(|bad| bad.end <= range.start || range.end <= bad.start))
    }

    fn keep(&mut self, offset: u64, plaintext: &[u8]) -> Result<(), Error> {
        self.kept.push((offset, plaintext.to_vec()));
        Ok(())
    }
}

struct Sealed {
    cipher: PayloadCipher,
    plain: Vec<u8>,
    /// All chunks, without the prefix.
    bytes: Vec<u8>,
}

fn sealed(format: Format, len: usize) -> Sealed {
    let plain: Vec<u8> = (0..len).map(|i| (i % 251) as u8 ^ (i >> 14) as u8).collect();
    let cipher = PayloadCipher::generate(format, &FileKey::generate().unwrap()).unwrap();
    let mut bytes = Vec::new();
    for segment in Layout::of_plaintext(format, len as u64).unwrap().segments() {
        let mut sealed = vec![0; segment.sealed_len()];
        let text = &plain[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.seal(&segment, text, &mut sealed).unwrap();
        bytes.extend(sealed);
    }
    Sealed { cipher, plain, bytes }
}

impl Sealed {
    fn chunk(&self, chunk: usize) -> Range<usize> {
        let len = self.cipher.format().sealed_chunk_len();
        chunk * len..(chunk + 1).saturating_mul(len).min(self.bytes.len())
    }

    /// Scans `bytes`, and checks that the plaintext that was kept is right and is all that is
    /// intact.
    #[track_caller]
    fn report(&self, bytes: &[u8], unreadable: Vec<Range<usize>>) -> DamageReport {
        let mut memory = Memory { sealed: bytes.to_vec(), unreadable, kept: Vec::new() };
        let report = walk(
            (&Parser::default(), Path::new("file")),
            &self.cipher.chunks(),
            bytes.len() as u64,
            &mut memory,
            &(),
        )
        .unwrap();
        let mut covered = vec![false; report.bytes_out as usize];
        for (offset, text) in &memory.kept {
            let range = *offset as usize..*offset as usize + text.len();
            assert!(!text.is_empty());
            assert!(self.plain.get(range.clone()) == Some(text), "{range:?}");
            covered[range].iter_mut().for_each(|covered| {
                assert!(!std::mem::replace(covered, true), "kept twice");
            });
        }
        for range in &report.damage.ranges {
            let range = range.start as usize..range.end as usize;
            covered[range].iter_mut().for_each(|covered| {
                assert!(!std::mem::replace(covered, true), "kept, and said to be damaged");
            });
        }
        assert!(covered.iter().all(|covered| *covered), "neither kept nor said to be damaged");
        let kept: usize = memory.kept.iter().map(|(_, text)| text.len()).sum();
        assert_eq!(report.bytes_intact, kept as u64);
        assert_eq!(report.damage.count, report.damage.ranges.len() as u64);
        assert_eq!(report.bytes_intact + report.damage.bytes, report.bytes_out);
        report
    }
}

/// Lengths around chunks and segments.
fn lengths(format: Format) -> Vec<usize> {
    let chunk = format.chunk_len();
    let around = |len: usize| [len - 1, len, len + 1];
    let mut lengths = vec![0, 1, 5 * chunk / 2];
    lengths.extend([chunk, 2 * chunk, SEGMENT_LEN, 2 * SEGMENT_LEN].into_iter().flat_map(around));
    lengths
}

fn all() -> impl Iterator<Item = (Format, Sealed)> {
    Format::ALL.into_iter().flat_map(|format| {
        lengths(format).into_iter().map(move |len| (format, sealed(format, len)))
    })
}

/// The same without the age files whose last chunk is nearly full, where the search for the end
/// takes a second.
fn all_but_slow() -> impl Iterator<Item = (Format, Sealed)> {
    let is_slow = |format, len: usize| format == Format::Age && len % (1 << 16) > 1 << 15;
    all().filter(move |(format, file)| !is_slow(*format, file.plain.len()))
}

#[test]
fn a_whole_file_is_intact() {
    for (format, file) in all() {
        let report = file.report(&file.bytes, vec![]);
        assert!(report.is_intact(), "{format:?} {}", file.plain.len());
        assert_eq!(
            (report.bytes_out, report.bytes_intact),
            (file.plain.len() as u64, report.bytes_out)
        );
        assert_eq!(
            report.chunks_intact,
            file.bytes.len().div_ceil(format.sealed_chunk_len()) as u64
        );
    }
}

#[test]
#[expect(clippy::single_range_in_vec_init, reason = "runs of chunks, of which there may be one")]
fn damaged_chunks_are_named_and_merged() {
    for format in Format::ALL {
        let chunk = format.chunk_len();
        let file = sealed(format, 2 * SEGMENT_LEN + 3 * chunk + 77);
        let last = format.segment_chunks() * 2 + 3;
        let edge = format.segment_chunks();
        for (bad, runs) in [
            (&[0][..], &[0..1][..]),
            (&[3], &[3..4]),
            (&[1, 2, 3], &[1..4]),
            (&[0, 2, 4], &[0..1, 2..3, 4..5]),
            (&[edge - 1, edge], &[edge - 1..edge + 1]),
            (&[edge], &[edge..edge + 1]),
            (&[last - 1], &[last - 1..last]),
        ] {
            for is_unreadable in [false, true] {
                let mut bytes = file.bytes.clone();
                let mut unreadable = Vec::new();
                for place in bad.iter().map(|bad| file.chunk(*bad)) {
                    match is_unreadable {
                        true => unreadable.push(place.start + 7..place.start + 9),
                        false => bytes[place.end - 1] ^= 1,
                    }
                }
                let report = file.report(&bytes, unreadable);
                let runs: Vec<_> = runs
                    .iter()
                    .map(|run| (run.start * chunk) as u64..(run.end * chunk) as u64)
                    .collect();
                assert_eq!(report.damage.ranges, runs, "{format:?} {bad:?}");
                assert_eq!((report.end, report.bytes_out), (End::Whole, file.plain.len() as u64));
            }
        }
    }
}

#[test]
fn a_damaged_last_chunk_hides_the_end() {
    let is_last_full = |len: usize| len > 1 << 16 && len.is_multiple_of(1 << 16);
    for (format, file) in all_but_slow().filter(|(_, file)| !is_last_full(file.plain.len())) {
        let mut bytes = file.bytes.clone();
        *bytes.last_mut().unwrap() ^= 1;
        let report = file.report(&bytes, vec![]);
        assert_eq!(report.end, End::Damaged, "{format:?} {}", file.plain.len());
        assert_eq!(report.bytes_out, file.plain.len() as u64);
        assert!(!report.is_intact());
    }
}

#[test]
fn what_is_cut_is_missed() {
    for format in Format::ALL {
        let chunk = format.sealed_chunk_len();
        let file = sealed(format, 5 * format.chunk_len() + 1000);
        for full in 0..5 {
            for rest in [0, 1, 15, 16, 17, 18, 1000, 16_399] {
                let report = file.report(&file.bytes[..full * chunk + rest], vec![]);
                // A shorter rest cannot be mistaken for the end.
                let shortest = if format == Format::Native || full == 0 { 16 } else { 17 };
                let end = if rest < shortest { End::Missing } else { End::Damaged };
                assert_eq!(report.end, end, "{format:?} {full} {rest}");
                assert_eq!(report.bytes_intact, (full * format.chunk_len()) as u64);
                assert_eq!(report.damage.bytes, rest.saturating_sub(16) as u64);
            }
        }
    }
}

#[test]
fn what_was_added_is_told_from_the_end() {
    for (format, file) in all_but_slow() {
        for added in [&[0][..], &[0; 15], &[0; 16], &[7; 17], &[1; 70_000], &file.bytes] {
            let report = file.report(&[&file.bytes, added].concat(), vec![]);
            let what = format!("{format:?} {} and {}", file.plain.len(), added.len());
            assert_eq!(report.end, End::Followed(added.len() as u64), "{what}");
            assert_eq!(
                (report.bytes_out, report.damage.count),
                (file.plain.len() as u64, 0),
                "{what}"
            );
        }
    }
}

#[test]
fn what_was_added_after_damage_is_told_as_well() {
    for format in Format::ALL {
        let file = sealed(format, 4 * format.chunk_len() + 100);
        let mut bytes = [&file.bytes[..], &[9; 200_000]].concat();
        bytes[file.chunk(1).start] ^= 1;
        let report = file.report(&bytes, vec![]);
        assert_eq!((report.end, report.damage.count), (End::Followed(200_000), 1));
        // Without the last chunk before the end, the end cannot be found.
        bytes[file.chunk(3).start] ^= 1;
        let report = file.report(&bytes, vec![]);
        assert!(report.end != End::Whole && report.bytes_intact == 2 * format.chunk_len() as u64);
    }
}

#[test]
fn chunks_that_have_changed_places_are_damaged() {
    for format in Format::ALL {
        let file = sealed(format, 6 * format.chunk_len() + 5);
        let mut bytes = file.bytes.clone();
        bytes[file.chunk(1)].copy_from_slice(&file.bytes[file.chunk(4)]);
        bytes[file.chunk(4)].copy_from_slice(&file.bytes[file.chunk(1)]);
        let chunk = format.chunk_len() as u64;
        let report = file.report(&bytes, vec![]);
        assert_eq!(report.damage.ranges, [chunk..2 * chunk, 4 * chunk..5 * chunk]);
        assert_eq!(report.end, End::Whole);
    }
}

#[test]
fn of_very_many_ranges_only_the_first_are_remembered() {
    let mut found = ScanState::default();
    let more = MAX_RANGES as u64 + 10;
    for chunk in 0..more {
        found.take(Format::Age, 2 * chunk, Format::Age.sealed_chunk_len(), None);
        found.end_run();
    }
    let report = found.report(Format::Age, End::Missing);
    assert_eq!((report.damage.ranges.len(), report.damage.count), (MAX_RANGES, more));
    assert_eq!(report.damage.bytes, more * Format::Age.chunk_len() as u64);
}
