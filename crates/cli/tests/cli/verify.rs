//! `verify` decrypts everything and writes nothing: it reports what is intact, what is damaged, and
//! where.

use std::fs;

use crate::common::{
    CHEAP, CHUNK, Dir, PREFIX, Run, SEALED_CHUNK, file_events, header_len, test_bytes,
};
use serde_json::{Value, json};

/// The report of `verify --json` about one file; the command must exit with this status.
#[track_caller]
fn verified(dir: &Dir, name: &str, code: i32) -> Value {
    let args = ["verify", name, "-i", "id", "--json", "--processes", "2"];
    let done = dir.run(&args);
    assert_eq!((done.code(), done.stderr_text().as_str()), (Some(code), ""), "{done:?}");
    let (files, end) = file_events(&done);
    assert_eq!((&end["command"], &end["files"]), (&json!("verify"), &json!(1)));
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(file["file"], name);
    assert_eq!(end["bytes_out"].as_u64(), file["bytes_out"].as_u64().or(Some(0)));
    file.clone()
}

/// Runs a command that must not change anything.
#[track_caller]
fn failing(dir: &Dir, run: Run, code: i32, words: &[&str]) -> String {
    dir.fails(run, code, words).stdout_text()
}

fn range(offset: usize, length: usize) -> Value {
    json!({ "offset": offset, "length": length })
}

#[test]
fn intact_files_are_reported_as_intact() {
    let dir = Dir::new();
    dir.keygen("id");
    let around = |len: usize| [len - 1, len, len + 1];
    let mut lengths = vec![0, 1, (9 << 20) + 5];
    lengths.extend([CHUNK, 1 << 16, 1 << 20, 8 << 20].into_iter().flat_map(around));
    for format in ["native", "age"] {
        for len in &lengths {
            dir.write("plain", test_bytes(*len));
            dir.run(&["encrypt", "-i", "id", "--format", format, "plain", "s", "--force"]).ok();
            let file = verified(&dir, "s", 0);
            for (field, expected) in [
                ("status", json!("intact")),
                ("format", json!(format)),
                ("bytes_in", json!(dir.read("s").len())),
                ("bytes_out", json!(len)),
                ("intact_bytes", json!(len)),
                ("bad_ranges", json!([])),
                ("end", json!("whole")),
                ("error", Value::Null),
            ] {
                assert_eq!(file[field], expected, "{format} {len} {field}");
            }
        }
    }
    let before = dir.snapshot();
    let said = dir.run(&["verify", "s", "-i", "id"]).ok_and_silent().stdout_text();
    assert_eq!(said, "s: intact, 8.00 MiB\n");
    assert_eq!(dir.run(&["verify", "s", "-i", "id", "-q"]).ok_and_silent().stdout, b"");
    let said = dir.shell("cat s | $CS verify - -i id").run().ok_and_silent().stdout_text();
    assert_eq!(said, "standard input: intact, 8.00 MiB\n");
    let said = dir.shell("$CS verify -i id < s").run().ok_and_silent().stdout_text();
    assert_eq!(said, "standard input: intact, 8.00 MiB\n");
    assert!(dir.snapshot() == before, "something was written");
}

#[test]
fn workers_are_counted_whether_all_is_intact_or_not() {
    let dir = Dir::new();
    let mut encrypted = dir.encrypted(&test_bytes(20 << 20));
    for code in [0, 65] {
        dir.write("s", &encrypted);
        let done = dir.run(&["verify", "s", "-i", "id", "--json", "--processes", "1"]);
        assert_eq!(done.code(), Some(code));
        assert_eq!(file_events(&done).1["workers"], 1, "{done:?}");
        let last = encrypted.len() - 1;
        encrypted[last] ^= 1;
    }
}

#[test]
fn every_damaged_range_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    for (format, prefix, chunk) in [("native", PREFIX, CHUNK), ("age", 16, 1 << 16)] {
        let len = (3 << 20) + 2 * chunk + 100;
        let chunks = len / chunk;
        dir.write("plain", test_bytes(len));
        dir.run(&["encrypt", "-i", "id", "--format", format, "plain", "good", "--force"]).ok();
        let good = dir.read("good");
        let start = header_len(&good) + prefix;
        let edge = (1 << 20) / chunk;
        for (bad, runs) in [
            (&[0][..], &[(0, 1)][..]),
            (&[5], &[(5, 1)]),
            (&[5, 6, 7], &[(5, 3)]),
            (&[0, 2, edge - 1, edge], &[(0, 1), (2, 1), (edge - 1, 2)]),
            (&[chunks - 1], &[(chunks - 1, 1)]),
        ] {
            let mut encrypted = good.clone();
            for chunk_number in bad {
                encrypted[start + chunk_number * (chunk + 16) + 7] ^= 4;
            }
            dir.write("bad", &encrypted);
            let file = verified(&dir, "bad", 65);
            let ranges: Vec<_> =
                runs.iter().map(|(first, count)| range(first * chunk, count * chunk)).collect();
            let lost = bad.len() * chunk;
            assert_eq!(file["status"], "damaged");
            assert_eq!(file["bad_ranges"], json!(ranges), "{format} {bad:?}");
            assert_eq!(file["bad_bytes"], json!(lost));
            assert_eq!(file["intact_bytes"], json!(len - lost));
            assert_eq!(file["bytes_out"], json!(len));
            assert_eq!((&file["end"], &file["trailing_bytes"]), (&json!("whole"), &json!(0)));
            assert_eq!(file["error"]["code"], 65);
        }
        // The final chunk.
        let mut encrypted = good.clone();
        *encrypted.last_mut().unwrap() ^= 1;
        dir.write("bad", &encrypted);
        let file = verified(&dir, "bad", 65);
        assert_eq!(file["bad_ranges"], json!([range(chunks * chunk, 100)]));
        assert_eq!(file["end"], "damaged");
    }
}

#[test]
fn a_line_says_what_is_damaged_and_the_next_what_to_do() {
    let dir = Dir::new();
    let mut encrypted = dir.encrypted(&test_bytes(100 * CHUNK + 9));
    let start = header_len(&encrypted) + PREFIX;
    for chunk in (0..60).step_by(2) {
        encrypted[start + chunk * SEALED_CHUNK] ^= 1;
    }
    dir.write("bad.enc", &encrypted);
    let run = dir.command(&["verify", "bad.enc", "-i", "id"]);
    let said = failing(
        &dir,
        run,
        65,
        &["error: bad.enc: is damaged in chunk 0", "of the encrypted file", "help: ", "--salvage"],
    );
    assert!(said.starts_with("bad.enc: damaged: "), "{said}");
    assert!(said.contains("bad bytes of the content: 0-16383, 32768-49151, "), "{said}");
    assert!(said.contains(", and 10 more ranges"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let quiet = dir.command(&["verify", "bad.enc", "-i", "id", "-q"]);
    assert_eq!(failing(&dir, quiet, 65, &["bad.enc"]), "");
    // For a pipe, only the first damaged position is reported.
    let piped = dir.command(&["verify", "-", "-i", "id"]).input(&encrypted);
    let said = failing(&dir, piped, 65, &["chunk 0"]);
    assert!(said.starts_with("standard input: damaged: "), "{said}");
}

#[test]
fn truncation_and_additions_are_distinguished_from_other_damage() {
    let dir = Dir::new();
    let len = 70 * CHUNK + 50;
    let good = dir.encrypted(&test_bytes(len));
    let start = header_len(&good) + PREFIX;
    for chunks in [0, 1, 63, 64, 65, 70] {
        for rest in [0, 5, 16, 60] {
            dir.write("bad", &good[..start + chunks * SEALED_CHUNK + rest]);
            let file = verified(&dir, "bad", 65);
            let what = format!("{chunks} chunks and {rest} bytes: {file}");
            let is_nothing_left = chunks == 0;
            let end = if rest < 16 { "missing" } else { "damaged" };
            assert_eq!(file["end"], *end, "{what}");
            assert_eq!(file["intact_bytes"], json!(chunks * CHUNK), "{what}");
            let lost = rest.saturating_sub(16);
            let ranges = if lost > 0 { vec![range(chunks * CHUNK, lost)] } else { vec![] };
            assert_eq!(file["bad_ranges"], json!(ranges), "{what}");
            let help = file["error"]["help"].as_str().unwrap();
            assert_eq!(help.contains("--salvage"), !is_nothing_left, "{what}");
        }
    }
    for added in [1, 15, 16, 17, 20_000, 2 << 20] {
        dir.write("bad", [&good[..], &vec![0; added]].concat());
        let file = verified(&dir, "bad", 65);
        assert_eq!((&file["end"], &file["trailing_bytes"]), (&json!("followed"), &json!(added)));
        assert_eq!((&file["intact_bytes"], &file["bad_ranges"]), (&json!(len), &json!([])));
    }
    let mut swapped = good.clone();
    let chunk = |number: usize| start + number * SEALED_CHUNK..start + (number + 1) * SEALED_CHUNK;
    swapped[chunk(2)].copy_from_slice(&good[chunk(66)]);
    swapped[chunk(66)].copy_from_slice(&good[chunk(2)]);
    dir.write("bad", &swapped);
    let ranges = json!([range(2 * CHUNK, CHUNK), range(66 * CHUNK, CHUNK)]);
    assert_eq!(verified(&dir, "bad", 65)["bad_ranges"], ranges);
    // If nothing can be decrypted, no damage scan is made.
    for len in [start - 1, 10] {
        dir.write("bad", &good[..len]);
        let file = verified(&dir, "bad", 65);
        assert_eq!((&file["status"], &file["bad_ranges"]), (&json!("damaged"), &Value::Null));
    }
}

#[test]
fn each_of_many_files_is_reported_in_order() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(50_000));
    dir.keygen("other");
    let mut names = Vec::new();
    for number in 0..40 {
        let name = format!("{number}.enc");
        let mut encrypted = encrypted.clone();
        if number % 10 == 3 {
            let place = header_len(&encrypted) + PREFIX + SEALED_CHUNK;
            encrypted[place] ^= 1;
        }
        dir.write(&name, encrypted);
        names.push(name);
    }
    // With larger files among them, and entries that are not files.
    dir.write("large.enc", dir.encrypted(&test_bytes(9 << 20)));
    names.insert(20, "large.enc".into());
    names.insert(30, "missing.enc".into());
    for processes in ["0", "2"] {
        let mut args = vec!["verify", "-i", "id", "--processes", processes];
        args.extend(names.iter().map(String::as_str));
        let said = failing(&dir, dir.command(&args), 65, &["3.enc", "33.enc", "missing.enc"]);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), names.len());
        for (name, line) in names.iter().zip(lines) {
            let number: Option<u32> = name.strip_suffix(".enc").unwrap().parse().ok();
            let how = match (name.as_str(), number) {
                (_, Some(number)) if number % 10 == 3 => "damaged: ",
                ("missing.enc", _) => "not verified: ",
                _ => "intact, ",
            };
            assert!(line.starts_with(&format!("{name}: {how}")), "{line}");
        }
        args.push("--json");
        let done = dir.run(&args);
        let (files, object) = file_events(&done);
        assert_eq!((done.code(), done.stderr_text().as_str()), (Some(65), ""));
        let said: Vec<_> = files.iter().map(|file| file["file"].as_str().unwrap()).collect();
        assert_eq!(said, names);
        let counts = ["intact", "damaged", "failed"].map(|field| object[field].as_u64().unwrap());
        assert_eq!(counts, [37, 4, 1]);
        for field in ["seconds", "workers", "workers_died", "segments_redone", "sandbox"] {
            assert!(!object[field].is_null(), "{field}");
        }
    }
}

#[test]
fn the_exit_status_is_that_of_the_first_failure() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(50_000));
    dir.write("good", &encrypted);
    dir.write("cut", &encrypted[..encrypted.len() - 1]);
    dir.keygen("other");
    dir.run(&["encrypt", "good", "foreign", "-i", "other"]).ok();
    dir.write("text", "just some text");
    fs::create_dir(dir.path("folder")).unwrap();
    for (files, code) in [
        (&["good", "cut", "missing"][..], 65),
        (&["missing", "cut"], 66),
        (&["good", "foreign", "cut"], 77),
        (&["text", "foreign"], 65),
        (&["folder", "cut"], 66),
        (&["good", "good"], 0),
        (&["id", "cut"], 64),
    ] {
        let args = [&["verify", "-i", "id"], files].concat();
        let done = dir.run(&args);
        assert_eq!(done.code(), Some(code), "{files:?}: {done:?}");
        assert_eq!(done.stdout_text().lines().count(), files.len());
    }
    // In a folder, all files with the name of an encrypted file, and nothing else.
    dir.fails(dir.command(&["verify", "folder", "-i", "id"]), 66, &["folder: is a folder", ".enc"]);
    fs::create_dir(dir.path("folder/sub")).unwrap();
    fs::write(dir.path("folder/sub/2.enc"), &encrypted).unwrap();
    fs::write(dir.path("folder/sub/text"), "text").unwrap();
    fs::write(dir.path("folder/1.age"), &encrypted).unwrap();
    let done = dir.run(&["verify", "folder", "good", "-i", "id"]).ok();
    let lines = done.stdout_text();
    let names: Vec<_> = lines.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(names, ["folder/1.age", "folder/sub/2.enc", "good"]);
    fs::write(dir.path("folder/sub/3.enc"), &encrypted[..encrypted.len() - 1]).unwrap();
    assert_eq!(dir.run(&["verify", "folder", "-i", "id"]).code(), Some(65));
    dir.fails(dir.command(&["verify", "-", "-", "-i", "id"]), 64, &["only once"]);
    dir.fails(dir.command(&["verify", "good"]), 64, &["no key was given"]);
    let done = dir.shell("$CS verify good good cut good -i id | true").run();
    assert!(!done.stderr_text().contains("panicked"), "{done:?}");
}

/// A backup script must learn of the last file too. `sha256sum -c | head`, in contrast, dies of
/// SIGPIPE.
#[test]
fn verification_is_complete_even_if_the_reader_stops() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(300_000));
    dir.shell("for i in 1 2 3 4 5 6; do $CS encrypt -i id plain $i.enc; done").run().ok();
    let mut damaged = dir.read("6.enc");
    damaged[100_000] ^= 1;
    dir.write("6.enc", damaged);
    let script = "(sleep 0.2; $CS verify -i id ?.enc; echo $? > status) | true; cat status";
    assert_eq!(dir.shell(script).run().ok().stdout_text(), "65\n");
}

#[test]
fn no_passphrase_is_asked_for_if_there_is_nothing_to_decrypt() {
    let dir = Dir::new();
    // Asking would fail with 64: there is no terminal.
    let run = dir.shell("setsid -w $CS verify missing -p");
    failing(&dir, run, 66, &["missing"]);
}

#[test]
fn a_right_passphrase_decrypts_and_a_wrong_one_is_reported() {
    let dir = Dir::new();
    dir.write("plain", test_bytes(100_000));
    dir.run(&["encrypt", "plain", "p.enc", "--key", "right", CHEAP]).ok();
    let said = dir.run(&["verify", "p.enc", "--key", "right"]).ok_and_silent().stdout_text();
    assert!(said.starts_with("p.enc: intact, "), "{said}");
    let run = dir.command(&["verify", "p.enc", "--key", "wrong"]);
    let said = failing(&dir, run, 77, &["the passphrase is wrong"]);
    assert!(said.starts_with("p.enc: not verified: "), "{said}");
    let mut encrypted = dir.read("p.enc");
    let place = header_len(&encrypted) + PREFIX + 2 * SEALED_CHUNK;
    encrypted[place] ^= 1;
    dir.write("p.enc", encrypted);
    let said = failing(&dir, dir.command(&["verify", "p.enc", "--key", "right"]), 65, &["chunk 2"]);
    assert!(said.contains("bad bytes of the content: 32768-49151"), "{said}");
}

#[test]
fn memory_does_not_grow_with_the_number_of_files() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"content");
    dir.write("one.enc", encrypted);
    const FILES: usize = 10_000;
    for number in 0..FILES {
        let folder = dir.path(format!("all/{}", number / 1000));
        if number % 1000 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::hard_link(dir.path("one.enc"), folder.join(format!("{number}.enc"))).unwrap();
    }
    // Twice the memory that is needed; a list of all these files took more.
    for what in ["verify all -i id --processes 0 --json", "inspect all --json"] {
        let done = dir.shell(&format!("ulimit -v 40000; exec $CS {what}")).run().ok();
        let (files, end) = file_events(&done);
        assert_eq!((files.len(), &end["files"]), (FILES, &json!(FILES)), "{what}");
    }
}
