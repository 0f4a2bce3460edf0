//! `decrypt --range` writes exactly that slice of the content, or nothing.

use std::ops::Range;
use std::time::Duration;

use crate::common::{CHEAP, CHUNK, Dir, PREFIX, Random, SEALED_CHUNK, header_len, test_bytes};

const FORMATS: [&str; 2] = ["native", "age"];
/// Lengths around the chunks of both formats and around a unit of work.
const LENGTHS: [usize; 12] = [
    0,
    1,
    16_383,
    16_384,
    16_385,
    65_535,
    65_536,
    65_537,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    3 << 20,
];

/// Encrypts `content` as `encrypted.enc` to the identity `id`.
fn encrypt(dir: &Dir, format: &str, content: &[u8]) -> Vec<u8> {
    if !dir.path("id").exists() {
        dir.keygen("id");
    }
    dir.write("plain", content);
    let args = ["encrypt", "-i", "id", "plain", "encrypted.enc", "--force", "--format", format];
    dir.run(&args).ok();
    dir.read("encrypted.enc")
}

fn args(range: &str) -> [&str; 6] {
    ["decrypt", "-i", "id", "encrypted.enc", "--range", range]
}

/// Ways to write a range of `len` bytes, which is not empty.
fn spellings(range: &Range<usize>, len: usize) -> Vec<String> {
    let Range { start, end } = *range;
    let mut all = vec![format!("{start}-{}", end - 1), format!("{start}+{}", end - start)];
    if end == len {
        all.push(format!("{start}-"));
        all.push(format!("-{}", end - start));
        all.push(format!("{start}-{}", end + 100_000));
        all.push(format!("{start}+1TiB"));
    }
    if start == 0 && end == len {
        all.push(format!("-{}", len + 1));
        all.push("-1TiB".to_owned());
    }
    all
}

/// Ranges around every boundary of `len` bytes.
fn ranges(len: usize) -> Vec<Range<usize>> {
    let edges = [0, 16_384, 32_768, 65_536, 262_144, 327_680, 1 << 20, 2 << 20, len];
    let mut places: Vec<usize> = edges
        .into_iter()
        .flat_map(|edge| [edge.saturating_sub(1), edge, edge + 1])
        .filter(|place| *place <= len)
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut all = Vec::new();
    for (number, &start) in places.iter().enumerate() {
        // The nearest ones, and the farthest.
        let ends = places[number + 1..].iter().take(3).chain(places.last());
        all.extend(ends.filter(|end| **end > start).map(|end| start..*end));
    }
    all.dedup();
    all
}

#[test]
fn every_range_is_that_slice_of_the_content() {
    for format in FORMATS {
        let dir = Dir::new();
        for len in LENGTHS {
            let content = test_bytes(len);
            encrypt(&dir, format, &content);
            for (number, range) in ranges(len).into_iter().enumerate() {
                // Every spelling in turn.
                let all = spellings(&range, len);
                let spelling = &all[number % all.len()];
                let done = dir.run(&args(spelling)).ok_and_silent();
                assert!(done.stdout == content[range], "{format}, {len} bytes: {spelling}");
            }
        }
    }
}

#[test]
fn ranges_anywhere_are_slices_too() {
    let mut random = Random::new();
    let mut below = |most: usize| {
        let nanoseconds = Duration::from_nanos(most as u64);
        (random.within(nanoseconds).as_nanos() as usize).min(most - 1)
    };
    for format in FORMATS {
        let dir = Dir::new();
        for _ in 0..8 {
            let len = 1 + below(2 << 20);
            let content = test_bytes(len);
            encrypt(&dir, format, &content);
            for _ in 0..12 {
                let start = below(len);
                let end = start + 1 + below(len - start);
                let all = spellings(&(start..end), len);
                let spelling = &all[below(all.len())];
                let done = dir.run(&args(spelling)).ok_and_silent();
                assert!(done.stdout == content[start..end], "{format}, {len} bytes: {spelling}");
            }
        }
    }
}

#[test]
fn nothing_lies_beyond_the_end() {
    for format in FORMATS {
        let dir = Dir::new();
        for len in LENGTHS {
            encrypt(&dir, format, &test_bytes(len));
            let said = format!("only {len} bytes");
            for start in [len, len + 1, len + 70_000, 5 << 20] {
                for range in [format!("{start}-"), format!("{start}+1"), format!("{start}-9TiB")] {
                    let done = dir.fails(dir.command(&args(&range)), 64, &[&said]);
                    assert_eq!(done.stdout, b"");
                    let at = format!("byte {start},");
                    assert!(done.stderr_text().contains(&at), "{done:?}");
                }
            }
            let range = format!("{len}-");
            let run = dir.command(&[&args(&range)[..], &["--json"]].concat());
            let done = dir.fails(run, 64, &[]);
            let error = &done.json(&done.stderr)["error"];
            assert_eq!((&error["kind"], &error["code"]), (&"range".into(), &64.into()));
        }
        encrypt(&dir, format, b"");
        assert_eq!(dir.run(&args("-5")).ok_and_silent().stdout, b"", "all of nothing");
    }
}

#[test]
fn an_invalid_range_is_a_usage_error() {
    let dir = Dir::new();
    encrypt(&dir, "native", &test_bytes(100));
    for wrong in ["", "x", "-", "5", "9-8", "5+0", "-0", "1-2-3", "0-1,3-4", "1KB-", "+5", "1 - 2"]
    {
        dir.fails(dir.command(&args(wrong)), 64, &["--range"]);
    }
    dir.fails(dir.command(&args("9-8")), 64, &["END is before START"]);
    dir.fails(dir.command(&args("5")), 64, &["START-END"]);
    let run = dir.command(&[&args("0-1")[..], &["--remove-source", "part"]].concat());
    dir.fails(run, 64, &["--range", "--remove-source"]);
}

#[test]
fn an_input_that_is_not_seekable_is_refused() {
    let dir = Dir::new();
    let encrypted = encrypt(&dir, "native", &test_bytes(100_000));
    let stdin = "standard input is read from its beginning to its end";
    let other = "needs a file it can seek in";
    for (script, words) in [
        ("cat encrypted.enc | $CS decrypt -i id --range 0-9", stdin),
        ("cat encrypted.enc | $CS decrypt -i id - part --range 0-9", stdin),
        ("$CS decrypt -i id --range 0-9 < encrypted.enc", stdin),
        ("cat encrypted.enc | $CS decrypt -i id /dev/stdin part --range 0-9", other),
        ("$CS decrypt -i id <(cat encrypted.enc) part --range 0-9", other),
        ("$CS decrypt -i id /dev/null part --range 0-9", other),
        // Its reported length is 0.
        ("$CS decrypt -i id /proc/self/status part --range 0-9", other),
        // Its reported length is one page.
        ("$CS decrypt -i id /sys/kernel/mm/transparent_hugepage/enabled part --range 0-9", other),
    ] {
        let has_input = !script.contains("/sys/")
            || std::path::Path::new("/sys/kernel/mm/transparent_hugepage/enabled").exists();
        if has_input {
            dir.fails(dir.shell(script), 64, &["--range needs a file", words]);
        }
    }
    for space in ["", "\n", " \r\n\t"] {
        let armor = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24=\n";
        dir.write("armored.age", format!("{space}{armor}"));
        let run = dir.command(&["decrypt", "-i", "id", "armored.age", "--range", "0-9"]);
        dir.fails(run, 64, &["armored.age", "armor"]);
    }
    // Links and descriptors of a file work like the file.
    dir.write("encrypted.enc", encrypted);
    let done = dir.shell("$CS decrypt -i id /dev/stdin --range 5+10 < encrypted.enc").run().ok();
    assert_eq!(done.stdout, test_bytes(15)[5..]);
    // A file that is not encrypted gives the usual error.
    dir.write("text.enc", "text");
    let run = dir.command(&["decrypt", "-i", "id", "text.enc", "--range", "0-9"]);
    dir.fails(run, 65, &["text.enc", "plain text"]);
    dir.write("empty.enc", "");
    let run = dir.command(&["decrypt", "-i", "id", "empty.enc", "--range", "0-9"]);
    dir.fails(run, 65, &["it is empty"]);
}

/// The lengths of a chunk and of an encrypted chunk, and the bytes before the first one.
fn geometry(format: &str) -> (usize, usize, usize) {
    match format {
        "native" => (CHUNK, SEALED_CHUNK, PREFIX),
        _ => (65_536, 65_552, 16),
    }
}

#[test]
fn damage_is_found_in_the_range_and_only_there() {
    for format in FORMATS {
        let (chunk, encrypted_chunk_len, prefix) = geometry(format);
        let dir = Dir::new();
        let content = test_bytes(40 * chunk + 100);
        let good = encrypt(&dir, format, &content);
        let first = header_len(&good) + prefix;
        let mut bad = good.clone();
        bad[first + 7 * encrypted_chunk_len + 1000] ^= 1;
        dir.write("encrypted.enc", &bad);
        let at = format!("chunk 7, at byte {}", first + 7 * encrypted_chunk_len);
        for range in [
            format!("{}+1", 7 * chunk),
            format!("{}-{}", 7 * chunk - 1, 7 * chunk),
            format!("{}+1", 8 * chunk - 1),
            format!("{}-", 6 * chunk),
            "0-".to_owned(),
        ] {
            dir.fails(dir.command(&args(&range)), 65, &[&at]);
            // No output is created, and an existing file stays.
            let run = [&args(&range)[..], &["part"]].concat();
            dir.fails(dir.command(&run), 65, &[&at]);
        }
        for range in [0..7 * chunk, 8 * chunk..content.len(), 7 * chunk - 1..7 * chunk] {
            for spelling in spellings(&range, content.len()) {
                let done = dir.run(&args(&spelling)).ok_and_silent();
                assert!(done.stdout == content[range.clone()], "{format}: {spelling}");
            }
        }
        // What was written before that is right.
        let done = dir.run(&args("0-"));
        assert_eq!(done.code(), Some(65));
        assert!(content.starts_with(&done.stdout) && done.stdout.len() <= 7 * chunk);

        // Swapped chunks, and chunks of another file.
        let mut moved = good.clone();
        let place = |number: usize| first + number * encrypted_chunk_len;
        moved.copy_within(place(3)..place(4), place(5));
        dir.write("encrypted.enc", &moved);
        dir.fails(dir.command(&args(&format!("{}+1", 5 * chunk))), 65, &["chunk 5"]);
    }
}

#[test]
fn the_end_is_trusted_only_after_it_decrypts() {
    for format in FORMATS {
        let (chunk, encrypted_chunk_len, prefix) = geometry(format);
        let dir = Dir::new();
        let content = test_bytes(10 * chunk + 100);
        let good = encrypt(&dir, format, &content);
        let first = header_len(&good) + prefix;
        let place = |number: usize| first + number * encrypted_chunk_len;
        let mut altered = good.clone();
        *altered.last_mut().unwrap() ^= 1;
        for (what, bad) in [
            ("cut within a chunk", good[..place(8) + 1000].to_vec()),
            ("cut within the final chunk", good[..good.len() - 1].to_vec()),
            ("cut at a chunk", good[..place(8)].to_vec()),
            ("cut within a tag", good[..place(8) + 10].to_vec()),
            ("cut after a tag", good[..place(8) + 16].to_vec()),
            ("added to", [&good[..], b"x"].concat()),
            ("added to by chunks", [&good[..], &good[first..place(3)]].concat()),
            ("altered", altered),
        ] {
            dir.write("encrypted.enc", bad);
            // Ranges that are counted from the end, reach it, or lie beyond it.
            for range in ["-1", "-100", "-1TiB", "0-", "5-", "0-1TiB", "1GiB-", "1GiB+1"] {
                let done = dir.fails(dir.command(&args(range)), 65, &["encrypted.enc"]);
                assert_eq!(done.stdout, b"", "{format}, {what}: {range}");
            }
            for range in [0..1, 0..7 * chunk, 5 * chunk - 1..5 * chunk + 1] {
                let done = dir.run(&args(&spellings(&range, content.len())[0]));
                assert!(done.ok_and_silent().stdout == content[range], "{format}, {what}");
            }
        }
        dir.write("encrypted.enc", &good[..first - 1]);
        dir.fails(dir.command(&args("0-9")), 65, &[]);
        dir.write("encrypted.enc", &good[..first + 100]);
        dir.fails(dir.command(&args("0-9")), 65, &[]);
    }
}

#[test]
fn a_part_goes_to_standard_output_or_to_a_file_of_its_own() {
    let dir = Dir::new();
    let content = test_bytes(3_000_000);
    encrypt(&dir, "native", &content);
    dir.shell("rm plain").run().ok();
    dir.run(&args("10+20")).ok_and_silent();
    assert!(!dir.path("encrypted").exists(), "no part under the name of the whole");
    let with = |more: &[&str]| dir.command(&[&args("100000-2500000")[..], more].concat());
    with(&["part"]).run().ok_and_silent();
    assert!(dir.read("part") == content[100_000..=2_500_000]);
    dir.fails(with(&["part"]), 73, &["already exists"]);
    dir.fails(with(&["encrypted.enc", "--force"]), 73, &["same file"]);
    dir.write("part", "before");
    with(&["part", "--force"]).run().ok_and_silent();
    assert!(dir.read("part") == content[100_000..=2_500_000]);
    assert_eq!(dir.names(), ["encrypted.enc", "id", "part"]);
    // A reader that stops early ends the run without an error.
    let done = dir.shell("set -o pipefail; $CS decrypt -i id encrypted.enc --range 5- | head -c 9");
    let done = done.run().ok_and_silent();
    assert_eq!(done.stdout, content[5..14]);
}

#[test]
fn what_was_written_is_reported() {
    let dir = Dir::new();
    encrypt(&dir, "age", &test_bytes(100_000));
    let done = dir.run(&[&args("10-19")[..], &["--json"]].concat()).ok();
    let object = done.json(&done.stderr);
    let range = serde_json::json!({ "start": 10, "end": 20, "length": null });
    assert_eq!((&object["range"], &object["bytes_out"]), (&range, &10.into()));
    assert_eq!(object["format"], "age");
    let done = dir.run(&[&args("-10")[..], &["part", "--json"]].concat()).ok();
    let range = serde_json::json!({ "start": 99_990, "end": 100_000, "length": 100_000 });
    assert_eq!(done.json(&done.stdout)["range"], range);
    let done = dir.run(&[&args("-10")[..], &["-v"]].concat()).ok();
    assert!(done.stderr_text().contains("bytes 99990-99999 of 100000"), "{done:?}");
    let done = dir.run(&[&args("10-19")[..], &["-v"]].concat()).ok();
    assert!(done.stderr_text().trim_end().ends_with("bytes 10-19"), "{done:?}");
    // A whole file has no range.
    let done = dir.run(&["decrypt", "-i", "id", "encrypted.enc", "whole", "--json"]).ok();
    assert!(done.json(&done.stdout).get("range").is_none());
}

#[test]
fn a_passphrase_decrypts_ranges_and_a_wrong_key_does_not() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(50_000));
    dir.run(&["encrypt", "plain", "encrypted.enc", "--key", "x", CHEAP]).ok();
    let part = |key| dir.command(&["decrypt", "encrypted.enc", "--range", "5+5", "--key", key]);
    assert_eq!(part("x").run().ok_and_silent().stdout, test_bytes(10)[5..]);
    dir.fails(part("y"), 77, &["passphrase is wrong"]);
    dir.fails(dir.command(&args("5+5")), 77, &["passphrase"]);
}
