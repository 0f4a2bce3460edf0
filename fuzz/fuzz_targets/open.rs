//! Any bytes as a file: product and reference must both refuse it or both open
//! it to the same plaintext.
//!
//! The first byte chooses what the others are: a whole file, a header's lines
//! that get the right MAC and a good payload, or edits of a good file.
#![no_main]

use cryptstream_format::{Format, Identity, x25519};
use cryptstream_fuzz::{FILE_KEY, Known, SECRET, open};
use cryptstream_reference::{
    Key, VERSION, decrypt as reference_decrypt, encrypt, encrypt_payload, finish_header,
    x25519_public_key, x25519_stanza,
};
use libfuzzer_sys::fuzz_target;

const SALT: [u8; 24] = [0x61; 24];

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    match mode % 3 {
        0 => drop(agree(rest)),
        1 => {
            let lines = [VERSION, b"\n", rest].concat();
            let mut file = finish_header(FILE_KEY, lines);
            file.extend(encrypt_payload(FILE_KEY, SALT, b"text"));
            drop(agree(&file));
        }
        _ => edited_file(rest),
    }
});

/// Opens with the file key and with the X25519 key.
fn agree(file: &[u8]) -> Option<Vec<u8>> {
    let secret = x25519::SecretKey::from_bytes(SECRET);
    let by_secret = agree_with(file, &secret, &Key::X25519(SECRET));
    let by_file_key = agree_with(file, &Known(FILE_KEY), &Key::FileKey(FILE_KEY));
    by_secret.or(by_file_key)
}

fn agree_with(file: &[u8], identity: &dyn Identity, key: &Key) -> Option<Vec<u8>> {
    // The reference knows the native format only.
    if file.starts_with(Format::Age.version_line()) {
        let _ = open(file, identity);
        return None;
    }
    match (open(file, identity), reference_decrypt(file, key)) {
        (Ok(product), Ok(reference)) => {
            assert!(product == reference, "the plaintexts differ");
            Some(product)
        }
        (Err(_), Err(_)) => None,
        (product, reference) => {
            panic!("product: {:?}, reference: {:?}", product.err(), reference.err())
        }
    }
}

/// Seals a plaintext whose length the first two bytes give and edits the file:
/// five bytes an edit. What differs from the original must not open.
fn edited_file(input: &[u8]) {
    let Some((len, edits)) = input.split_first_chunk::<2>() else { return };
    let plaintext = vec![0x74; usize::from(u16::from_le_bytes(*len))];
    let stanza = x25519_stanza(FILE_KEY, x25519_public_key(SECRET), [0x65; 32]);
    let original = encrypt(FILE_KEY, SALT, &[stanza], &plaintext);
    let mut file = original.clone();
    for edit in edits.chunks_exact(5).take(8) {
        let at = u32::from_le_bytes([edit[1], edit[2], edit[3], 0]) as usize % (file.len() + 1);
        let len = usize::from(edit[4]);
        let end = (at + len).min(file.len());
        match edit[0] % 5 {
            0 => file.truncate(at),
            1 => drop(file.drain(at..end)),
            2 => file.extend(std::iter::repeat_n(edit[4], at % 20_000)),
            3 => file.extend_from_within(at..end),
            _ => file.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= edit[4]),
        }
    }
    match agree(&file) {
        Some(decrypted) => {
            assert!(file == original && decrypted == plaintext, "an edit went unseen");
        }
        None => assert!(file != original, "a good file was refused"),
    }
}
