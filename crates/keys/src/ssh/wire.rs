//! SSH's own encodings of keys (RFC 4251, RFC 8017, PROTOCOL.key), as far as they must
//! be read before the library reads them: it panics at a number that is written as
//! nothing but zeros, and keeps the public half of large RSA keys to itself.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

pub(super) const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

fn is_zero(field: &[u8]) -> bool {
    field.iter().all(|byte| *byte == 0)
}

/// Takes a string off: four bytes of length, then so many (RFC 4251).
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk()?;
    let (field, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = after;
    Some(field)
}

/// What lies between the first and the last line, decoded.
fn content(text: &str) -> Zeroizing<Vec<u8>> {
    // Large enough from the start, so that growing leaves no copy behind.
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.lines().skip(1).take_while(|line| !line.starts_with('-')) {
        digits.push_str(line);
    }
    Zeroizing::new(Base64::decode_vec(&digits).unwrap_or_default())
}

/// The kind of a public key.
pub(super) fn kind(mut blob: &[u8]) -> Option<&[u8]> {
    field(&mut blob)
}

/// A name that a key gives itself, fit for a message.
pub(super) fn printable(name: &[u8]) -> String {
    let printable = name.iter().filter(|byte| byte.is_ascii_graphic());
    printable.take(40).map(|byte| char::from(*byte)).collect()
}

/// The 32 bytes of an `ssh-ed25519` key; `None` when there are fewer or more.
pub(super) fn ed25519_bytes(mut blob: &[u8]) -> Option<&[u8; 32]> {
    let (_kind, point) = (field(&mut blob)?, field(&mut blob)?);
    blob.is_empty().then_some(point)?.try_into().ok()
}

/// The exponent and the modulus of an `ssh-rsa` key, each a positive number in its
/// only valid encoding.
pub(super) fn rsa_numbers(mut blob: &[u8]) -> Option<(&[u8], &[u8])> {
    let _kind = field(&mut blob)?;
    let (exponent, modulus) = (field(&mut blob)?, field(&mut blob)?);
    let is_positive = |number: &[u8]| match number {
        [0, next, ..] => *next >= 0x80,
        [first, ..] => (1..0x80).contains(first),
        [] => false,
    };
    (blob.is_empty() && is_positive(exponent) && is_positive(modulus))
        .then_some((exponent, modulus))
}

/// The public half of a private key in OpenSSH's form, or of an RSA key in PEM.
pub(super) fn public_half(text: &str) -> Option<Vec<u8>> {
    let bytes = content(text);
    if let Some(mut rest) = bytes.strip_prefix(MAGIC) {
        for _ in 0..3 {
            field(&mut rest)?;
        }
        rest = rest.get(4..)?;
        return field(&mut rest).map(<[u8]>::to_vec);
    }
    // PKCS #1: a sequence of the version, the modulus, the exponent, and secrets.
    let mut rest = der(&mut bytes.as_slice(), 0x30)?;
    let (_version, modulus, exponent) =
        (der(&mut rest, 2)?, der(&mut rest, 2)?, der(&mut rest, 2)?);
    let mut blob = Vec::new();
    for part in [b"ssh-rsa".as_slice(), exponent, modulus] {
        blob.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        blob.extend(part);
    }
    Some(blob)
}

/// Takes a value of this type off, in DER.
fn der<'a>(rest: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    let (&[found, first], after) = rest.split_first_chunk::<2>()?;
    let digits = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    let (len, after) = after.split_at_checked(digits)?;
    let len = match len {
        [] => usize::from(first),
        [_, ..] if digits <= 3 => len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
        _ => return None,
    };
    let (value, after) = after.split_at_checked(len)?;
    *rest = after;
    (found == kind).then_some(value)
}

/// Whether one of the fields of a public key is zero.
pub(super) fn has_zero_field(mut blob: &[u8]) -> bool {
    while let Some(field) = field(&mut blob) {
        if is_zero(field) {
            return true;
        }
    }
    false
}

/// Whether a private key in OpenSSH's form (PROTOCOL.key) has no field
/// that is zero, as far as it is not protected.
pub(super) fn is_sound(text: &str) -> bool {
    let bytes = content(text);
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return false };
    let mut parts = || {
        let cipher = field(&mut rest)?;
        let (_kdf, _options) = (field(&mut rest)?, field(&mut rest)?);
        let (_count, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        Some((cipher, field(&mut rest)?, field(&mut rest)?))
    };
    let Some((cipher, public, private)) = parts() else { return false };
    if has_zero_field(public) || cipher != b"none" {
        return !has_zero_field(public);
    }
    // Two check numbers, the type, the numbers of the key, and a comment,
    // which may be empty.
    let mut private = private.get(8..).unwrap_or_default();
    let numbers = match field(&mut private) {
        Some(b"ssh-rsa") => 6,
        _ => 2,
    };
    (0..numbers).all(|_| field(&mut private).is_some_and(|number| !is_zero(number)))
}
