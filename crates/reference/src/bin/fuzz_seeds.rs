//! Writes the inputs that the fuzzers start from, made from `vectors/`:
//! `cargo run -p cryptstream-reference --bin fuzz_seeds -- fuzz/corpus`.

#[path = "../../../../fuzz/src/keys.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets' own file")]
mod keys;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use cryptstream_reference::{VERSION, encrypt, x25519_public_key, x25519_stanza};
use keys::{FILE_KEY, SECRET};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer ones only slow the fuzzer down.
const MAX_LEN: usize = 40_000;

fn main() -> Outcome<()> {
    let corpus = PathBuf::from(std::env::args().nth(1).ok_or("say into which directory")?);
    let headers = headers()?;
    let lengths = plaintext_lengths()?;
    write(&corpus, "header", headers.clone())?;
    write(&corpus, "open", open_seeds(&headers, &lengths))?;
    write(&corpus, "round_trip", round_trip_seeds(&lengths))
}

/// The headers of all vectors, good and hostile, that are stored in full.
fn headers() -> Outcome<Vec<Vec<u8>>> {
    let mut headers = Vec::new();
    for (file, list) in [
        ("passphrase.json", "vectors"),
        ("x25519.json", "vectors"),
        ("hostile.json", "refused"),
        ("hostile.json", "accepted"),
    ] {
        for case in cases(file, list)? {
            if case.get("repeat").is_none() {
                let header = case["header"].as_str().ok_or("a header is text")?;
                headers.push(header.as_bytes().to_vec());
            }
        }
    }
    Ok(headers)
}

fn plaintext_lengths() -> Outcome<Vec<usize>> {
    let lengths = cases("x25519.json", "vectors")?
        .iter()
        .map(|case| case["plaintext_len"].as_u64().ok_or("a length is a number"))
        .collect::<Result<Vec<u64>, _>>()?;
    Ok(lengths.into_iter().map(|len| len as usize).filter(|len| *len <= MAX_LEN).collect())
}

fn cases(file: &str, list: &str) -> Outcome<Vec<Value>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    let mut value: Value = serde_json::from_slice(&fs::read(vectors.join(file))?)?;
    match value[list].take() {
        Value::Array(cases) => Ok(cases),
        _ => Err(format!("{file} has no list {list}").into()),
    }
}

fn open_seeds(headers: &[Vec<u8>], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    // 0: whole files, under the keys that the target has.
    for len in lengths {
        let stanza = x25519_stanza(FILE_KEY, x25519_public_key(SECRET), [0x65; 32]);
        let plaintext: Vec<u8> = (0..*len).map(|i| (i % 251) as u8).collect();
        seeds
            .push([[0].as_slice(), &encrypt(FILE_KEY, [0x61; 24], &[stanza], &plaintext)].concat());
    }
    // 1: a header's lines between its first and its last.
    let first = [VERSION, b"\n"].concat();
    for header in headers {
        let lines = header.strip_prefix(first.as_slice()).unwrap_or(header);
        let end = lines.windows(4).rposition(|bytes| bytes == b"--- ").unwrap_or(lines.len());
        seeds.push([&[1], &lines[..end]].concat());
    }
    // 2: a length and one edit of each kind, or none.
    for len in lengths {
        let [low, high, ..] = len.to_le_bytes();
        seeds.push(vec![2, low, high]);
        for edit in 0..5 {
            seeds.push(vec![2, low, high, edit, 200, 1, 0, 1]);
        }
    }
    seeds
}

/// A length, a padding, other recipients, a pattern.
fn round_trip_seeds(lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for len in lengths {
        let [low, high, ..] = len.to_le_bytes();
        for padding in [0, 1, 252] {
            seeds.push([&[low, high, padding, 2], b"pattern".as_slice()].concat());
        }
    }
    seeds
}

fn write(corpus: &Path, target: &str, seeds: Vec<Vec<u8>>) -> Outcome<()> {
    let directory = corpus.join(target);
    fs::create_dir_all(&directory)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(directory.join(format!("seed-{number:03}")), seed)?;
    }
    Ok(())
}
