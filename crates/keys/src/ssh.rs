//! SSH keys, as in age: `ssh-ed25519` and `ssh-rsa`.

mod encrypted;
mod error;
mod kind;
mod unencrypted;
mod wire;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use age::ssh::Recipient as AgeRecipient;
use aws_lc_rs::digest;
use base64ct::{Base64, Base64Unpadded, Encoding};
use cryptstream_format::stanza::StanzaError;
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, KeyFailureKind, Recipient, Stanza, UnwrapError,
    WrapError, Wrapped, x25519,
};
use cryptstream_protection::Protection;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};

use self::encrypted::{DecryptError, EncryptedKey};
pub use self::error::SshError;
use self::kind::{ED25519, RSA, check_kind};
use self::unencrypted::{OPENSSH, PKCS1, UnencryptedKey};
use self::wire::OpenSshContainer;
use crate::age_compat;
use crate::pem::Pem;
use crate::prompt::{SharedCallbacks, decrypt_protected};

/// Sizes of RSA keys that can be encrypted to: age's minimum to `ssh-keygen`'s maximum.
/// Identities of other sizes still decrypt.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=16_384;

/// An SSH public key.
#[derive(Clone, Debug)]
pub struct SshPublicKey(AgeRecipient);

/// An SSH private key, which may be encrypted with a passphrase.
pub struct SshSecretKey {
    stored: StoredKey,
    /// The name that prompts and messages use.
    name: String,
    callbacks: SharedCallbacks,
    /// The decrypted key, or why there is none. The user is asked once.
    decrypted: OnceLock<Result<UnencryptedKey, KeyFailure>>,
}

enum StoredKey {
    Unencrypted(UnencryptedKey),
    Encrypted {
        key: EncryptedKey,
        /// The public key in SSH's wire format, if the file has it unencrypted.
        public: Option<Vec<u8>>,
    },
}

impl FromStr for SshPublicKey {
    type Err = SshError;

    fn from_str(text: &str) -> Result<Self, SshError> {
        // As in OpenSSH: separated by blanks or tabs, with an optional comment.
        let mut words = text.split_ascii_whitespace();
        let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
            return Err(SshError::Invalid);
        };
        let blob = Base64::decode_vec(blob).map_err(|_| SshError::Invalid)?;
        if wire::kind(&blob) != Some(kind.as_bytes()) {
            return Err(SshError::Invalid);
        }
        Self::from_blob(&blob)
    }
}

impl SshPublicKey {
    /// Parses a key in SSH's wire format, and rejects weak keys.
    fn from_blob(blob: &[u8]) -> Result<Self, SshError> {
        match check_kind(blob)? {
            ED25519 => Self::ed25519(blob),
            _ => Self::rsa(blob),
        }
    }

    fn ed25519(blob: &[u8]) -> Result<Self, SshError> {
        let text = format!("{ED25519} {}", Base64::encode_string(blob));
        let Ok(AgeRecipient::SshEd25519(read, point)) = text.parse() else {
            return Err(SshError::Invalid);
        };
        if Protection::SshLowOrder.is_on() && point.is_small_order() {
            return Err(SshError::LowOrder);
        }
        // A non-canonical encoding would give the same key two names. No tool writes one
        // (RFC 8032, 5.1.3).
        if wire::ed25519_bytes(blob) != Some(point.compress().as_bytes()) {
            return Err(SshError::Invalid);
        }
        Ok(Self(AgeRecipient::SshEd25519(read, point)))
    }

    fn rsa(blob: &[u8]) -> Result<Self, SshError> {
        let (exponent, modulus) = wire::rsa_numbers(blob).ok_or(SshError::Invalid)?;
        let modulus = BigUint::from_bytes_be(modulus);
        let bits = modulus.bits();
        if Protection::RsaSize.is_on() && !RSA_BITS.contains(&bits) {
            return Err(SshError::Size(bits));
        }
        // This rejects even moduli, and exponents of 1 or of more than 33 bits.
        let exponent = BigUint::from_bytes_be(exponent);
        let key = RsaPublicKey::new_with_max_size(modulus, exponent, *RSA_BITS.end());
        let key = key.map_err(|_| SshError::Invalid)?;
        if *key.e() == BigUint::from(1u8) {
            return Err(SshError::Invalid);
        }
        Ok(Self(AgeRecipient::SshRsa(blob.to_vec(), key)))
    }
}

/// The first four bytes of the key's hash, which stanzas carry.
fn tag(blob: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, blob);
    Base64Unpadded::encode_string(&hash.as_ref()[..4])
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Recipient for SshPublicKey {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        Ok(age_compat::wrap(&self.0, file_key)?)
    }
}

impl SshSecretKey {
    /// Parses a private key written by ssh-keygen or openssl. Prompts call it `name`.
    pub(crate) fn parse(
        pem: &Pem<'_>,
        name: &str,
        callbacks: &SharedCallbacks,
    ) -> Result<Self, SshError> {
        let bytes = pem.content.as_slice();
        let encrypted = |key| StoredKey::Encrypted { key, public: None };
        let stored = match pem.label {
            OPENSSH => {
                let container =
                    OpenSshContainer::read(bytes).filter(OpenSshContainer::has_no_zero_field);
                let container = container.ok_or(SshError::Invalid)?;
                check_kind(container.public)?;
                if container.cipher == b"none" {
                    StoredKey::Unencrypted(UnencryptedKey::from_openssh(bytes)?)
                } else {
                    let public = Some(container.public.to_vec());
                    StoredKey::Encrypted { key: EncryptedKey::openssh(bytes, &container), public }
                }
            }
            PKCS1 if pem.header("Proc-Type").is_some() => encrypted(EncryptedKey::pkcs1(pem)?),
            PKCS1 => StoredKey::Unencrypted(UnencryptedKey::from_pkcs1(bytes)?),
            "PRIVATE KEY" => StoredKey::Unencrypted(UnencryptedKey::from_pkcs8(bytes)?),
            "ENCRYPTED PRIVATE KEY" => encrypted(EncryptedKey::pkcs8(bytes)?),
            "EC PRIVATE KEY" => return Err(SshError::Kind("ecdsa".to_owned())),
            "DSA PRIVATE KEY" => return Err(SshError::Kind("dsa".to_owned())),
            _ => return Err(SshError::Invalid),
        };
        let (name, callbacks) = (name.to_owned(), SharedCallbacks::clone(callbacks));
        Ok(Self { stored, name, callbacks, decrypted: OnceLock::new() })
    }

    /// The public key. Most encrypted keys need no passphrase for that; PKCS #8 and openssl's
    /// older format encrypt it too.
    ///
    /// # Errors
    /// If the key cannot be encrypted to, such as an RSA key that is too small, or if it must be
    /// decrypted first and cannot be.
    pub fn to_public(&self) -> Result<SshPublicKey, KeyFailure> {
        let blob = match self.public() {
            Some(blob) => blob,
            None => &self.decrypted()?.blob,
        };
        SshPublicKey::from_blob(blob).map_err(|error| self.unusable(&error))
    }

    /// The public key in SSH's wire format, if it is known.
    fn public(&self) -> Option<&[u8]> {
        match &self.stored {
            StoredKey::Unencrypted(key) => Some(&key.blob),
            StoredKey::Encrypted { public: Some(public), .. } => Some(public),
            StoredKey::Encrypted { .. } => match self.decrypted.get() {
                Some(Ok(key)) => Some(&key.blob),
                _ => None,
            },
        }
    }

    /// The key. Asks for the passphrase if it is encrypted.
    fn decrypted(&self) -> Result<&UnencryptedKey, KeyFailure> {
        let key = match &self.stored {
            StoredKey::Unencrypted(key) => return Ok(key),
            StoredKey::Encrypted { key: EncryptedKey::Unsupported(error), .. } => {
                return Err(self.unusable(error));
            }
            StoredKey::Encrypted { key, .. } => key,
        };
        let ask = || {
            let name = self.named();
            decrypt_protected(&self.callbacks, &name, |passphrase| {
                key.open(passphrase).map_err(|error| match error {
                    DecryptError::WrongPassphrase => KeyFailure {
                        kind: KeyFailureKind::WrongPassphrase,
                        message: format!("{name} is protected by another passphrase"),
                    },
                    DecryptError::Unusable(error) => self.unusable(&error),
                })
            })
        };
        self.decrypted.get_or_init(ask).as_ref().map_err(Clone::clone)
    }

    fn named(&self) -> String {
        format!("the SSH key in {}", self.name)
    }

    fn unusable(&self, error: &SshError) -> KeyFailure {
        let kind = match error {
            SshError::Cipher(_) | SshError::Rounds(_) | SshError::Costly => {
                KeyFailureKind::Protection
            }
            _ => KeyFailureKind::Unusable,
        };
        KeyFailure { kind, message: format!("{}: {error}", self.named()) }
    }
}

impl Identity for SshSecretKey {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let blob = match self.public() {
            Some(blob) => blob,
            None if !stanzas.iter().any(|stanza| [ED25519, RSA].contains(&stanza.tag())) => {
                return Ok(None);
            }
            None => &self.decrypted()?.blob,
        };
        let own_tag = tag(blob);
        let kind = if wire::kind(blob) == Some(RSA.as_bytes()) { RSA } else { ED25519 };
        let is_own = |stanza: &&Stanza| {
            stanza.tag() == kind && stanza.args().nth(1) == Some(own_tag.as_str())
        };
        // The user is not asked for the passphrase of a key that no stanza names.
        for stanza in stanzas.iter().filter(is_own) {
            if kind == ED25519 && has_low_order_share(stanza) {
                return Err(StanzaError::Malformed(ED25519).into());
            }
            match age_compat::unwrap(&self.decrypted()?.key, std::slice::from_ref(stanza)) {
                Ok(Some(file_key)) => return Ok(Some(file_key)),
                // As in age, only the first stanza that names the key counts. A header with
                // a thousand of them must not cost a thousand RSA operations that an
                // attacker could time.
                _ if Protection::SshStopsAtFirst.is_on() => {
                    return Err(StanzaError::DoesNotOpen(kind).into());
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn may_prompt(&self) -> bool {
        matches!(self.stored, StoredKey::Encrypted { .. })
    }
}

/// Whether the ephemeral share of an `ssh-ed25519` stanza is a low-order point, which makes
/// the shared secret public.
fn has_low_order_share(stanza: &Stanza) -> bool {
    let mut share = [0; 32];
    let argument = stanza.args().nth(2).unwrap_or_default();
    let is_share =
        Base64Unpadded::decode(argument, &mut share).is_ok_and(|share| share.len() == 32);
    Protection::SshLowOrder.is_on()
        && is_share
        && x25519::PublicKey::from_bytes(share).is_low_order()
}

#[cfg(test)]
mod tests;
