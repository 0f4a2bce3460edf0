//! Salvage writes every intact part of a damaged file at its position, and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::common::{CHEAP, CHUNK, Dir, PREFIX, SEALED_CHUNK, header_len, test_bytes};
use serde_json::{Value, json};

/// Salvages `bad` and compares the output with the plaintext: equal where no hole is listed, and
/// zeros in holes. Returns the report.
#[track_caller]
fn salvaged(dir: &Dir, plain: &[u8], code: i32) -> Value {
    let args = ["decrypt", "--salvage", "bad", "out", "-i", "id", "--force", "--json"];
    let done = dir.run(&args);
    assert_eq!((done.code(), done.stderr_text().as_str()), (Some(code), ""), "{done:?}");
    let object = done.json(&done.stdout);
    assert_eq!((&object["schema"], &object["command"]), (&json!(1), &json!("decrypt")));
    assert_eq!((&object["salvaged"], &object["input"]), (&json!(true), &json!("bad")));
    assert_eq!(object["error"]["code"].as_i64().unwrap_or(0), i64::from(code));
    let out = dir.read("out");
    assert_eq!(object["bytes_out"], json!(out.len()));
    let mut expected = plain[..out.len().min(plain.len())].to_vec();
    expected.resize(out.len(), 0);
    let mut lost = 0;
    for hole in object["bad_ranges"].as_array().unwrap() {
        let number = |field: &str| usize::try_from(hole[field].as_u64().unwrap()).unwrap();
        let (offset, length) = (number("offset"), number("length"));
        expected[offset..offset + length].fill(0);
        lost += length;
    }
    assert!(out == expected, "{object}");
    assert_eq!(object["bad_bytes"], json!(lost));
    assert_eq!(object["intact_bytes"], json!(out.len() - lost));
    object
}

/// The two formats: name, bytes before the first chunk, length of a chunk.
const FORMATS: [(&str, usize, usize); 2] = [("native", PREFIX, CHUNK), ("age", 16, 1 << 16)];

fn seal(dir: &Dir, format: &str, plain: &[u8]) -> Vec<u8> {
    dir.write("plain", plain);
    dir.run(&["encrypt", "-i", "id", "--format", format, "plain", "good", "--force"]).ok();
    dir.read("good")
}

#[test]
fn damage_becomes_holes_and_everything_else_is_there() {
    let dir = Dir::new();
    dir.keygen("id");
    for (format, prefix, chunk) in FORMATS {
        let edge = (1 << 20) / chunk;
        for len in [(2 << 20) + 100, 2 << 20, (2 << 20) + chunk + 1, (2 << 20) - 1] {
            let plain = test_bytes(len);
            let good = seal(&dir, format, &plain);
            let start = header_len(&good) + prefix;
            let chunks = (good.len() - start).div_ceil(chunk + 16);
            for bad in [
                &[][..],
                &[0],
                &[3],
                &[1, 2, 3],
                &[0, 2, 4, 6],
                &[edge - 1, edge],
                &[edge, edge + 1, edge + 3],
                &[0, edge - 1, edge, chunks - 2],
            ] {
                let mut encrypted = good.clone();
                for number in bad {
                    encrypted[start + number * (chunk + 16) + 15] ^= 0x10;
                }
                dir.write("bad", &encrypted);
                let object = salvaged(&dir, &plain, if bad.is_empty() { 0 } else { 65 });
                let what = format!("{format} {len} {bad:?}: {object}");
                assert_eq!(object["end"], "whole", "{what}");
                assert_eq!(object["bad_bytes"], json!(bad.len() * chunk), "{what}");
                assert_eq!(object["bytes_out"], json!(len), "{what}");
            }
        }
    }
}

#[test]
fn a_small_file_and_a_damaged_end_are_salvaged() {
    let dir = Dir::new();
    dir.keygen("id");
    for (format, prefix, chunk) in FORMATS {
        for len in [chunk + 10, 3 * chunk + 1000] {
            let plain = test_bytes(len);
            let good = seal(&dir, format, &plain);
            let mut encrypted = good.clone();
            *encrypted.last_mut().unwrap() ^= 1;
            dir.write("bad", &encrypted);
            let object = salvaged(&dir, &plain, 65);
            assert_eq!((&object["end"], &object["bytes_out"]), (&json!("damaged"), &json!(len)));
            // Truncated at every kind of position.
            let start = header_len(&good) + prefix;
            for full in 1..=len / chunk {
                for rest in [0, 1, 15, 16, 17, 900] {
                    let end = start + full * (chunk + 16) + rest;
                    if end >= good.len() {
                        continue;
                    }
                    dir.write("bad", &good[..end]);
                    let object = salvaged(&dir, &plain, 65);
                    assert_eq!(object["intact_bytes"], json!(full * chunk), "{format} {object}");
                    assert!(object["end"] == "missing" || object["end"] == "damaged", "{object}");
                }
            }
            // With appended bytes.
            for added in [1, 16, 17, 70_000] {
                dir.write("bad", [&good[..], &vec![1; added]].concat());
                let object = salvaged(&dir, &plain, 65);
                let end = (&object["end"], &object["trailing_bytes"]);
                assert_eq!(end, (&json!("followed"), &json!(added)), "{format} {len}");
                assert_eq!(object["bytes_out"], json!(len));
            }
        }
    }
}

#[test]
fn swapped_chunks_are_not_salvaged() {
    let dir = Dir::new();
    let plain = test_bytes(10 * CHUNK + 3);
    let good = dir.encrypted(&plain);
    let start = header_len(&good) + PREFIX;
    let chunk = |number: usize| start + number * SEALED_CHUNK..start + (number + 1) * SEALED_CHUNK;
    let mut encrypted = good.clone();
    encrypted[chunk(1)].copy_from_slice(&good[chunk(7)]);
    encrypted[chunk(7)].copy_from_slice(&good[chunk(1)]);
    dir.write("bad", &encrypted);
    assert_eq!(salvaged(&dir, &plain, 65)["bad_ranges"].as_array().unwrap().len(), 2);
}

#[test]
fn holes_are_listed_take_no_room_and_the_permissions_are_kept() {
    let dir = Dir::new();
    let plain = test_bytes(8 << 20);
    let mut encrypted = dir.encrypted(&plain);
    let start = header_len(&encrypted) + PREFIX;
    // All but the first and the last MiB.
    encrypted[start + 64 * SEALED_CHUNK..start + 7 * 64 * SEALED_CHUNK].fill(0);
    let path = dir.write("bad.enc", &encrypted);
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = dir.snapshot();
    let done = dir.run(&["decrypt", "--salvage", "bad.enc", "-i", "id", "-q"]);
    assert_eq!((done.code(), done.stdout_text().as_str()), (Some(65), ""));
    let text = done.stderr_text();
    for words in [
        "error: bad.enc: is damaged: 2.00 MiB of 8.00 MiB intact\n",
        "help: bad contains what is intact",
        "  hole: bytes 1048576-7340031\n",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    let metadata = fs::metadata(dir.path("bad")).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (8 << 20, 0o640));
    assert!(metadata.blocks() * 512 < 4 << 20, "{} blocks", metadata.blocks());
    assert_eq!(dir.snapshot().len(), before.len() + 1, "a temporary was left");
    let mut expected = plain;
    expected[1 << 20..7 << 20].fill(0);
    assert!(dir.read("bad") == expected);
}

#[test]
fn the_first_of_many_holes_are_shown_and_all_are_counted() {
    let dir = Dir::new();
    let mut encrypted = dir.encrypted(&test_bytes(100 * CHUNK));
    let start = header_len(&encrypted) + PREFIX;
    for chunk in (0..90).step_by(3) {
        encrypted[start + chunk * SEALED_CHUNK] ^= 1;
    }
    dir.write("bad", &encrypted);
    let done = dir.run(&["decrypt", "--salvage", "bad", "out", "-i", "id"]);
    assert_eq!(done.code(), Some(65));
    let text = done.stderr_text();
    assert_eq!(text.matches("hole: bytes").count(), 20, "{text}");
    assert!(text.contains("and 10 more ranges; --json lists them"), "{text}");
    let object = salvaged(&dir, &test_bytes(100 * CHUNK), 65);
    assert_eq!(object["bad_ranges"].as_array().unwrap().len(), 30);
}

#[test]
fn what_cannot_be_salvaged_leaves_nothing() {
    let dir = Dir::new();
    let good = dir.encrypted(&test_bytes(5 * CHUNK));
    let header = header_len(&good);
    dir.keygen("other");
    dir.write("good.enc", &good);
    let mut bad = good.clone();
    bad[header + PREFIX] ^= 1;
    let salvage = |key| dir.command(&["decrypt", "--salvage", "bad.enc", "out", "-i", key]);
    let with = |content: &[u8]| dir.write("bad.enc", content);
    with(&bad);
    dir.fails(salvage("other"), 77, &["no key fits"]);
    for (place, words) in [(15, "header is damaged"), (header + 3, "does not belong")] {
        let mut bad = good.clone();
        bad[place] = b'!';
        with(&bad);
        dir.fails(salvage("id"), 65, &[words]);
    }
    with(&good[..header + 10]);
    dir.fails(salvage("id"), 65, &["ends after"]);
    with(b"just some text");
    dir.fails(salvage("id"), 65, &["plain text"]);
    with(&[&good[..header + PREFIX], &[0; 5 * SEALED_CHUNK][..]].concat());
    dir.fails(salvage("id"), 65, &["not one chunk is intact"]);
    // The output already exists.
    with(&bad);
    dir.write("out", "precious");
    dir.fails(salvage("id"), 73, &["already exists"]);
}

#[test]
fn pipes_and_removal_are_refused() {
    let dir = Dir::new();
    let mut bad = dir.encrypted(&test_bytes(5 * CHUNK));
    let place = header_len(&bad) + PREFIX;
    bad[place] ^= 1;
    dir.write("bad.enc", &bad);
    for args in [
        &["bad.enc", "-"][..],
        &["-", "out"],
        &["-", "-"],
        &["bad.enc", "/dev/null"],
        &["bad.enc", "--remove-source"],
    ] {
        let args = [&["decrypt", "--salvage", "-i", "id"], args].concat();
        dir.fails(dir.command(&args).input(&bad), 64, &["error: "]);
    }
    let script = "$CS decrypt --salvage -i id <(cat bad.enc) out";
    dir.fails(dir.shell(script), 64, &["not a file"]);
    // Without the flag, a damaged file is refused as usual.
    dir.fails(dir.command(&["decrypt", "bad.enc", "-i", "id"]), 65, &["chunk 0"]);
}

#[test]
fn an_altered_header_hides_nothing_as_long_as_one_stanza_is_intact() {
    let dir = Dir::new();
    dir.keygen("id");
    let other = dir.keygen("other");
    let plain = test_bytes((1 << 20) + 5);
    dir.write("plain", &plain);
    for keys in [&["-r", &other, "-i", "id"][..], &["--key", "x", CHEAP]] {
        let args = [&["encrypt", "plain", "good", "--force"], keys].concat();
        dir.run(&args).ok();
        let good = dir.read("good");
        let header = header_len(&good);
        let pad = good.windows(7).position(|bytes| bytes == b"\n-> pad").unwrap() + 1;
        // In the mark, the arguments, the body, and the MAC, such that it is base64 or is not.
        for (place, byte) in [
            (pad, b'!'),
            (pad + 4, b'q'),
            (pad + 5, 0),
            (pad + 600, b'B'),
            (pad + 600, 0xff),
            (header - 3, b'A'),
            (header - 3, b'B'),
        ] {
            let mut bad = good.clone();
            // What is there is random.
            bad[place] = if good[place] == byte { b'Z' } else { byte };
            dir.write("bad", &bad);
            let keys = if keys.len() == 4 { ["-i", "id"] } else { ["--key", "x"] };
            let decrypt = |more: &[&str]| {
                dir.command(&[&["decrypt", "bad", "out"], &keys[..], more].concat())
            };
            dir.fails(decrypt(&[]), 65, &["header"]);
            let done = decrypt(&["--salvage"]).run();
            let text = done.stderr_text();
            assert_eq!(done.code(), Some(65), "{place}: {text}");
            assert!(text.contains("bad: the header was altered, but all of the content"), "{text}");
            assert!(dir.read("out") == plain, "{place}");
            bad[header + PREFIX + SEALED_CHUNK] ^= 1;
            dir.write("bad", &bad);
            let done = decrypt(&["--salvage", "--force"]).run();
            let words = "is damaged: the header was altered; 1008.00 KiB of 1.00 MiB intact";
            assert!(done.stderr_text().contains(words), "{done:?}");
            fs::remove_file(dir.path("out")).unwrap();
        }
    }
}

#[test]
fn salvage_accepts_a_passphrase() {
    let dir = Dir::new();
    let plain = test_bytes(3 * CHUNK);
    dir.write("plain", &plain);
    dir.run(&["encrypt", "plain", "bad.enc", "--key", "x", CHEAP]).ok();
    let mut encrypted = dir.read("bad.enc");
    let place = header_len(&encrypted) + PREFIX + SEALED_CHUNK;
    encrypted[place] ^= 1;
    dir.write("bad.enc", &encrypted);
    let done = dir.run(&["decrypt", "--salvage", "bad.enc", "--key", "x"]);
    assert_eq!(done.code(), Some(65), "{done:?}");
    let mut expected = plain;
    expected[CHUNK..2 * CHUNK].fill(0);
    assert!(dir.read("bad") == expected);
}
