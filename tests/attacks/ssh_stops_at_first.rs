//! A stranger fills a header with stanzas that name the victim's SSH key. Each costs a
//! private-key operation, whose time a stranger may measure.

use std::time::{Duration, Instant};

use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::common::Dir;
use crate::ssh_low_order::put_key;

/// One RSA operation takes 30 ms, a thousand take half a minute.
const ENOUGH: Duration = Duration::from_secs(5);
/// As many stanzas as a header can have.
const STANZAS: usize = 1024;

#[test]
fn a_header_full_of_stanzas_costs_one_operation() {
    let dir = Dir::new();
    let public = put_key(&dir, "ssh_rsa");
    let blob = Base64::decode_vec(public.split(' ').nth(1).unwrap()).unwrap();
    let tag = Base64Unpadded::encode_string(&Sha256::digest(&blob)[..4]);
    // A number below the modulus that is no encrypted file key.
    let body = Base64Unpadded::encode_string(&[1; 256]);
    let lines: Vec<_> = body.as_bytes().chunks(64).collect();
    let body = String::from_utf8(lines.join(&b'\n')).unwrap();
    let stanza = format!("-> ssh-rsa {tag}\n{body}\n");
    for version in ["age-encryption.org/v1", "cryptstream/v1"] {
        let mac = "A".repeat(43);
        let header = format!("{version}\n{}--- {mac}\n", stanza.repeat(STANZAS));
        dir.write("hostile", [header.as_bytes(), &[0; 100]].concat());
        let started = Instant::now();
        let run = dir.command(&["decrypt", "-i", "ssh_rsa", "hostile", "out"]);
        dir.fails(run, 65, &["ssh-rsa", "cannot be decrypted with it"]);
        assert!(started.elapsed() < ENOUGH, "it took {:?}", started.elapsed());
    }
}
