//! Files in the age format: the program and age decrypt what either encrypts, in every way.

use crate::common::age_matrix::Matrix;
use crate::common::{Dir, test_bytes};

/// Lengths around age's chunks, around a unit of work, and of several units for workers.
const LENGTHS: [usize; 16] = [
    0,
    1,
    65_535,
    65_536,
    65_537,
    131_072,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    (1 << 20) + 65_536,
    (2 << 20) - 65_536,
    2 << 20,
    (8 << 20) - 1,
    8 << 20,
    (8 << 20) + 1,
    (20 << 20) + 12_345,
];

const MATRIX: Matrix<5, 5> = Matrix {
    lengths: &LENGTHS,
    encrypting: [
        "$CS encrypt -r $R plain encrypted.age --force --processes 0",
        "$CS encrypt -r $R plain encrypted.age --force --processes 2",
        "cat plain | $CS encrypt --format age -i id > encrypted.age",
        "cat plain | $CS encrypt --format age -i id --processes 2 | cat > encrypted.age",
        "$CS encrypt -r $R - encrypted.age --force --processes 3 < plain",
    ],
    decrypting: [
        "$CS decrypt -i id encrypted.age decrypted --processes 0",
        "$CS decrypt -i id encrypted.age decrypted --processes 2",
        "cat encrypted.age | $CS decrypt -i id > decrypted",
        "cat encrypted.age | $CS decrypt -i id --processes 2 | cat > decrypted",
        "$CS decrypt -i id - decrypted --processes 3 < encrypted.age",
    ],
    flags_of_age: "",
    check: |encrypted| assert!(encrypted.starts_with(b"age-encryption.org/v1\n-> X25519 ")),
};

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

#[test]
fn damage_anywhere_is_found() {
    let dir = Dir::new();
    dir.keygen("id");
    for len in [0, 100, 65_536, 131_073, 9 << 20] {
        dir.write("plain", test_bytes(len));
        dir.run(&["encrypt", "-i", "id", "plain", "good.age", "--force"]).ok();
        let good = dir.read("good.age");
        let header = good.windows(4).position(|bytes| bytes == b"--- ").unwrap() + 4 + 43 + 1;
        let places = [22, header - 2, header, header + 15, header + 16, good.len() - 1];
        let middle = (header + 16..good.len()).step_by(good.len() / 3 + 1);
        for place in places.into_iter().chain(middle) {
            let mut bad = good.clone();
            bad[place] ^= 1;
            dir.write("encrypted.age", bad);
            MATRIX.assert_refuses(&dir, &format!("{len}: bit of byte {place}"));
        }
        for cut in [1, 16, 17, 65_552, 65_553, 1 << 20] {
            let Some(kept) = good.len().checked_sub(cut) else { continue };
            dir.write("encrypted.age", &good[..kept]);
            MATRIX.assert_refuses(&dir, &format!("{len}: cut by {cut}"));
        }
        for added in [&b"x"[..], &[0; 16], &good[header + 16..]] {
            dir.write("encrypted.age", [&good, added].concat());
            MATRIX.assert_refuses(&dir, &format!("{len}: {} added", added.len()));
        }
    }
}

#[test]
fn a_flag_or_the_output_name_selects_the_format() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "text");
    for (args, name, is_age) in [
        (&["plain"][..], "plain.enc", false),
        (&["plain", "--format", "age"], "plain.age", true),
        (&["plain", "x.age"], "x.age", true),
        (&["plain", "y.age", "--format", "native"], "y.age", false),
        (&["plain", "z", "--format", "age"], "z", true),
    ] {
        let json = |done: crate::common::Done| done.json(&done.stdout)["format"].clone();
        let format = if is_age { "age" } else { "native" };
        let done = dir.run(&[&["encrypt", "-i", "id", "--json"], args].concat()).ok();
        assert_eq!(json(done), format);
        assert_eq!(dir.read(name).starts_with(b"age-encryption.org/v1\n"), is_age, "{name}");
        let done = dir.run(&["decrypt", "-i", "id", name, "decrypted", "--force", "--json"]).ok();
        assert_eq!(json(done), format);
        assert_eq!(dir.read("decrypted"), b"text");
    }
}

#[test]
fn another_key_does_not_fit() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.keygen("other");
    dir.write("plain", "text");
    dir.run(&["encrypt", "-i", "id", "plain", "encrypted.age"]).ok();
    let run = dir.command(&["decrypt", "-i", "other", "encrypted.age", "decrypted"]);
    dir.fails(run, 77, &["no key fits", "X25519"]);
    let run = dir.command(&["decrypt", "encrypted.age", "decrypted", "--key", "x"]);
    dir.fails(run, 77, &["no key fits"]);
}

#[test]
fn a_native_file_with_the_name_of_an_age_file_is_pointed_out() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    let encrypt = |more: &[&str]| {
        dir.run(&[&["encrypt", "-i", "id", "plain", "--force"], more].concat()).ok().stderr_text()
    };
    let text = encrypt(&["x.age", "--format", "native"]);
    assert!(text.contains("x.age: is written in the native format, which age cannot"), "{text}");
    for quiet in [&["x.age"][..], &["x.age", "--format", "age"], &["x.enc", "--format", "native"]] {
        assert_eq!(encrypt(quiet), "");
    }
}
