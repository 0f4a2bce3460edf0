//! A key that is damaged anywhere is refused or is another key. Nothing panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use cryptstream_format::{FileKey, Format, Identity};
use cryptstream_keys::{
    Callbacks, NoAnswer, NoCallbacks, SharedCallbacks, parse_identities, parse_recipient,
    prepare_recipients,
};
use zeroize::Zeroizing;

fn data(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/data");
    std::fs::read(folder.join(name)).unwrap()
}

/// Every version of `good` with one byte changed, in two ways, or cut off.
fn damaged(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..good.len()).flat_map(move |at| {
        let with = |byte: u8| {
            let mut bad = good.to_vec();
            bad[at] = byte;
            bad
        };
        [with(if good[at] == b'A' { b'/' } else { b'A' }), with(good[at] ^ 1), good[..at].to_vec()]
    })
}

#[test]
fn ssh_keys() {
    let callbacks: SharedCallbacks = Arc::new(NoCallbacks);
    for name in ["ssh_ed25519", "ssh_rsa", "ssh_protected"] {
        let (secret, public) = (data(name), data(&format!("{name}.pub")));
        assert_eq!(parse_identities(&secret, name, &callbacks, None).unwrap().len(), 1);
        let mut refused = 0;
        for bad in damaged(&secret) {
            if let Ok(identities) = parse_identities(&bad, name, &callbacks, None) {
                let _ = identities[0].recipients();
            } else {
                refused += 1;
            }
        }
        assert!(refused > secret.len(), "{name}: {refused}");
        assert!(parse_recipient(str::from_utf8(&public).unwrap()).is_ok());
        for bad in damaged(&public) {
            if let Ok(text) = str::from_utf8(&bad) {
                let _ = parse_recipient(text).map(|recipient| recipient.to_string());
            }
        }
    }
}

/// Callbacks that know the passphrase of all keys.
struct Knowing;

impl Callbacks for Knowing {
    fn say(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn ask_secret(&self, _: &str) -> Result<Zeroizing<Vec<u8>>, NoAnswer> {
        Err(NoAnswer::NoTerminal)
    }

    fn key_passphrase(&self) -> Option<&[u8]> {
        Some(b"horse")
    }
}

/// Protected keys are decrypted too. Their damaged content may be anything.
#[test]
fn keys_in_other_forms() {
    let callbacks: SharedCallbacks = Arc::new(Knowing);
    for (name, step) in [
        ("pkcs8", 1),
        ("pkcs8-aes256", 1),
        ("pkcs8-scrypt", 40),
        ("pkcs1", 10),
        ("pkcs1-aes128", 5),
        ("pkcs8-rsa-aes256", 40),
        ("openssh-chacha20-poly1305", 20),
        ("openssh-aes128-cbc", 20),
    ] {
        let secret = data(&format!("keys/{name}"));
        let good = parse_identities(&secret, name, &callbacks, None).unwrap();
        let recipients = prepare_recipients(good[0].recipients().unwrap(), &callbacks, None);
        let file_key = FileKey::from_bytes([7; 16]);
        let stanzas = recipients[0].wrap(Format::Age, &file_key).unwrap().stanzas;
        assert!(good[0].unwrap(Format::Age, &stanzas).unwrap().is_some(), "{name}");
        let mut refused = 0;
        for bad in damaged(&secret).step_by(step) {
            let Ok(identities) = parse_identities(&bad, name, &callbacks, None) else {
                refused += 1;
                continue;
            };
            let _ = identities[0].recipients();
            // A comment or the like may have changed, but no other key is found.
            if let Ok(Some(found)) = identities[0].unwrap(Format::Age, &stanzas) {
                assert_eq!(found.expose(), file_key.expose(), "{name}");
            } else {
                refused += 1;
            }
        }
        assert!(refused > secret.len() / step, "{name}: {refused}");
    }
}
