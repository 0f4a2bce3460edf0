//! Armored files: this program and age decrypt what either encrypts, and modified text is refused.

use crate::common::age_matrix::Matrix;
use crate::common::{Dir, test_bytes};

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Lengths around a line, around a chunk, around a unit of work, and for workers.
const LENGTHS: [usize; 12] =
    [0, 1, 47, 48, 49, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9 << 20];

const MATRIX: Matrix<6, 6> = Matrix {
    lengths: &LENGTHS,
    encrypting: [
        "$CS encrypt --armor -r $R plain encrypted.age --force --processes 0",
        "$CS encrypt -a -r $R plain encrypted.age --force --processes 2",
        "cat plain | $CS encrypt -a -r $R > encrypted.age",
        "cat plain | $CS encrypt -a -r $R --processes 2 | cat > encrypted.age",
        "$CS encrypt -a -r $R plain - --processes 2 | cat > encrypted.age",
        "cat plain | $CS encrypt -a -r $R - encrypted.age --force --processes 2",
    ],
    decrypting: [
        "$CS decrypt -i id encrypted.age decrypted --processes 0",
        "$CS decrypt -i id encrypted.age decrypted --processes 2",
        "cat encrypted.age | $CS decrypt -i id > decrypted",
        "cat encrypted.age | $CS decrypt -i id --processes 2 | cat > decrypted",
        "$CS decrypt -i id - decrypted --processes 2 < encrypted.age",
        "cat encrypted.age | $CS decrypt -i id --processes 2 - decrypted",
    ],
    flags_of_age: "-a",
    check: assert_armor,
};

/// Asserts that `text` is a valid armor around an age file.
#[track_caller]
fn assert_armor(text: &[u8]) {
    let text = std::str::from_utf8(text).unwrap();
    let lines: Vec<_> = text.strip_suffix('\n').unwrap().split('\n').collect();
    assert_eq!((lines[0], lines[lines.len() - 1]), (BEGIN, END));
    let (last, full) = lines[1..lines.len() - 1].split_last().unwrap();
    assert!(full.iter().all(|line| line.len() == 64));
    assert!((1..=64).contains(&last.len()), "{last}");
    // "age-encryption.org/v1\n-> "
    assert!(lines[1].starts_with("YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+"));
}

#[test]
fn encrypted_files_are_decrypted_in_every_way() {
    MATRIX.reads_what_it_writes();
}

#[test]
fn age_decrypts_encrypted_files() {
    MATRIX.age_reads_what_it_writes();
}

#[test]
fn files_encrypted_by_age_are_decrypted() {
    MATRIX.reads_what_age_writes();
}

/// Encrypts `len` bytes, which it writes to `plain`, and returns the text.
fn encrypted(dir: &Dir, len: usize) -> Vec<u8> {
    if !dir.path("id").exists() {
        dir.keygen("id");
    }
    dir.write("plain", test_bytes(len));
    dir.run(&["encrypt", "-a", "-i", "id", "plain", "encrypted.age", "--force"]).ok();
    dir.read("encrypted.age")
}

#[test]
fn damage_is_refused_with_its_position() {
    let dir = Dir::new();
    for len in [0, 100, 65_536, 9 << 20] {
        let good = encrypted(&dir, len);
        let says = |bad: Vec<u8>, what: &str, words: &[&str]| {
            dir.write("encrypted.age", bad);
            let text = MATRIX.assert_refuses(&dir, &format!("{len}: {what}")).stderr_text();
            for word in words {
                assert!(text.contains(word), "{len}: {what}: {word:?} is not in: {text}");
            }
        };
        // A character at the beginning, in the middle, and in the last line.
        for place in [36, good.len() / 2, good.len() - 40] {
            let place = if good[place] == b'\n' { place + 1 } else { place };
            let mut bad = good.clone();
            bad[place] = b'*';
            says(bad, "a character", &["the armor is damaged", &format!("at byte {place}")]);
        }
        // Another base64 character, so that the content of the armor is invalid.
        let mut bad = good.clone();
        let place = good.len() / 2 + usize::from(good[good.len() / 2] == b'\n');
        bad[place] = if bad[place] == b'A' { b'B' } else { b'A' };
        says(bad, "a bit", &["encrypted.age"]);

        says(good[..good.len() / 2].to_vec(), "cut", &["the armor is damaged", "ends without"]);
        says(good[..good.len() - 33].to_vec(), "no last line", &["ends without"]);
        says([&good[..], b"text\n"].concat(), "added", &["there is text after"]);
        says([&good[..], b"\n", &good].concat(), "twice", &["there is text after"]);
        let line = good[35..].iter().position(|byte| *byte == b'\n').unwrap() + 36;
        says([&good[..line], b"\n", &good[line..]].concat(), "blank", &["an empty line"]);
        says([&good[..35], b"A: b\n\n", &good[35..]].concat(), "PEM header", &["at byte 36"]);
    }
}

#[test]
fn line_ends_and_white_space_outside_are_free() {
    let dir = Dir::new();
    for len in [100, 200_000, 9 << 20] {
        let text = String::from_utf8(encrypted(&dir, len)).unwrap();
        for text in [
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!(" \r\n\t\n\n{text}\n \t\r\n"),
        ] {
            dir.write("encrypted.age", text);
            MATRIX.assert_opens(&dir, len);
        }
    }
}

#[test]
fn text_that_comes_slowly_is_taken_as_it_comes() {
    let dir = Dir::new();
    let text = encrypted(&dir, 9 << 20);
    // Splits within lines, at line ends, and within the last line.
    let (a, b, c) = (10_000, 35 + 65 * 100_000, text.len() - 20);
    dir.write("a", &text[..a]);
    dir.write("b", &text[a..b]);
    dir.write("c", &text[b..c]);
    dir.write("d", &text[c..]);
    for processes in [0, 2] {
        let script = format!(
            "(for part in a b c d; do cat $part; sleep 0.1; done) | \
             $CS decrypt -i id --processes {processes} - decrypted --force"
        );
        dir.shell(&script).run().ok();
        assert!(dir.read("decrypted") == test_bytes(9 << 20));
    }
}

#[test]
fn an_armored_file_is_encrypted_as_it_is() {
    let dir = Dir::new();
    for len in [100, 9 << 20] {
        let text = encrypted(&dir, len);
        for flags in ["", "--format age", "--armor"] {
            for input in ["encrypted.age", "- < encrypted.age"] {
                let script = format!(
                    "(cat encrypted.age | $CS encrypt {flags} -i id - one && \
                     $CS encrypt {flags} -i id {input} > two) && \
                     $CS decrypt -i id one one.decrypted && $CS decrypt -i id - two.decrypted < two"
                );
                let script = script.replace("encrypted.age > two", "encrypted.age - > two");
                dir.shell(&script).run().ok();
                assert!(dir.read("one.decrypted") == text, "{len}: {flags}");
                assert!(dir.read("two.decrypted") == text, "{len}: {flags}");
                dir.shell("rm one one.decrypted two two.decrypted").run().ok();
            }
        }
    }
}

#[test]
fn armor_means_age() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "text");
    let run = dir.command(&["encrypt", "-i", "id", "plain", "-a", "--format", "native"]);
    dir.fails(run, 64, &["--armor", "--format native"]);
    dir.run(&["encrypt", "-i", "id", "plain", "-a"]).ok_and_silent();
    assert_armor(&dir.read("plain.age"));
    dir.run(&["encrypt", "-i", "id", "plain", "-a", "named.enc", "--format", "age"]).ok();
    assert_armor(&dir.read("named.enc"));
    let run = dir.command(&["encrypt", "-i", "id", "plain", "-a"]);
    dir.fails(run, 73, &["plain.age", "already exists"]);
}

#[test]
fn reports_say_whether_it_was_armored() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(1000));
    for (flag, is_armored) in [("--armor", true), ("--format=age", false)] {
        let seal = ["encrypt", "-i", "id", "plain", "x.age", flag, "--force"];
        let open = ["decrypt", "-i", "id", "x.age", "decrypted", "--force"];
        let json = |args: &[&str]| {
            let done = dir.run(&[args, &["--json"]].concat()).ok();
            done.json(&done.stdout)
        };
        let (encrypted, decrypted) = (json(&seal), json(&open));
        let len = dir.read("x.age").len();
        for (report, text, plain) in
            [(encrypted, "bytes_out", "bytes_in"), (decrypted, "bytes_in", "bytes_out")]
        {
            assert_eq!(report["armored"], is_armored);
            assert_eq!(report["format"], "age");
            assert_eq!(report[text], len, "{flag}: {text}");
            assert_eq!(report[plain], 1000, "{flag}: {plain}");
        }
        for args in [&seal[..], &open] {
            let done = dir.run(&[args, &["-v"]].concat()).ok();
            assert_eq!(done.stderr_text().contains("armored"), is_armored, "{done:?}");
        }
    }
}

#[test]
fn workers_encrypt_and_decrypt_armored_files() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(20 << 20));
    let processes = |args: &[&str]| {
        let done = dir.run(&[args, &["-i", "id", "--json", "--processes", "2"]].concat()).ok();
        done.json(&done.stdout)["workers"].as_u64().unwrap()
    };
    assert!(processes(&["encrypt", "-a", "plain", "encrypted.age"]) > 0);
    assert!(processes(&["decrypt", "encrypted.age", "decrypted"]) > 0);
    assert!(dir.read("decrypted") == test_bytes(20 << 20));
}

#[test]
fn the_content_of_the_armor_must_be_encrypted() {
    let dir = Dir::new();
    dir.keygen("id");
    let armor = |line: &str| format!("{BEGIN}\n{line}{END}\n");
    for (text, words) in [
        (armor("anVzdCBzb21lIHRleHQ=\n"), &["in the armor is neither", "plain text"][..]),
        (armor(""), &["in the armor is neither", "empty"]),
        (
            armor("YWdlLWVuY3J5cHRpb24ub3JnL3YxCg==\n"),
            &["what is in the armor ends after 22 bytes"],
        ),
        (armor("YWdlLWVuY3J5cHRpb24ub3JnL3YxCmZvbwo=\n"), &["in the armor, the header is damaged"]),
        (format!("{BEGIN} \n"), &["the first line is not"]),
        (format!("{BEGIN}\n"), &["ends without"]),
    ] {
        dir.write("encrypted.age", text);
        let run = dir.command(&["decrypt", "-i", "id", "encrypted.age"]);
        dir.fails(run, 65, &[&["encrypted.age"], words].concat());
    }
}

#[test]
fn a_source_is_removed_after_its_armored_output_is_complete() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(100_000));
    dir.run(&["encrypt", "-a", "-i", "id", "plain", "--remove-source"]).ok();
    assert!(!dir.path("plain").exists());
    dir.run(&["decrypt", "-i", "id", "plain.age", "--remove-source"]).ok();
    assert!(!dir.path("plain.age").exists());
    assert!(dir.read("plain") == test_bytes(100_000));
}
