//! What `inspect` reports about an encrypted file without any key, and how little of it is read.

use std::fs::{self, OpenOptions};

use crate::common::{CHEAP, CHUNK, Dir, PREFIX, SEALED_CHUNK, file_events, header_len, test_bytes};
use serde_json::{Value, json};

/// The report of `inspect --json` about one file.
#[track_caller]
fn inspected(dir: &Dir, name: &str) -> Value {
    let done = dir.run(&["inspect", name, "--json"]).ok_and_silent();
    let (files, end) = file_events(&done);
    assert_eq!((&end["command"], &end["files"]), (&json!("inspect"), &json!(1)));
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(file["file"], name);
    file.clone()
}

#[test]
fn the_sizes_are_those_of_the_encrypted_file() {
    let dir = Dir::new();
    dir.keygen("id");
    let around = |len: usize| [len - 1, len, len + 1];
    let mut lengths = vec![0, 1, 100, (3 << 20) + 77];
    lengths.extend([CHUNK, 1 << 16, 1 << 20, 2 << 20].into_iter().flat_map(around));
    for (format, prefix, chunk) in [("native", 56, CHUNK), ("age", 16, 1 << 16)] {
        for len in &lengths {
            dir.write("plain", test_bytes(*len));
            dir.run(&["encrypt", "-i", "id", "--format", format, "plain", "s", "--force"]).ok();
            let encrypted = dir.read("s");
            let file = inspected(&dir, "s");
            let header = header_len(&encrypted);
            let chunks = match format {
                "native" => len / chunk + 1,
                _ => len.div_ceil(chunk).max(1),
            };
            for (field, expected) in [
                ("format", json!(format)),
                ("header_bytes", json!(header)),
                ("file_bytes", json!(encrypted.len())),
                ("sealed_bytes", json!(encrypted.len())),
                ("payload_bytes", json!(encrypted.len() - header)),
                ("plaintext_bytes", json!(len)),
                ("overhead_bytes", json!(header + prefix + 16 * chunks)),
                ("chunks", json!(chunks)),
                ("length_possible", json!(true)),
                ("authenticated", json!(false)),
                ("armored", json!(false)),
                ("post_quantum", json!(false)),
                ("key_derivation", Value::Null),
                ("recipients", json!([{ "type": "X25519", "count": 1 }])),
            ] {
                assert_eq!(file[field], expected, "{format} {len} {field}");
            }
            let is_padded = format == "native" && *len >= 1 << 20;
            assert_eq!(file["padding_bytes"] != 0, is_padded, "{format} {len}");
            assert!(!is_padded || header == 4096);
        }
    }
}

#[test]
fn recipients_and_key_derivations_are_reported() {
    let dir = Dir::new();
    let (one, other) = (dir.keygen("one"), dir.keygen("other"));
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "two.enc", "-r", &one, "-r", &other]).ok();
    assert_eq!(inspected(&dir, "two.enc")["recipients"], json!([{ "type": "X25519", "count": 2 }]));
    dir.run(&["encrypt", "plain", "p.enc", "--key", "x", CHEAP]).ok();
    let file = inspected(&dir, "p.enc");
    let cost = json!({ "name": "argon2id", "memory_kib": 65536, "passes": 3, "lanes": 4 });
    assert_eq!(file["key_derivation"], cost);
    assert_eq!(file["post_quantum"], true);

    let mac = "A".repeat(43);
    let (body, share) = ("A".repeat(43), "A".repeat(43));
    let x25519 = format!("-> X25519 {share}\n{body}\n");
    let quantum = format!("-> mlkem768x25519 {}\n{body}\n", "A".repeat(1494));
    let scrypt = format!("-> scrypt {} 18\n{body}\n", "A".repeat(22));
    let unknown = "-> somebody-new\n\n";
    let header = |stanzas: &[&str]| {
        format!("age-encryption.org/v1\n{}--- {mac}\n{}", stanzas.concat(), "x".repeat(50))
    };
    for (stanzas, is_quantum, kinds) in [
        (&[quantum.as_str()][..], json!(true), 1),
        (&[&quantum, &quantum], json!(true), 1),
        (&[&quantum, &x25519], json!(false), 2),
        (&[&x25519, &quantum, unknown], json!(false), 3),
        (&[&quantum, "-> x-grease y\n\n"], json!(true), 2),
        (&[&quantum, unknown], Value::Null, 2),
        (&[&scrypt], json!(true), 1),
        (&["-> pad\n\n", &quantum], Value::Null, 2),
    ] {
        dir.write("s.age", header(stanzas));
        let file = inspected(&dir, "s.age");
        assert_eq!(file["post_quantum"], is_quantum, "{stanzas:?}");
        assert_eq!(file["recipients"].as_array().unwrap().len(), kinds, "{stanzas:?}");
    }
    dir.write("s.age", header(&[&scrypt]));
    let cost = json!({ "name": "scrypt", "log_n": 18, "memory_kib": 1 << 18 });
    assert_eq!(inspected(&dir, "s.age")["key_derivation"], cost);
}

#[test]
fn the_text_has_all_of_it_in_aligned_lines() {
    let dir = Dir::new();
    dir.write("plain", test_bytes(3 << 20));
    dir.run(&["encrypt", "plain", "p.enc", "--key", "x", CHEAP]).ok();
    dir.run(&["encrypt", "plain", "q.enc", "--key", "x", CHEAP]).ok();
    let text = dir.run(&["inspect", "p.enc", "q.enc"]).ok_and_silent().stdout_text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("p.enc"));
    let values: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    for line in &values {
        assert!(line.starts_with("  ") && &line[17..18] == " " && &line[18..19] != " ", "{line:?}");
    }
    for words in [
        "native (cryptstream/v1)",
        "1: argon2id",
        "Argon2id, 64 MiB, 3 passes, 4 lanes",
        "4,096 bytes (4.00 KiB), ",
        "3,145,728 bytes (3.00 MiB), from the file size (not authenticated)",
        "193",
    ] {
        assert!(values.iter().any(|line| line.contains(words)), "{words:?} is not in: {text}");
    }
    assert_eq!(lines.next(), Some("q.enc"));
    assert_eq!(dir.run(&["inspect", "p.enc", "-q"]).ok_and_silent().stdout, b"");
}

#[test]
fn only_the_header_of_a_huge_file_is_read() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(2 << 20));
    let header = header_len(&encrypted);
    dir.write("huge.enc", &encrypted);
    // A possible length, more than 1 TiB, which nobody could read in time.
    let chunks = (1u64 << 40).div_ceil(SEALED_CHUNK as u64);
    let len = (header + PREFIX) as u64 + chunks * SEALED_CHUNK as u64 + 16;
    OpenOptions::new().write(true).open(dir.path("huge.enc")).unwrap().set_len(len).unwrap();
    let file = inspected(&dir, "huge.enc");
    assert_eq!(file["plaintext_bytes"], json!(chunks * CHUNK as u64));
    assert_eq!(file["sealed_bytes"], json!(len));
    // It makes only a few reads of a few KiB.
    let traced = dir.shell("strace -e trace=pread64,read -o trace $CS inspect huge.enc").run();
    if traced.status.success() {
        let trace = fs::read_to_string(dir.path("trace")).unwrap();
        let of_file = trace.lines().filter(|line| line.starts_with("pread64"));
        let given = of_file.filter_map(|line| line.rsplit_once("= ")?.1.trim().parse::<u64>().ok());
        let given: u64 = given.sum();
        assert!(given >= header as u64 && given <= 64 << 10, "{given} bytes read: {trace}");
    } else {
        eprintln!("skipped: counting the reads needs the program `strace`");
    }
}

#[test]
fn only_the_header_is_read_from_a_pipe() {
    let dir = Dir::new();
    dir.write("a.enc", dir.encrypted(&test_bytes(100_000)));
    for script in ["cat a.enc | $CS inspect -", "cat a.enc | $CS inspect", "$CS inspect < a.enc"] {
        let done = dir.shell(script).run().ok_and_silent();
        assert!(done.stdout_text().contains("X25519"), "{done:?}");
        assert!(done.stdout_text().contains("only the header is read"), "{done:?}");
        let done = dir.shell(&format!("{script} --json")).run().ok_and_silent();
        let file = &file_events(&done).0[0];
        assert_eq!((&file["file"], &file["format"]), (&json!("-"), &json!("native")));
        for field in ["file_bytes", "sealed_bytes", "plaintext_bytes", "length_possible"] {
            assert_eq!(file[field], Value::Null, "{field}");
        }
    }
    // The pipe stays open after the header; inspect does not wait for its end.
    dir.shell("mkfifo pipe; exec 3<> pipe; cat a.enc > pipe & $CS inspect pipe > said; kill $!")
        .run();
    assert!(String::from_utf8(dir.read("said")).unwrap().contains("X25519"));
}

#[test]
fn a_file_that_is_not_encrypted_is_refused_as_by_decrypt() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(100_000));
    for (content, code, words) in [
        (&b"just some text"[..], 65, &["neither a CryptStream nor an age file", "plain text"][..]),
        (b"", 65, &["it is empty"]),
        (b"cryptstream/v1\n-> X25519 abc\nnonsense!\n", 65, &["the header is damaged", "byte 29"]),
        (&encrypted[..40], 65, &["ends after 40 bytes"]),
    ] {
        dir.write("bad.enc", content);
        let done = dir.fails(dir.command(&["inspect", "bad.enc"]), code, words);
        assert_eq!(done.stdout, b"");
        assert!(!done.stderr_text().contains("output"), "nothing was to be written: {done:?}");
        let done = dir.run(&["inspect", "bad.enc", "--json"]);
        assert_eq!((done.code(), done.stderr_text().as_str()), (Some(code), ""));
        let file = &file_events(&done).0[0];
        assert_eq!((&file["error"]["code"], &file["format"]), (&json!(code), &Value::Null));
    }
    dir.fails(dir.command(&["inspect", "missing"]), 66, &["missing", "cannot be opened"]);
    fs::create_dir(dir.path("folder")).unwrap();
    dir.fails(dir.command(&["inspect", "folder"]), 66, &["is a folder"]);
    dir.fails(dir.command(&["inspect", "-", "-"]), 64, &["only once"]);
}

#[test]
fn a_file_of_impossible_length_is_still_reported() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(100_000));
    for len in [header_len(&encrypted) + 5, header_len(&encrypted) + PREFIX + SEALED_CHUNK + 3] {
        dir.write("bad.enc", &encrypted[..len]);
        let done = dir.fails(dir.command(&["inspect", "bad.enc"]), 65, &["bad.enc", "bytes"]);
        for words in ["X25519", "no encrypted file has this size"] {
            assert!(done.stdout_text().contains(words), "{}", done.stdout_text());
        }
        let done = dir.run(&["inspect", "bad.enc", "--json"]);
        let file = &file_events(&done).0[0];
        assert_eq!(done.code(), Some(65));
        assert_eq!(file["length_possible"], false);
        assert_eq!(file["plaintext_bytes"], Value::Null);
        assert_eq!(file["sealed_bytes"], json!(len));
        assert_eq!(file["error"]["kind"], "damaged");
    }
}

#[test]
fn each_of_several_files_is_reported() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"content");
    dir.write("good", &encrypted);
    dir.write("cut", &encrypted[..30]);
    let args = ["inspect", "good", "missing", "cut", "good"];
    let done = dir.fails(dir.command(&args), 66, &["missing: ", "cut: "]);
    assert_eq!(done.stdout_text().matches("X25519").count(), 2);
    let done = dir.run(&["inspect", "cut", "missing", "good", "--json"]);
    assert_eq!(done.code(), Some(65));
    let (files, end) = file_events(&done);
    let codes: Vec<_> = files.iter().map(|file| &file["error"]["code"]).collect();
    assert_eq!(codes, [&json!(65), &json!(66), &Value::Null]);
    assert_eq!((&end["files"], &end["failed"]), (&json!(3), &json!(2)));
}
