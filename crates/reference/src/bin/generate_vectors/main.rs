//! Writes `vectors/*.json`: known answers of the format, made by the reference
//! implementation alone. Run it by hand, and only when the format changes:
//! `cargo run -p cryptstream-reference --bin generate_vectors`.

mod encoding;
mod hostile;

use std::path::Path;

use cryptstream_reference::{
    Cost, RefStanza, argon2id_stanza, encrypt, pad_to_multiple, parse_header, x25519_public_key,
    x25519_stanza,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use encoding::{bech32, bytes, hex};

const MIB: usize = 1 << 20;
/// Around the boundaries of chunks (16 KiB) and of segments (1 MiB).
const LENGTHS: [usize; 9] = [0, 1, 16_383, 16_384, 16_385, MIB - 1, MIB, MIB + 1, 3 * MIB + 12_345];
/// From this length on a header is padded.
const PADDED_FROM: usize = MIB;
const COST: Cost = Cost { memory_kib: 65_536, passes: 3, lanes: 4 };
/// The bytes count as they are: not trimmed, not normalised.
const PASSPHRASES: [&str; 3] =
    ["correct horse battery staple", " Gr\u{fc}\u{df}e, \u{4e16}\u{754c} ", "cafe\u{301}"];

fn main() -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    for (name, value) in [
        ("passphrase.json", known_answers(passphrase_vector)),
        ("x25519.json", known_answers(x25519_vector)),
        ("hostile.json", hostile::headers()),
    ] {
        std::fs::write(directory.join(name), format!("{value:#}\n"))?;
    }
    Ok(())
}

fn known_answers(vector: fn(usize, usize) -> Value) -> Value {
    let vectors: Vec<Value> =
        LENGTHS.iter().enumerate().map(|(index, len)| vector(index, *len)).collect();
    json!({ "vectors": vectors })
}

fn passphrase_vector(index: usize, len: usize) -> Value {
    let name = format!("passphrase, {len} bytes");
    let passphrase = PASSPHRASES[index % PASSPHRASES.len()];
    let salt = bytes(&name, "argon2id salt");
    let nonce = bytes(&name, "argon2id nonce");
    let stanza =
        argon2id_stanza(bytes(&name, "file key"), passphrase.as_bytes(), salt, COST, nonce);
    let mut vector = sealed(&name, len, stanza);
    vector["passphrase"] = json!(passphrase);
    vector["argon2id"] = json!({
        "salt": hex(&salt),
        "memory_kib": COST.memory_kib,
        "passes": COST.passes,
        "lanes": COST.lanes,
        "nonce": hex(&nonce),
    });
    vector
}

fn x25519_vector(_: usize, len: usize) -> Value {
    let name = format!("X25519, {len} bytes");
    let secret: [u8; 32] = bytes(&name, "identity");
    let public = x25519_public_key(secret);
    let ephemeral_secret = bytes(&name, "ephemeral secret");
    let stanza = x25519_stanza(bytes(&name, "file key"), public, ephemeral_secret);
    let mut vector = sealed(&name, len, stanza);
    vector["ephemeral_secret"] = json!(hex(&ephemeral_secret));
    vector["identity"] = json!(bech32("age-secret-key-", &secret).to_uppercase());
    vector["identity_secret"] = json!(hex(&secret));
    vector["recipient"] = json!(bech32("age", &public));
    vector["recipient_public"] = json!(hex(&public));
    vector
}

/// What the two kinds have in common.
fn sealed(name: &str, len: usize, stanza: RefStanza) -> Value {
    let (file_key, salt) = (bytes(name, "file key"), bytes(name, "payload salt"));
    let plaintext = paint(len);
    let mut stanzas = vec![stanza];
    if len >= PADDED_FROM {
        stanzas.push(pad_to_multiple(&stanzas, 4096));
    }
    let file = encrypt(file_key, salt, &stanzas, &plaintext);
    let header = parse_header(&file).expect("the reference reads what it writes");
    let mut vector = json!({
        "name": name,
        "plaintext_len": len,
        "plaintext_sha256": hex(&Sha256::digest(&plaintext)),
        "file_key": hex(&file_key),
        "payload_salt": hex(&salt),
        "header": String::from_utf8_lossy(&file[..header.len]),
        "header_len": header.len,
        "payload_prefix": hex(&file[header.len..][..56]),
        "file_len": file.len(),
        "file_sha256": hex(&Sha256::digest(&file)),
    });
    if len <= 1 {
        vector["file"] = json!(hex(&file));
    }
    vector
}

/// Plaintext that needs not be stored. Its period is a prime, so no two chunks
/// are alike.
fn paint(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}
