//! Damaged, foreign and hostile input: the exit status and the message, and neither an output nor a
//! temporary file.

use crate::common::{CHEAP, CHUNK, Dir, PREFIX, Run, SEALED_CHUNK, header_len, test_bytes};

/// A folder with an encrypted file of a few chunks, and its bytes.
fn encrypted_file(chunks: usize, rest: usize) -> (Dir, Vec<u8>) {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(chunks * CHUNK + rest));
    (dir, encrypted)
}

/// Tries to decrypt `bytes` as a file and from a pipe; both must fail in the same way.
#[track_caller]
fn refused(dir: &Dir, bytes: &[u8], code: i32, words: &[&str]) {
    dir.write("bad.enc", bytes);
    dir.fails(dir.command(&["decrypt", "bad.enc", "-i", "id"]), code, words);
    let piped = dir.command(&["decrypt", "-", "out", "-i", "id"]).input(bytes);
    dir.fails(piped, code, &words[..words.len().min(1)]);
}

#[test]
fn a_wrong_key_is_distinguished_from_damage() {
    let dir = Dir::new();
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "p.enc", "--key", "right", CHEAP]).ok();
    dir.fails(
        dir.command(&["decrypt", "p.enc", "--key", "wrong"]),
        77,
        &["p.enc", "passphrase is wrong"],
    );
    dir.fails(dir.command(&["decrypt", "p.enc", "--key", "right\n"]), 77, &["passphrase is wrong"]);
    dir.keygen("id");
    dir.fails(dir.command(&["decrypt", "p.enc", "-i", "id"]), 77, &["with a passphrase", "-p"]);
    dir.run(&["encrypt", "plain", "i.enc", "-i", "id"]).ok();
    dir.keygen("other");
    dir.fails(
        dir.command(&["decrypt", "i.enc", "-i", "other"]),
        77,
        &["1 recipient", "X25519", "-i"],
    );
    dir.fails(dir.command(&["decrypt", "i.enc", "--key", "right"]), 77, &["1 recipient", "X25519"]);
}

#[test]
fn a_foreign_file_is_described_by_its_type() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut tar = vec![b'a'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    for (content, words) in [
        (&b"age-encryption.org/v2\n-> X25519 abc\n"[..], &["an age file of another version"][..]),
        (b"-----BEGIN CERTIFICATE-----\n", &["PEM"]),
        (b"-----BEGIN PGP MESSAGE-----\n\n", &["PGP", "gpg -d"]),
        (b"\x8c\x0d\x04\x09\x03\x08", &["PGP"]),
        (b"Salted__abcdefgh", &["openssl enc"]),
        (b"PK\x03\x04\x14\x00", &["zip"]),
        (b"\x1f\x8b\x08\x00", &["gzip"]),
        (&tar, &["tar archive"]),
        (b"", &["it is empty", "written to its end"]),
        (b"just some text", &["plain text"]),
        (b"\x00\xff\x00\xff", &["its type is unknown"]),
        (b"cryptstream/v2\n-> X25519", &["another version"]),
        (b"cryptstream/v1\r\n-> X25519", &["another version, or a damaged one"]),
    ] {
        refused(&dir, content, 65, &[&["neither a CryptStream nor an age file"], words].concat());
    }
}

#[test]
fn every_cut_through_the_header_is_refused() {
    let (dir, encrypted) = encrypted_file(0, 5);
    for len in 0..header_len(&encrypted) + PREFIX + 16 {
        dir.write("bad.enc", &encrypted[..len]);
        dir.fails(dir.command(&["decrypt", "bad.enc", "-i", "id"]), 65, &["bad.enc"]);
    }
    // A content that is one byte shorter is different, not a prefix.
    refused(&dir, &encrypted[..encrypted.len() - 1], 65, &["chunk 0"]);
}

#[test]
fn every_cut_at_a_chunks_edge_is_refused() {
    for (chunks, rest) in [(3, 100), (2, 0), (65, 7), (128, 0)] {
        let (dir, encrypted) = encrypted_file(chunks, rest);
        let start = header_len(&encrypted) + PREFIX;
        for chunk in (0..=chunks).filter(|chunk| *chunk < 4 || *chunk > chunks - 3 || *chunk == 64)
        {
            for len in [-1i64, 0, 1, 15, 16, 17] {
                let len = (start + chunk * SEALED_CHUNK) as i64 + len;
                let len = usize::try_from(len).unwrap();
                if len < encrypted.len() {
                    refused(&dir, &encrypted[..len], 65, &["bad.enc"][..0]);
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let (dir, encrypted) = encrypted_file(2, 40);
    let header = header_len(&encrypted);
    let payload = [
        (0, "first 56 bytes"),
        (23, "first 56 bytes"),
        (24, "first 56 bytes"),
        (55, "first 56 bytes"),
        (PREFIX, "chunk 0"),
        (PREFIX + CHUNK, "chunk 0"),
        (PREFIX + SEALED_CHUNK - 1, "chunk 0"),
        (PREFIX + SEALED_CHUNK, "chunk 1"),
        (PREFIX + 2 * SEALED_CHUNK, "chunk 2"),
        (encrypted.len() - header - 1, "chunk 2"),
    ];
    for (offset, words) in payload {
        let mut bad = encrypted.clone();
        bad[header + offset] ^= 1;
        refused(&dir, &bad, 65, &[words]);
    }
    for offset in 0..header {
        let mut bad = encrypted.clone();
        bad[offset] ^= 1 << (offset % 7);
        dir.write("bad.enc", &bad);
        // If the wrapped key itself is damaged, no key fits any more.
        let done = dir.run(&["decrypt", "bad.enc", "-i", "id"]);
        assert!(matches!(done.code(), Some(65 | 77)), "byte {offset}: {done:?}");
        assert_eq!(dir.snapshot().len(), 2, "byte {offset} left something");
    }
}

#[test]
fn the_position_of_damage_is_reported() {
    let (dir, mut encrypted) = encrypted_file(70, 0);
    let offset = header_len(&encrypted) + PREFIX + 66 * SEALED_CHUNK;
    encrypted[offset + 5] ^= 0x80;
    refused(&dir, &encrypted, 65, &["chunk 66", &format!("byte {offset}")]);
}

#[test]
fn chunks_are_neither_moved_nor_repeated_nor_lost_nor_added() {
    let (dir, encrypted) = encrypted_file(4, 100);
    let start = header_len(&encrypted) + PREFIX;
    let (front, payload) = encrypted.split_at(start);
    let chunks: Vec<_> = payload.chunks(SEALED_CHUNK).collect();
    let file = |order: &[usize]| {
        let chosen: Vec<u8> = order.iter().flat_map(|index| chunks[*index]).copied().collect();
        [front, &chosen].concat()
    };
    assert!(file(&[0, 1, 2, 3, 4]) == encrypted);
    for order in [
        &[1, 0, 2, 3, 4][..],
        &[0, 1, 3, 2, 4],
        &[0, 0, 1, 2, 3, 4],
        &[0, 1, 2, 3, 3, 4],
        &[0, 1, 2, 4],
        &[1, 2, 3, 4],
        &[0, 1, 2, 3],
        &[4],
        &[],
    ] {
        refused(&dir, &file(order), 65, &["bad.enc"][..0]);
    }
    for appended in [&b"x"[..], &[0; 16], &[0; SEALED_CHUNK], payload, &encrypted] {
        refused(&dir, &[&encrypted, appended].concat(), 65, &["bad.enc"][..0]);
    }
}

#[test]
fn a_header_opens_only_its_own_payload() {
    let dir = Dir::new();
    let (one, other) = (dir.encrypted(b"one"), dir.encrypted(b"two"));
    let mixed = [&one[..header_len(&one)], &other[header_len(&other)..]].concat();
    refused(&dir, &mixed, 65, &["does not belong to this header"]);
}

/// A header with `stanzas`, followed by some payload.
fn header(stanzas: &str) -> Vec<u8> {
    let mac = "A".repeat(43);
    [format!("cryptstream/v1\n{stanzas}--- {mac}\n").as_bytes(), &[0; 100]].concat()
}

#[test]
fn hostile_key_derivation_costs_are_refused_before_allocating() {
    let dir = Dir::new();
    let salt = "A".repeat(22);
    let body = "A".repeat(43);
    for cost in [
        "4294967295 3 4",
        "2097153 3 4",
        "2097152 5 4",
        "65536 17 4",
        "65536 3 17",
        "65536 4294967295 4",
    ] {
        dir.write("bad.enc", header(&format!("-> argon2id {salt} {cost} {salt}\n{body}\n")));
        let script = "ulimit -v 200000; exec $CS decrypt bad.enc out --key x";
        let done = dir.fails(dir.shell(script), 65, &["key derivation", "--argon2id-limit"]);
        // Advice that is understood.
        if let Some((_, limit)) = done.stderr_text().split_once("--argon2id-limit 4294967295") {
            let limit = format!("--argon2id-limit 4294967295{limit}");
            dir.fails(dir.shell(&format!("{script} {limit}")), 75, &["the key derivation needs"]);
        }
    }
    // No passphrase fits a stanza of the other format.
    dir.write("bad.enc", header(&format!("-> scrypt {salt} 16\n{body}\n")));
    dir.fails(dir.command(&["decrypt", "bad.enc", "--key", "x"]), 77, &["no key fits", "(scrypt)"]);
    for cost in [
        "0 3 4",
        "65536 0 4",
        "65536 3 0",
        "065536 3 4",
        "65536 +3 4",
        "99999999999 3 4",
        "65536 3",
        "1 3 4",
    ] {
        dir.write("bad.enc", header(&format!("-> argon2id {salt} {cost} {salt}\n{body}\n")));
        dir.fails(
            dir.command(&["decrypt", "bad.enc", "--key", "x"]),
            65,
            &["argon2id", "malformed"],
        );
    }
}

#[test]
fn a_raised_limit_accepts_a_costly_file() {
    let dir = Dir::new();
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "--key", "x", "--argon2id", "64MiB,17,4"]).ok();
    let refused = dir.command(&["decrypt", "plain.enc", "out", "--key", "x"]);
    dir.fails(refused, 65, &["17 passes", "--argon2id-limit"]);
    let args = ["decrypt", "plain.enc", "-", "--key", "x", "--argon2id-limit", "2GiB,20"];
    assert_eq!(dir.run(&args).ok().stdout, b"content");
}

#[test]
fn malformed_headers_are_refused() {
    let dir = Dir::new();
    dir.keygen("id");
    let body = format!("{}\n", "A".repeat(43));
    let share = "A".repeat(43);
    let salt = "A".repeat(22);
    let x25519 = format!("-> X25519 {share}\n{body}");
    let argon2id = format!("-> argon2id {salt} 65536 3 4 {salt}\n{body}");
    for (stanzas, words) in [
        (String::new(), "no stanza"),
        (format!("-> X25519 {share}\r\n{body}"), "first line"),
        (format!("-> X25519 {share}\n{}\r\n", "A".repeat(43)), "base64"),
        (format!("-> X25519 {}B\n{body}", "A".repeat(42)), "malformed"),
        (format!("-> X25519 {share}=\n{body}"), "malformed"),
        (format!("-> X25519 {share}\n{}B\n", "A".repeat(42)), "base64"),
        (format!("-> X25519 {share}\n{}\n", "A".repeat(42)), "malformed"),
        (format!("-> X25519 {share} more\n{body}"), "malformed"),
        (format!("-> X25519  {share}\n{body}"), "first line"),
        (format!("->X25519 {share}\n{body}"), "neither"),
        (format!("-> X25519 {share}\n{}\n{body}", "A".repeat(65)), "base64"),
        (format!("-> unknown\n{}\n--- ", "A".repeat(64)), "base64"),
        (format!("{argon2id}{argon2id}"), "the only recipient"),
        (format!("{argon2id}{x25519}"), "the only recipient"),
        (format!("{x25519}{argon2id}"), "the only recipient"),
        (format!("{argon2id}-> unknown\n\n"), "the only recipient"),
        (format!("{x25519}-> pad\n\n-> pad\n\n"), "pad"),
        (format!("{x25519}-> pad 12345\n\n"), "pad"),
        (x25519.repeat(2000), "more than 1024 stanzas"),
        (format!("-> x\n{}\n", "A".repeat(64)).repeat(1), "base64"),
        (format!("-> x {}\n\n", "y".repeat(2 << 20)), "longer than 1 MiB"),
        (
            format!("-> x\n{}\n", format!("{}\n", "A".repeat(64)).repeat(33_000)),
            "longer than 1 MiB",
        ),
    ] {
        refused(&dir, &header(&stanzas), 65, &[words, "header is damaged"]);
    }
    // Well-formed, but for an unknown key: no key fits.
    refused(&dir, &header(&format!("-> grease\n\n-> X\n{body}-> pad 1\n\n")), 77, &["no key fits"]);
}

#[test]
fn an_endless_header_is_refused() {
    let dir = Dir::new();
    dir.keygen("id");
    let script =
        "(printf 'cryptstream/v1\\n-> x '; tr '\\0' A < /dev/zero) | $CS decrypt - out -i id";
    dir.fails(dir.shell(script), 65, &["longer than 1 MiB"]);
    dir.fails(dir.shell("$CS decrypt /dev/zero out -i id"), 65, &["all zeros"]);
}

#[test]
fn plaintext_leaves_through_a_pipe_only_when_it_is_verified() {
    let dir = Dir::new();
    let content = test_bytes((2 << 20) + 100);
    let mut encrypted = dir.encrypted(&content);
    let second_segment = header_len(&encrypted) + PREFIX + 64 * SEALED_CHUNK;
    encrypted[second_segment + 3] ^= 1;
    let done: Run = dir.command(&["decrypt", "-", "-", "-i", "id"]).input(&encrypted);
    let done = done.run();
    assert_eq!(done.code(), Some(65));
    assert!(done.stderr_text().contains("chunk 64"), "{done:?}");
    assert!(done.stdout == content[..1 << 20], "what was verified, and nothing else");
}
