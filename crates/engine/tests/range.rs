//! Decrypting a part of a file reads only the chunks that it lies in.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::io::{Read, Seek, SeekFrom};

use common::{Fixture, paint};
use cryptstream_engine::{
    ByteRange, CommitOptions, Decrypt, Encrypt, Engine, EngineOptions, Processes, RangeSummary,
    Source,
};
use cryptstream_format::Format;

/// How many bytes are read for the header. They may reach beyond it.
const FIRST_READ: u64 = 16 << 10;
/// The payload's first bytes, and looks at what kind of file it is.
const LOOKS: u64 = 256;

fn engine() -> Engine {
    let options = EngineOptions { processes: Processes::Exactly(0), ..EngineOptions::default() };
    Engine::new(options, 1)
}

fn encrypt(fixture: &Fixture, format: Format, content: &[u8]) {
    fixture.write("plain", content);
    let mut source = Source::open(&fixture.path("plain")).unwrap();
    let (target, recipients) = (fixture.target("encrypted"), fixture.recipients());
    let commit = CommitOptions::default();
    let request =
        Encrypt::source(&mut source).target(target).format(format).recipients(&recipients);
    engine().encrypt(request.commit(commit)).unwrap();
}

fn open(fixture: &Fixture, range: ByteRange) -> RangeSummary {
    let mut source = Source::open(&fixture.path("encrypted")).unwrap();
    let (target, identities) = (fixture.target("part"), fixture.identities());
    let commit = CommitOptions::default();
    let request = Decrypt::source(&mut source).target(target).identities(&identities);
    engine().decrypt_range(request.commit(commit), range).unwrap()
}

/// The bytes that this thread has read; `None` if the system does not count them.
fn bytes_read() -> Option<u64> {
    let counts = fs::read_to_string("/proc/thread-self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

#[test]
fn only_the_chunks_of_a_part_are_read() {
    let Some(()) = bytes_read().map(drop) else {
        eprintln!("skipped: this system does not count what threads read");
        return;
    };
    let counting = {
        let before = bytes_read().unwrap();
        bytes_read().unwrap() - before
    };
    let len = (5 << 20) + 5000;
    let content = paint(len);
    let end = len as u64;
    let between = |start, end| ByteRange::Between { start, end };
    for format in Format::ALL {
        let fixture = Fixture::new();
        encrypt(&fixture, format, &content);
        let chunk = format.chunk_len() as u64;
        let sealed_chunk = format.sealed_chunk_len() as u64;
        let final_chunk = end % chunk + 16;
        for (range, chunks) in [
            // Within a chunk, all of it, across a boundary.
            (between(chunk * 7 + 100, chunk * 7 + 4196), sealed_chunk),
            (between(chunk * 7, chunk * 8), sealed_chunk),
            (between(chunk * 7 - 1, chunk * 7 + 1), 2 * sealed_chunk),
            (between(0, 1), sealed_chunk),
            // Several parts in one go.
            (between(1, chunk * 40), 40 * sealed_chunk),
            // The final chunk once, and not the one before it.
            (ByteRange::Last(100), final_chunk),
            (ByteRange::From(end - 1), final_chunk),
            (between(end - end % chunk, u64::MAX), final_chunk),
            // To the end from before the final chunk; beyond the end.
            (ByteRange::Last(end % chunk + 1), final_chunk + sealed_chunk),
            (between(chunk * 7 + 1, chunk * 8), sealed_chunk),
            (between(end - 1, end + 1), final_chunk),
        ] {
            let before = bytes_read().unwrap();
            let decrypted = open(&fixture, range);
            let read = bytes_read().unwrap() - before - counting;
            let part = decrypted.range.start as usize..decrypted.range.end as usize;
            assert!(fixture.read("part") == content[part], "{format:?} {range:?}");
            assert!(
                (chunks + FIRST_READ..chunks + FIRST_READ + LOOKS).contains(&read),
                "{format:?} {range:?}: {read} bytes were read for {chunks} in chunks"
            );
            let header = fixture.read("encrypted").len() as u64 - sealed_len(format, end);
            let prefix = format.prefix_len() as u64;
            assert_eq!(decrypted.summary.bytes_in, header + prefix + chunks);
        }
    }
}

/// The length of a payload: its prefix and chunks.
fn sealed_len(format: Format, len: u64) -> u64 {
    cryptstream_format::Layout::of_plaintext(format, len).unwrap().payload_len()
}

#[test]
fn a_length_is_told_only_when_it_is_proved() {
    for format in Format::ALL {
        let fixture = Fixture::new();
        encrypt(&fixture, format, &paint(200_000));
        let told = |range| open(&fixture, range).plaintext_len;
        assert_eq!(told(ByteRange::Between { start: 0, end: 100 }), None);
        assert_eq!(told(ByteRange::Between { start: 199_999, end: 200_000 }), Some(200_000));
        assert_eq!(told(ByteRange::Between { start: 0, end: u64::MAX }), Some(200_000));
        assert_eq!(told(ByteRange::From(0)), Some(200_000));
        assert_eq!(told(ByteRange::Last(1)), Some(200_000));
    }
}

#[test]
fn a_reader_gives_verified_bytes_at_any_place() {
    let content = paint((1 << 20) + 70_000);
    for format in Format::ALL {
        let fixture = Fixture::new();
        encrypt(&fixture, format, &content);
        let mut reader = engine().open(fixture.path("encrypted"), &fixture.identities()).unwrap();
        assert_eq!(reader.len(), content.len() as u64);
        let mut all = Vec::new();
        assert_eq!(reader.read_to_end(&mut all).unwrap(), content.len());
        assert!(all == content);
        for (at, len) in [(0, 1), (65_530, 20), (262_140, 300_000), (content.len() - 5, 5)] {
            let mut part = vec![0; len];
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            reader.read_exact(&mut part).unwrap();
            assert!(part == content[at..at + len], "{at}");
        }
        assert_eq!(reader.seek(SeekFrom::End(3)).unwrap(), content.len() as u64 + 3);
        assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0, "nothing comes after the end");
        reader.seek(SeekFrom::Current(-(content.len() as i64 + 4))).unwrap_err();

        // Damaged bytes are not returned, and the rest still is.
        let mut encrypted = fixture.read("encrypted");
        let damaged = encrypted.len() / 2;
        encrypted[damaged] ^= 1;
        fixture.write("encrypted", &encrypted);
        let mut reader = engine().open(fixture.path("encrypted"), &fixture.identities()).unwrap();
        reader.seek(SeekFrom::Start(damaged as u64)).unwrap();
        let error = reader.read(&mut [0; 9]).unwrap_err();
        assert!(error.to_string().contains("encrypted"), "{error}");
        reader.seek(SeekFrom::Start(7)).unwrap();
        let mut part = [0; 9];
        reader.read_exact(&mut part).unwrap();
        assert_eq!(part, content[7..16]);

        // A truncated file is not opened: its length proves nothing.
        fixture.write("encrypted", &encrypted[..encrypted.len() - 100_000]);
        assert!(engine().open(fixture.path("encrypted"), &fixture.identities()).is_err());
    }
}
