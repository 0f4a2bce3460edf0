//! Post-quantum keys: the `mlkem768x25519` stanza of age (C2SP `age.md`).
//!
//! ```text
//! -> mlkem768x25519 <encapsulated key, 1120 bytes>
//! HPKE SealBase (RFC 9180; X-Wing, HKDF-SHA256, ChaCha20Poly1305) of the file key
//! ```

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64Unpadded, Encoding};
use bech32::Hrp;
use cryptstream_format::x25519::{self, KeyError};
use cryptstream_format::{
    FileKey, Format, Identity, Recipient, Stanza, UnwrapError, WrapError, Wrapped,
};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use zeroize::Zeroizing;

use crate::long_bech32::{LongBech32, decode};

const TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// The label that keeps post-quantum recipients from being mixed with others.
pub(crate) const LABEL: &str = "postquantum";
const PUBLIC_HRP: &str = "age1pq";
const SECRET_HRP: &str = "age-secret-key-pq-";
const PUBLIC_LEN: usize = 1216;
const ENCAPSULATED_LEN: usize = 1120;
/// Both the public and the encapsulated key end with an X25519 share.
const SHARE_LEN: usize = 32;

/// A post-quantum recipient. Its text form is `age1pq1…`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(<XWing as Kem>::PublicKey);

/// A post-quantum identity. Its text form is `AGE-SECRET-KEY-PQ-1…`.
#[derive(Clone)]
pub struct SecretKey {
    /// The key is derived from this seed.
    seed: Zeroizing<[u8; 32]>,
}

impl PublicKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| KeyError::OtherKind)?;
        Ok(Self(key))
    }
}

impl SecretKey {
    /// Generates a key with the operating system's random numbers.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self { seed })
    }

    /// The matching public key.
    #[must_use]
    pub fn to_public(&self) -> PublicKey {
        PublicKey(XWing::sk_to_pk(&self.key()))
    }

    fn key(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(self.seed.as_slice())
            .expect("any 32 bytes are a private key of X-Wing")
    }

    /// The secret as text, in upper case as age writes it.
    #[must_use]
    pub fn expose_text(&self) -> Zeroizing<String> {
        let hrp = Hrp::parse_unchecked(SECRET_HRP);
        let text = bech32::encode_upper::<LongBech32>(hrp, self.seed.as_slice());
        Zeroizing::new(text.expect("76 characters are below the limit"))
    }
}

/// Whether the X25519 share at the end of `bytes` is a low-order point, which an attacker
/// could use to remove that half of the hybrid's protection.
fn has_weak_share(bytes: &[u8]) -> bool {
    bytes
        .last_chunk::<SHARE_LEN>()
        .is_none_or(|share| x25519::PublicKey::from_bytes(*share).is_low_order())
}

impl Recipient for PublicKey {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        if has_weak_share(&self.0.to_bytes()) {
            return Err(WrapError::WeakRecipient);
        }
        let sealed = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.0,
            INFO,
            file_key.expose(),
            &[],
        );
        let (encapsulated, body) = sealed.map_err(|_| WrapError::WeakRecipient)?;
        let argument = Base64Unpadded::encode_string(&encapsulated.to_bytes());
        let stanza = Stanza::new(TAG, &[&argument], body).ok_or(WrapError::OtherFormat)?;
        Ok(Wrapped { stanzas: vec![stanza], labels: [LABEL.to_owned()].into() })
    }
}

impl Identity for SecretKey {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let mut own = None;
        for stanza in stanzas.iter().filter(|stanza| stanza.tag() == TAG) {
            // The header parser has checked the lengths.
            let malformed = || cryptstream_format::stanza::StanzaError::Malformed(TAG);
            let mut bytes = [0; ENCAPSULATED_LEN];
            let argument = stanza.args().nth(1).unwrap_or_default();
            let decoded = Base64Unpadded::decode(argument, &mut bytes).map_err(|_| malformed())?;
            if decoded.len() != ENCAPSULATED_LEN || has_weak_share(decoded) {
                return Err(malformed().into());
            }
            let encapsulated =
                <XWing as Kem>::EncappedKey::from_bytes(decoded).map_err(|_| malformed())?;
            let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
                &OpModeR::Base,
                own.get_or_insert_with(|| self.key()),
                &encapsulated,
                INFO,
                &stanza.body(),
                &[],
            );
            if let Ok(opened) = opened {
                let opened = Zeroizing::new(opened);
                return Ok(opened.as_slice().try_into().ok().map(FileKey::from_bytes));
            }
        }
        Ok(None)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(decode::<PUBLIC_LEN>(text, PUBLIC_HRP)?.as_slice())
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode(text, SECRET_HRP).map(|seed| Self { seed })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hrp = Hrp::parse_unchecked(PUBLIC_HRP);
        bech32::encode_lower_to_fmt::<LongBech32, _>(f, hrp, &self.0.to_bytes())
            .map_err(|_| fmt::Error)
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

    #[test]
    fn what_is_wrapped_is_unwrapped_by_the_same_key_only() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let file_key = FileKey::from_bytes([9; 16]);
        let wrapped = key.to_public().wrap(Format::Age, &file_key).unwrap();
        assert_eq!(wrapped.stanzas[0].body().len(), 32);
        assert_eq!(wrapped.stanzas[0].args().nth(1).unwrap().len(), 1494);
        assert_eq!(wrapped.labels, ["postquantum".to_owned()].into());
        let unwrap = |key: &SecretKey| {
            key.unwrap(Format::Age, &wrapped.stanzas).unwrap().map(|key| *key.expose())
        };
        assert_eq!((unwrap(&key), unwrap(&other)), (Some([9; 16]), None));
    }

    #[test]
    fn keys_survive_their_text_form() {
        let secret = SecretKey::generate().unwrap();
        let text = secret.expose_text();
        assert!(text.starts_with("AGE-SECRET-KEY-PQ-1"));
        assert_eq!(*text.parse::<SecretKey>().unwrap().seed, *secret.seed);
        let public = secret.to_public().to_string();
        assert!(public.starts_with("age1pq1"));
        assert_eq!(public.parse::<PublicKey>().unwrap(), secret.to_public());
        assert_eq!(text.parse::<PublicKey>(), Err(KeyError::OtherKind));
        let mut typo = public.into_bytes();
        typo[100] = if typo[100] == b'q' { b'p' } else { b'q' };
        let typo = String::from_utf8(typo).unwrap();
        assert_eq!(typo.parse::<PublicKey>(), Err(KeyError::Checksum));
    }

    #[test]
    fn low_order_points_within_are_refused() {
        let key = SecretKey::generate().unwrap();
        let mut bytes = key.to_public().0.to_bytes();
        let at = bytes.len() - SHARE_LEN;
        bytes[at..].fill(0);
        let weak = PublicKey::from_bytes(&bytes).unwrap();
        let file_key = FileKey::from_bytes([9; 16]);
        assert!(matches!(weak.wrap(Format::Age, &file_key), Err(WrapError::WeakRecipient)));

        let wrapped = key.to_public().wrap(Format::Age, &file_key).unwrap();
        let stanza = &wrapped.stanzas[0];
        let mut share = [0; ENCAPSULATED_LEN];
        Base64Unpadded::decode(stanza.args().nth(1).unwrap(), &mut share).unwrap();
        share[ENCAPSULATED_LEN - SHARE_LEN..].fill(0);
        let argument = Base64Unpadded::encode_string(&share);
        let weak = Stanza::new(TAG, &[&argument], stanza.body()).unwrap();
        assert!(key.unwrap(Format::Age, &[weak]).is_err());
    }
}
