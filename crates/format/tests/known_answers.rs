//! Checks this crate against `vectors/`, which the reference implementation generated.

mod common;

use common::{bytes, hex, number, text};
use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::{FileKey, Format, Header, Identity, PayloadCipher, x25519};
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn passphrase_vectors_open() {
    check_all("passphrase.json", |vector| {
        let passphrase = text(vector, "passphrase").as_bytes().to_vec();
        Box::new(PassphraseIdentity::new(passphrase.into(), ReadLimit::DEFAULT))
    });
}

#[test]
fn x25519_vectors_open() {
    check_all("x25519.json", |vector| {
        let identity: x25519::SecretKey = text(vector, "identity").parse().unwrap();
        let from_bytes = x25519::SecretKey::from_bytes(bytes(vector, "identity_secret"));
        assert_eq!(*identity.expose_text(), *from_bytes.expose_text());
        assert_eq!(identity.to_public().to_string(), text(vector, "recipient"));
        assert_eq!(*identity.to_public().as_bytes(), bytes(vector, "recipient_public"));
        Box::new(identity)
    });
}

fn check_all(file: &str, identity: fn(&Value) -> Box<dyn Identity>) {
    let vectors = common::vectors(file);
    let vectors = vectors["vectors"].as_array().expect("a list");
    let lengths: Vec<usize> =
        vectors.iter().map(|vector| number(vector, "plaintext_len")).collect();
    let mib = 1 << 20;
    assert_eq!(
        lengths,
        [0, 1, 16_383, 16_384, 16_385, mib - 1, mib, mib + 1, 3 * mib + 12_345],
        "{file} is not complete"
    );
    for vector in vectors {
        check(vector, &*identity(vector));
    }
}

fn check(vector: &Value, identity: &dyn Identity) {
    let name = text(vector, "name");
    let header = text(vector, "header").as_bytes();
    let parsed = Header::parse(header).expect(name).expect(name);
    assert_eq!(parsed.len(), number(vector, "header_len"), "{name}");
    let file_key = parsed.unlock(&[identity]).expect(name);
    assert_eq!(hex(file_key.expose()), text(vector, "file_key"), "{name}");

    // The salt is given, so the payload must be equal byte for byte.
    let plaintext = common::paint(number(vector, "plaintext_len"));
    assert_eq!(hex(&Sha256::digest(&plaintext)), text(vector, "plaintext_sha256"), "{name}");
    let file_key = FileKey::from_bytes(bytes(vector, "file_key"));
    let cipher = PayloadCipher::with_salt(&file_key, bytes(vector, "payload_salt"));
    assert_eq!(hex(cipher.prefix()), text(vector, "payload_prefix"), "{name}");
    let payload = common::seal_payload(&cipher, &plaintext);
    let file = [header, &payload].concat();
    assert_eq!(file.len(), number(vector, "file_len"), "{name}");
    assert_eq!(hex(&Sha256::digest(&file)), text(vector, "file_sha256"), "{name}");
    match vector.get("file") {
        Some(stored) => assert_eq!(stored.as_str(), Some(hex(&file).as_str()), "{name}"),
        None => assert!(plaintext.len() > 1, "{name}"),
    }

    // The digest above shows that this is the vector's own payload.
    assert!(
        common::open_payload(Format::Native, &payload, &file_key).expect(name) == plaintext,
        "{name}"
    );
    let is_padded = plaintext.len() >= 1 << 20;
    assert_eq!(parsed.len().is_multiple_of(4096), is_padded, "{name}");
}
