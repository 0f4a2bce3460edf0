use std::sync::Arc;

use age_core::primitives::{aead_encrypt, hkdf};

use super::*;
use crate::prompt::NoCallbacks;

const LABEL: &[u8] = b"age-encryption.org/v1/ssh-ed25519";

fn data(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/data");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn secret(name: &str) -> SshSecretKey {
    let text = data(name);
    let pem = Pem::read(&text).unwrap();
    SshSecretKey::parse(&pem, name, &(Arc::new(NoCallbacks) as SharedCallbacks)).unwrap()
}

fn blob(fields: &[&[u8]]) -> Vec<u8> {
    let mut blob = Vec::new();
    for field in fields {
        blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        blob.extend(*field);
    }
    blob
}

fn line(kind: &str, blob: &[u8]) -> String {
    format!("{kind} {}", Base64::encode_string(blob))
}

fn ed25519(y: [u8; 32]) -> Result<SshPublicKey, SshError> {
    line(ED25519, &blob(&[ED25519.as_bytes(), &y])).parse()
}

/// A positive odd number of this many bits.
fn number(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; bits.div_ceil(8)];
    bytes[0] = 1 << ((bits - 1) % 8);
    *bytes.last_mut().unwrap() |= 1;
    if bytes[0] >= 0x80 {
        bytes.insert(0, 0);
    }
    bytes
}

fn rsa(exponent: &[u8], modulus: &[u8]) -> Result<SshPublicKey, SshError> {
    line(RSA, &blob(&[RSA.as_bytes(), exponent, modulus])).parse()
}

/// `y`, little-endian, with the sign of x.
fn y(first: u8, rest: u8, last: u8) -> [u8; 32] {
    let mut y = [rest; 32];
    (y[0], y[31]) = (first, last);
    y
}

#[test]
fn low_order_points_are_refused_in_every_encoding() {
    let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let mut low_order = vec![
        y(1, 0, 0),          // the identity
        y(0, 0, 0),          // order 4
        y(0, 0, 0x80),       // order 4
        y(0xec, 0xff, 0x7f), // order 2
    ];
    let mut point = [0; 32];
    for (byte, digits) in point.iter_mut().zip(order_8.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
    }
    for sign in [0, 0x80] {
        low_order.push(point);
        low_order.last_mut().unwrap()[31] |= sign;
    }
    for point in low_order {
        assert_eq!(ed25519(point).unwrap_err(), SshError::LowOrder, "{point:x?}");
    }
    // The same with p added, or with the wrong sign of x = 0. They are refused for any reason.
    for point in [y(0xee, 0xff, 0x7f), y(0xed, 0xff, 0x7f), y(1, 0, 0x80), y(0xec, 0xff, 0xff)] {
        assert!(ed25519(point).is_err(), "{point:x?}");
    }
}

#[test]
fn a_second_encoding_of_a_point_is_refused() {
    // y = 3, y = 4 + p and so on: those of the 19 values with two encodings that lie on the curve.
    let mut seen = 0;
    for small in 2..19 {
        let canonical = ed25519(y(small, 0, 0));
        let second = ed25519(y(0xed + small, 0xff, 0x7f));
        assert!(second.is_err(), "{small}");
        seen += usize::from(canonical.is_ok());
    }
    assert!(seen > 0);
}

#[test]
fn rsa_numbers_are_checked_when_they_are_read() {
    let e = [1, 0, 1];
    for bits in [512, 680, 1024, 2047, 16_385, 100_000] {
        assert_eq!(rsa(&e, &number(bits)).unwrap_err(), SshError::Size(bits));
    }
    for bits in [2048, 4096, 8192, 16_384] {
        let key = rsa(&e, &number(bits)).unwrap();
        let wrapped = key.wrap(Format::Age, &FileKey::from_bytes([1; 16])).unwrap();
        assert_eq!(wrapped.stanzas[0].body().len(), bits / 8);
    }
    let good = number(2048);
    let huge = [[1].as_slice(), &[0; 8], &[1]].concat();
    for exponent in [&[1][..], &[2], &[4], &[], &[0], &[0, 3], &[0x83], &huge, &good] {
        assert!(rsa(exponent, &good).is_err(), "{exponent:?}");
    }
    let mut even = good.clone();
    *even.last_mut().unwrap() &= 0xfe;
    assert!(rsa(&e, &even).is_err());
    assert!(rsa(&e, &[[0].as_slice(), &good].concat()).is_err(), "not in its shortest form");
    assert!(rsa(&[3], &good).is_ok());
}

#[test]
fn the_kind_in_front_is_the_kind_within() {
    let key = blob(&[ED25519.as_bytes(), &y(3, 0, 0)]);
    assert!(line(ED25519, &key).parse::<SshPublicKey>().is_ok());
    assert!(line(RSA, &key).parse::<SshPublicKey>().is_err());
    let more = [key, vec![0]].concat();
    assert!(line(ED25519, &more).parse::<SshPublicKey>().is_err());
}

#[test]
fn the_first_stanza_that_names_a_key_decides() {
    for name in ["ssh_ed25519", "ssh_rsa"] {
        let key = secret(name);
        let file_key = FileKey::from_bytes([7; 16]);
        let good = key.to_public().unwrap().wrap(Format::Age, &file_key).unwrap().stanzas.remove(0);
        let args: Vec<_> = good.args().skip(1).collect();
        let mut body = good.body().to_vec();
        body[3] ^= 1;
        let bad = Stanza::new(good.tag(), &args, body).unwrap();
        let unwrap = |stanzas: &[Stanza]| key.unwrap(Format::Age, stanzas);
        assert!(unwrap(&[good.clone(), bad.clone()]).unwrap().is_some());
        let refused = unwrap(&[bad, good]);
        assert!(matches!(refused, Err(UnwrapError::Stanza(StanzaError::DoesNotOpen(_)))));
    }
}

#[test]
fn low_order_shares_do_not_open() {
    let key = secret("ssh_ed25519");
    let tag = tag(key.public().unwrap());
    let public = key.to_public().unwrap();
    let AgeRecipient::SshEd25519(_, point) = &public.0 else { panic!("another kind") };
    let public = point.to_montgomery().to_bytes();
    for share in [[0; 32], y(1, 0, 0), y(0xec, 0xff, 0x7f), y(0xed, 0xff, 0x7f)] {
        // With such a share the secret is all zeros for every key.
        let wrap_key = hkdf(&[share, public].concat(), LABEL, &[0; 32]);
        let body = aead_encrypt(&wrap_key, &[7; 16]);
        let args = [tag.as_str(), &Base64Unpadded::encode_string(&share)];
        let stanza = Stanza::new(ED25519, &args, body).unwrap();
        assert!(
            age_compat::unwrap(&key.decrypted().unwrap().key, std::slice::from_ref(&stanza))
                .unwrap()
                .is_some()
        );
        let refused = key.unwrap(Format::Age, &[stanza]);
        assert!(matches!(refused, Err(UnwrapError::Stanza(StanzaError::Malformed(ED25519)))));
    }
}
