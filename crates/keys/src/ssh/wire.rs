//! SSH's key encodings (RFC 4251, RFC 8017, PROTOCOL.key), as far as they must be parsed before the
//! library does: it panics on numbers that are all zeros, and does not expose the public half of
//! large RSA keys.

use zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";

fn is_zero(field: &[u8]) -> bool {
    field.iter().all(|byte| *byte == 0)
}

/// Splits off a string: four bytes of length, then the bytes (RFC 4251).
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk()?;
    let (field, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    *rest = after;
    Some(field)
}

/// The type of a public key.
pub(super) fn kind(mut blob: &[u8]) -> Option<&[u8]> {
    field(&mut blob)
}

/// A name from a key, made printable for messages.
pub(super) fn printable(name: &[u8]) -> String {
    let printable = name.iter().filter(|byte| byte.is_ascii_graphic());
    printable.take(40).map(|byte| char::from(*byte)).collect()
}

/// The point of an `ssh-ed25519` key; `None` unless it has 32 bytes.
pub(super) fn ed25519_bytes(mut blob: &[u8]) -> Option<&[u8; 32]> {
    let (_kind, point) = (field(&mut blob)?, field(&mut blob)?);
    blob.is_empty().then_some(point)?.try_into().ok()
}

/// The exponent and the modulus of an `ssh-rsa` key; `None` unless both are positive and
/// canonically encoded.
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

/// The fields of a private key in OpenSSH's format (PROTOCOL.key) that are never encrypted.
pub(super) struct OpenSshContainer<'a> {
    /// `none` if the key is not encrypted.
    pub(super) cipher: &'a [u8],
    kdf: &'a [u8],
    kdf_options: &'a [u8],
    /// The public key.
    pub(super) public: &'a [u8],
    private: &'a [u8],
}

impl<'a> OpenSshContainer<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let (cipher, kdf) = (field(&mut rest)?, field(&mut rest)?);
        let kdf_options = field(&mut rest)?;
        // The number of keys is always one.
        rest = rest.get(4..)?;
        let (public, private) = (field(&mut rest)?, field(&mut rest)?);
        Some(Self { cipher, kdf, kdf_options, public, private })
    }

    /// The number of bcrypt rounds.
    pub(super) fn bcrypt_rounds(&self) -> Option<u32> {
        let mut rest = self.kdf_options;
        let _salt = field(&mut rest)?;
        let rounds = u32::from_be_bytes(rest.try_into().ok()?);
        (self.kdf == b"bcrypt").then_some(rounds)
    }

    /// Whether no readable field is zero.
    pub(super) fn has_no_zero_field(&self) -> bool {
        if has_zero_field(self.public) || self.cipher != b"none" {
            return !has_zero_field(self.public);
        }
        // Two check numbers, the type, the numbers of the key, and a comment that may be
        // empty.
        let mut private = self.private.get(8..).unwrap_or_default();
        let numbers = match field(&mut private) {
            Some(b"ssh-rsa") => 6,
            _ => 2,
        };
        (0..numbers).all(|_| field(&mut private).is_some_and(|number| !is_zero(number)))
    }
}

/// The public key in an RSA private key of PKCS #1, a sequence of the version, the modulus,
/// the exponent, and secrets.
pub(super) fn public_half_of_pkcs1(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = der(&mut bytes, 0x30)?;
    let (_version, modulus, exponent) =
        (der(&mut rest, 2)?, der(&mut rest, 2)?, der(&mut rest, 2)?);
    Some(strings(&[b"ssh-rsa", exponent, modulus]))
}

/// Concatenates strings in SSH's encoding.
fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| 4 + part.len()).sum());
    for part in parts {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// An unencrypted Ed25519 key pair in OpenSSH's format.
pub(super) fn openssh_ed25519(seed: &[u8; 32], public: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let kind = b"ssh-ed25519".as_slice();
    let pair = Zeroizing::new([*seed, *public].concat());
    let key = Zeroizing::new(strings(&[kind, public, &pair, b""]));
    let padding = (1..=(8 - key.len() % 8) as u8).take_while(|_| !key.len().is_multiple_of(8));
    // The check numbers detect a wrong passphrase. There is no passphrase here.
    let private = [&[0; 8], key.as_slice(), &padding.collect::<Vec<_>>()];
    let private = Zeroizing::new(private.concat());
    let outer = strings(&[b"none", b"none", b""]);
    let keys = Zeroizing::new(strings(&[&strings(&[kind, public]), &private]));
    Zeroizing::new([MAGIC, &outer, &[0, 0, 0, 1], &keys].concat())
}

/// The object identifier of the encryption scheme of a PKCS #8 key.
pub(super) fn pkcs8_scheme(mut bytes: &[u8]) -> Option<String> {
    let mut rest = der(&mut bytes, 0x30)?;
    let mut algorithm = der(&mut rest, 0x30)?;
    let oid = der(&mut algorithm, 6)?;
    der(&mut rest, 4)?;
    // In PBES2 it is the cipher that is unknown, the last parameter.
    let mut cipher = || {
        let mut parameters = der(&mut algorithm, 0x30)?;
        let _kdf = der(&mut parameters, 0x30)?;
        let mut cipher = der(&mut parameters, 0x30)?;
        der(&mut cipher, 6)
    };
    let oid = cipher().unwrap_or(oid);
    pkcs8::ObjectIdentifier::from_bytes(oid).ok().map(|oid| oid.to_string())
}

/// Splits off a DER value of this type.
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

/// Whether a field of a public key is zero.
pub(super) fn has_zero_field(mut blob: &[u8]) -> bool {
    while let Some(field) = field(&mut blob) {
        if is_zero(field) {
            return true;
        }
    }
    false
}
