//! The `X25519` stanza and keys of age.
//!
//! ```text
//! -> X25519 <ephemeral share, 32 bytes>
//! ChaCha20-Poly1305(HKDF-SHA-256(shared secret, share || recipient, info), file key)
//! ```

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use base64ct::{Base64Unpadded, Encoding};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use zeroize::Zeroizing;

use super::error::{StanzaError, UnwrapError, WrapError};
use super::tag;
use super::text::{Stanza, StanzaText, decode_arg};
use super::traits::{Identity, Recipient, Wrapped};
use crate::crypto::{self, RandomError};
use crate::key_wrap::{self, WRAPPED_LEN};
use crate::{FileKey, Format};

const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const PUBLIC_HRP: &str = "age";
const SECRET_HRP: &str = "age-secret-key-";

/// Why a text is not a key. The error does not contain the text, which might be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The checksum is wrong: characters are missing, mistyped or swapped.
    #[error("it is mistyped or cut off (its checksum is wrong)")]
    Checksum,
    /// The text is valid Bech32, but not this type of key.
    #[error("it is another kind of key")]
    OtherKind,
    /// The encoding of the point is not canonical. X25519 never produces it, and as it goes into
    /// the wrapping key, nobody could decrypt a file that is encrypted to it.
    #[error("no identity can belong to it")]
    NotCanonical,
}

/// An X25519 public key: a recipient. Its text form is `age1…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// An X25519 secret key: an identity. Its text form is `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct SecretKey {
    secret: Zeroizing<[u8; 32]>,
    /// Always the public key of `secret`.
    public: PublicKey,
}

impl PublicKey {
    /// The 32 bytes of the key (RFC 7748).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key with these 32 bytes (RFC 7748).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether the key is a low-order point, with which every key agreement gives zero. It protects
    /// nothing, and wrapping a file key for it fails.
    #[must_use]
    pub fn is_low_order(&self) -> bool {
        // Any secret works, as it is a multiple of the cofactor of the curve.
        SecretKey::from_bytes([1; 32]).agree(self).is_none()
    }
}

impl SecretKey {
    /// Generates a key with the random number generator of the operating system.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self::new(random_secret()?))
    }

    /// The key with these 32 bytes (RFC 7748).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::new(Zeroizing::new(bytes))
    }

    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let public = public_key(&private_key(&secret));
        Self { secret, public }
    }

    /// The public key of this secret key.
    #[must_use]
    pub fn to_public(&self) -> PublicKey {
        self.public
    }

    /// The text form of the secret key, in upper case.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let hrp = Hrp::parse_unchecked(SECRET_HRP);
        let text = bech32::encode_upper::<Bech32>(hrp, self.secret.as_slice());
        Zeroizing::new(text.expect("74 characters are below the limit of 90"))
    }

    /// Diffie-Hellman with `share`; `None` if the result is all zeros, as for a low-order point.
    fn agree(&self, share: &PublicKey) -> Option<Zeroizing<[u8; 32]>> {
        agree(&private_key(&self.secret), share)
    }
}

fn agree(secret: &PrivateKey, share: &PublicKey) -> Option<Zeroizing<[u8; 32]>> {
    let share = UnparsedPublicKey::new(&X25519, share.0);
    let shared = agreement::agree(secret, share, (), |secret| {
        let mut shared = Zeroizing::new([0; 32]);
        shared.copy_from_slice(secret);
        Ok(shared)
    })
    .ok()?;
    // The library refuses it too; this check does not depend on that.
    (*shared != [0; 32]).then_some(shared)
}

fn random_secret() -> Result<Zeroizing<[u8; 32]>, RandomError> {
    let mut secret = Zeroizing::new([0; 32]);
    crypto::fill_random(secret.as_mut_slice())?;
    Ok(secret)
}

/// Computes the public key too, which takes about as long as an agreement.
fn private_key(secret: &[u8; 32]) -> PrivateKey {
    PrivateKey::from_private_key(&X25519, secret).expect("any 32 bytes are a private key of X25519")
}

fn public_key(key: &PrivateKey) -> PublicKey {
    let public = key.compute_public_key().expect("every private key of X25519 has a public one");
    PublicKey(public.as_ref().try_into().expect("a public key of X25519 has 32 bytes"))
}

fn wrap_key(shared: &[u8; 32], share: &PublicKey, recipient: &PublicKey) -> Zeroizing<[u8; 32]> {
    crypto::hkdf_sha256(shared, &[share.0, recipient.0].concat(), INFO)
}

impl Recipient for PublicKey {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        let ephemeral = private_key(&*random_secret()?);
        let share = public_key(&ephemeral);
        let shared = agree(&ephemeral, self).ok_or(WrapError::WeakRecipient)?;
        let body = key_wrap::wrap(&wrap_key(&shared, &share, self), file_key);
        let share = Base64Unpadded::encode_string(&share.0);
        Ok(Stanza::from_parts(&[tag::X25519, &share], &body).into())
    }
}

impl Identity for SecretKey {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        // Created once, since there may be 1,024 stanzas.
        let mut secret = None;
        for stanza in stanzas {
            let Some((share, body)) = parse(stanza.text())? else { continue };
            let secret = secret.get_or_insert_with(|| private_key(&self.secret));
            let shared = agree(secret, &share).ok_or(StanzaError::Malformed(tag::X25519))?;
            if let Some(key) = key_wrap::unwrap(&wrap_key(&shared, &share, &self.public), &body) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// The share and the wrapped key of an `X25519` stanza; `None` for other types.
pub(super) fn parse(
    stanza: StanzaText<'_>,
) -> Result<Option<(PublicKey, [u8; WRAPPED_LEN])>, StanzaError> {
    if stanza.tag() != tag::X25519 {
        return Ok(None);
    }
    let share = stanza.fields().and_then(|[share]| decode_arg(share));
    match (share, stanza.wrapped_key()) {
        (Some(share), Some(body)) => Ok(Some((PublicKey(share), body))),
        _ => Err(StanzaError::Malformed(tag::X25519)),
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = decode_bech32(text, PUBLIC_HRP)?;
        // Little-endian, below 2^255 - 19.
        let is_canonical = bytes[31] < 0x7f
            || bytes[31] == 0x7f && (bytes[0] < 0xed || bytes[1..31].iter().any(|b| *b != 0xff));
        if is_canonical { Ok(Self(*bytes)) } else { Err(KeyError::NotCanonical) }
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode_bech32(text, SECRET_HRP).map(Self::new)
    }
}

fn decode_bech32(text: &str, hrp: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let decoded = CheckedHrpstring::new::<Bech32>(text).map_err(|_| KeyError::Checksum)?;
    if decoded.hrp() != Hrp::parse_unchecked(hrp) {
        return Err(KeyError::OtherKind);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    let mut digits = decoded.byte_iter();
    for byte in bytes.iter_mut() {
        *byte = digits.next().ok_or(KeyError::OtherKind)?;
    }
    if digits.next().is_some() { Err(KeyError::OtherKind) } else { Ok(bytes) }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse_unchecked(PUBLIC_HRP);
        bech32::encode_lower_to_fmt::<Bech32, _>(f, hrp, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn agrees_with_rfc_7748() {
        let alice = SecretKey::from_bytes(hex(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = SecretKey::from_bytes(hex(
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        ));
        let shared = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(*alice.agree(&bob.to_public()).unwrap(), shared);
        assert_eq!(*bob.agree(&alice.to_public()).unwrap(), shared);
        let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(alice.to_public().0, public);
    }

    /// The points of small order on the curve and its twist, canonical and not.
    #[test]
    fn low_order_points_are_refused() {
        let secret = SecretKey::generate().unwrap();
        for point in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let weak = PublicKey(hex(point));
            assert!(secret.agree(&weak).is_none() && weak.is_low_order(), "{point}");
            let file_key = FileKey::generate().unwrap();
            assert!(
                matches!(weak.wrap(Format::Native, &file_key), Err(WrapError::WeakRecipient)),
                "{point}"
            );
            let share = Base64Unpadded::encode_string(&weak.0);
            let stanza = Stanza::from_parts(&[tag::X25519, &share], &[0; WRAPPED_LEN]);
            assert!(secret.unwrap(Format::Native, &[stanza]).is_err(), "{point}");
        }
    }

    #[test]
    fn keys_survive_their_text_form() {
        let secret = SecretKey::generate().unwrap();
        let text = secret.expose_text();
        assert!(text.starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(*text.parse::<SecretKey>().unwrap().secret, *secret.secret);
        assert_eq!(*text.to_lowercase().parse::<SecretKey>().unwrap().secret, *secret.secret);
        let public = secret.to_public().to_string();
        assert_eq!(public.parse::<PublicKey>(), Ok(secret.to_public()));
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::OtherKind));
        assert_eq!(public.parse::<SecretKey>().err(), Some(KeyError::OtherKind));
        for position in 4..public.len() {
            let mut typo = public.clone().into_bytes();
            typo[position] = if typo[position] == b'q' { b'p' } else { b'q' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<PublicKey>(), Err(KeyError::Checksum), "{typo}");
        }
    }

    #[test]
    fn second_encodings_of_points_are_no_recipients() {
        let with = |first: u8, rest: u8, last: u8| {
            let mut bytes = [rest; 32];
            (bytes[0], bytes[31]) = (first, last);
            PublicKey(bytes).to_string().parse::<PublicKey>()
        };
        for (first, rest, last) in [(9, 0, 0), (0xec, 0xff, 0x7f), (0xff, 0xfe, 0x7f)] {
            assert!(with(first, rest, last).is_ok());
        }
        for (first, rest, last) in [(0xed, 0xff, 0x7f), (0xff, 0xff, 0x7f), (9, 0, 0x80)] {
            assert_eq!(with(first, rest, last), Err(KeyError::NotCanonical));
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", SecretKey::from_bytes([7; 32])), "SecretKey(..)");
    }
}
