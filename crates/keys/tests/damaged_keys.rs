//! Keys that are damaged anywhere are refused or are other keys; nothing panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::Arc;

use cryptstream_keys::{Silent, Talker, parse_identities, parse_recipient};

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
    let talker: Talker = Arc::new(Silent);
    for name in ["ssh_ed25519", "ssh_rsa", "ssh_protected"] {
        let (secret, public) = (data(name), data(&format!("{name}.pub")));
        assert_eq!(parse_identities(&secret, name, &talker, None).unwrap().len(), 1);
        let mut refused = 0;
        for bad in damaged(&secret) {
            if let Ok(identities) = parse_identities(&bad, name, &talker, None) {
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
