//! OpenSSL's implementation beside AWS-LC's, and age's public test vectors with it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use cryptstream_format::{
    ChunkCipher, FileKey, Format, Header, Identity, Layout, PayloadCipher, Segment, Stanza,
    UnwrapError,
};
use cryptstream_reference::age_vectors;
use sha2::{Digest, Sha256};

use super::*;

/// Both implementations; `None` if OpenSSL is not there.
fn both(file_key: &FileKey) -> Option<[ChunkCipher; 2]> {
    load();
    let Some(openssl) = openssl::loaded() else {
        eprintln!("skipped: there is no OpenSSL here");
        return None;
    };
    let [aws_lc, mut other] =
        [(); 2].map(|()| PayloadCipher::with_age_nonce(file_key, [7; 16]).into_chunks());
    other.compute_by(openssl);
    Some([aws_lc, other])
}

/// Bytes that look random, and are the same in each run.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn openssl_is_for_large_age_files() {
    assert!(!pays(Format::Age, WORTH_LOADING - 1));
    assert!(!pays(Format::Native, WORTH_LOADING));
    assert_eq!(pays(Format::Age, WORTH_LOADING), openssl::is_faster());
}

#[test]
fn both_implementations_agree() {
    let key = FileKey::from_bytes(*b"sixteen bytes...");
    let Some([aws_lc, openssl]) = both(&key) else { return };
    let beside = |len: usize| len.saturating_sub(17)..=len + 17;
    // Both have code for so many blocks of 16 and 64 bytes at a time, and chunks of 64 KiB.
    let boundaries = [64, 128, 192, 256, 512, 1024, 2048, 4096, 16_384, 65_536, 131_072];
    for len in (0..=0).chain(boundaries.into_iter().flat_map(beside)) {
        let text = noise(len as u64, len);
        let segment = Segment::last(Format::Age, 0, len).unwrap();
        let sealed = [&aws_lc, &openssl].map(|cipher| {
            let mut sealed = vec![0; segment.sealed_len()];
            cipher.seal(&segment, &text, &mut sealed).unwrap();
            sealed
        });
        assert!(sealed[0] == sealed[1], "{len} bytes");
        for cipher in [&aws_lc, &openssl] {
            let mut opened = vec![0; len];
            cipher.open(&segment, &sealed[0], &mut opened).unwrap();
            assert!(opened == text, "{len} bytes");
        }
        // Any byte, among them those of the tag.
        for place in [0, len / 2, sealed[0].len() - 1] {
            let mut damaged = sealed[0].clone();
            damaged[place] ^= 0x10;
            let [one, other] = [&aws_lc, &openssl].map(|cipher| {
                let mut opened = vec![1; len];
                let error = cipher.open(&segment, &damaged, &mut opened).unwrap_err();
                assert!(opened.iter().all(|byte| *byte == 0), "{len} bytes");
                error
            });
            assert_eq!(one, other, "{len} bytes, changed at {place}");
        }
    }
}

/// An identity that knows the file key.
struct Known([u8; 16]);

impl Identity for Known {
    fn unwrap(&self, _: Format, _: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        Ok(Some(FileKey::from_bytes(self.0)))
    }
}

/// The fields of a vector that matter here, and its file.
fn read(path: &Path) -> (Vec<(String, String)>, Vec<u8>) {
    let content = fs::read(path).unwrap();
    let split = content.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let fields = std::str::from_utf8(&content[..split]).unwrap().lines();
    let fields = fields.map(|line| line.split_once(": ").unwrap());
    let fields: Vec<_> = fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let file = &content[split + 2..];
    let is_compressed = fields.iter().any(|(key, _)| key == "compressed");
    match is_compressed {
        true => (fields, miniz_oxide::inflate::decompress_to_vec_zlib(file).unwrap()),
        false => (fields, file.to_owned()),
    }
}

#[test]
fn the_vectors_of_age_have_the_same_outcome_with_openssl() {
    let (mut opened, mut refused) = (0, 0);
    for entry in fs::read_dir(age_vectors()).unwrap() {
        let path = entry.unwrap().path();
        let (fields, file) = read(&path);
        let field = |name| fields.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
        let (expect, Some(file_key)) = (field("expect").unwrap(), field("file key")) else {
            continue;
        };
        // The others never come to a chunk, or are text.
        if !matches!(expect, "success" | "payload failure") || field("armored").is_some() {
            continue;
        }
        let digits = file_key.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<_> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let identity = Known(bytes.try_into().unwrap());
        let header = Header::parse(&file).unwrap().unwrap();
        let payload = &file[header.len()..];
        let file_key = header.unlock(&[&identity]).unwrap();
        if both(&file_key).is_none() {
            return;
        }
        let result = open_payload(&file_key, payload);
        let is_right = match (expect, &result) {
            ("success", Some(text)) => {
                let digest = Sha256::digest(text);
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                opened += 1;
                field("payload") == Some(&digest)
            }
            (_, None) => {
                refused += 1;
                expect == "payload failure"
            }
            _ => false,
        };
        assert!(is_right, "{}", path.display());
    }
    assert!(opened > 10 && refused > 10, "{opened} opened, {refused} refused");
}

/// Opens a payload with OpenSSL; `None` if it is damaged.
fn open_payload(file_key: &FileKey, payload: &[u8]) -> Option<Vec<u8>> {
    let layout = Layout::of_payload(Format::Age, payload.len() as u64).ok()?;
    let prefix = &payload[..Format::Age.prefix_len()];
    let cipher = PayloadCipher::from_prefix(Format::Age, file_key, prefix).unwrap();
    let mut cipher = cipher.into_chunks();
    cipher.compute_by(openssl::loaded().unwrap());
    let mut text = vec![0; layout.plaintext_len() as usize];
    for segment in layout.segments() {
        let sealed = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
        let text = &mut text[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
        cipher.open(&segment, sealed, text).ok()?;
    }
    Some(text)
}
