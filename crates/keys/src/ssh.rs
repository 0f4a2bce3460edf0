//! SSH keys, as age uses them: `ssh-ed25519` and `ssh-rsa`.

mod wire;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use age::ssh::{Identity as AgeIdentity, Recipient as AgeRecipient, UnsupportedKey};
use age_core::secrecy::SecretString;
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
use zeroize::Zeroizing;

use crate::foreign;
use crate::talk::{Talker, open_protected};

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
/// Sizes of RSA keys that are encrypted to: at least what age asks for, at most what
/// `ssh-keygen` makes. Identities of other sizes still decrypt.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=16_384;

/// Why a text is not an SSH key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Damaged, or cut off.
    #[error("this SSH key is damaged or cut off")]
    Invalid,
    /// An RSA key that is too small to protect anything, or absurdly large.
    #[error("this RSA key has {0} bits; encrypting needs 2048 to 16384")]
    Size(usize),
    /// A point with which everybody could open the file.
    #[error("this ssh-ed25519 key is a low-order point, which protects nothing")]
    LowOrder,
    /// A kind of key that age has no use for, such as ECDSA or one on a token.
    #[error("SSH keys of the kind {0} cannot be used, only ssh-ed25519 and ssh-rsa")]
    Kind(String),
    /// A protected key in a form that is not read.
    #[error(
        "this SSH key is protected in an old way; `ssh-keygen -p -f FILE` writes it in the present one"
    )]
    OldProtection,
}

/// The public half.
#[derive(Clone, Debug)]
pub struct SshPublicKey(AgeRecipient);

/// The secret half, which may be protected by a passphrase itself.
pub struct SshSecretKey {
    key: AgeIdentity,
    /// The public half in SSH's wire format, from which stanzas take the key's tag.
    blob: Vec<u8>,
    /// Where it comes from, for asking.
    name: String,
    talker: Talker,
    unlocked: OnceLock<AgeIdentity>,
}

impl FromStr for SshPublicKey {
    type Err = SshError;

    fn from_str(text: &str) -> Result<Self, SshError> {
        let mut words = text.split(' ');
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
    /// Reads a key in SSH's wire format, and refuses what protects nothing.
    fn from_blob(blob: &[u8]) -> Result<Self, SshError> {
        match wire::kind(blob) {
            Some(kind) if kind == ED25519.as_bytes() => Self::ed25519(blob),
            Some(kind) if kind == RSA.as_bytes() => Self::rsa(blob),
            Some(kind) => Err(SshError::Kind(wire::printable(kind))),
            None => Err(SshError::Invalid),
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
        // A second encoding of a point would be a second name of the same key. No tool
        // writes one (RFC 8032, 5.1.3).
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
        // This refuses even numbers, and exponents of 1 or of more than 33 bits.
        let exponent = BigUint::from_bytes_be(exponent);
        let key = RsaPublicKey::new_with_max_size(modulus, exponent, *RSA_BITS.end());
        let key = key.map_err(|_| SshError::Invalid)?;
        if *key.e() == BigUint::from(1u8) {
            return Err(SshError::Invalid);
        }
        Ok(Self(AgeRecipient::SshRsa(blob.to_vec(), key)))
    }
}

/// The first four bytes of the key's hash, by which a stanza names it.
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
        Ok(foreign::wrap(&self.0, file_key)?)
    }
}

impl SshSecretKey {
    /// Reads a private key in OpenSSH's form or PEM. `name` says where it
    /// comes from, when its passphrase is asked for.
    pub(crate) fn parse(text: &str, name: &str, talker: &Talker) -> Result<Self, SshError> {
        // Line ends of other systems.
        let text = Zeroizing::new(text.replace("\r\n", "\n"));
        if text.starts_with(wire::BEGIN) && !wire::is_sound(&text) {
            return Err(SshError::Invalid);
        }
        let key = AgeIdentity::from_buffer(text.as_bytes(), None).map_err(|_| SshError::Invalid)?;
        if let AgeIdentity::Unsupported(key) = &key {
            return Err(match key {
                UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind) => {
                    SshError::Kind(wire::printable(kind.as_bytes()))
                }
                _ => SshError::OldProtection,
            });
        }
        let blob = wire::public_half(&text).ok_or(SshError::Invalid)?;
        match wire::kind(&blob) {
            Some(kind) if [ED25519.as_bytes(), RSA.as_bytes()].contains(&kind) => {}
            Some(kind) => return Err(SshError::Kind(wire::printable(kind))),
            None => return Err(SshError::Invalid),
        }
        let (name, talker) = (name.to_owned(), Talker::clone(talker));
        Ok(Self { key, blob, name, talker, unlocked: OnceLock::new() })
    }

    /// The public half, for which no passphrase is needed.
    ///
    /// # Errors
    /// When it is not fit for encrypting: an RSA key may be too small and still decrypt
    /// what others have encrypted to it.
    pub fn to_public(&self) -> Result<SshPublicKey, KeyFailure> {
        SshPublicKey::from_blob(&self.blob).map_err(|error| KeyFailure {
            kind: KeyFailureKind::Unusable,
            message: format!("the SSH key in {}: {error}", self.name),
        })
    }

    /// The key; asks for its passphrase if it is protected.
    fn unlocked(&self) -> Result<&AgeIdentity, KeyFailure> {
        let AgeIdentity::Encrypted(protected) = &self.key else { return Ok(&self.key) };
        if let Some(key) = self.unlocked.get() {
            return Ok(key);
        }
        let name = format!("the SSH key in {}", self.name);
        let wrong = || KeyFailure {
            kind: KeyFailureKind::WrongPassphrase,
            message: format!("{name} is protected by another passphrase"),
        };
        let key = open_protected(&self.talker, &name, |passphrase| {
            // The library takes text only.
            let passphrase = std::str::from_utf8(passphrase).map_err(|_| wrong())?;
            protected.decrypt(SecretString::from(passphrase)).map_err(|_| wrong())
        })?;
        Ok(self.unlocked.get_or_init(|| key.into()))
    }
}

impl Identity for SshSecretKey {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let own_tag = tag(&self.blob);
        let kind = if wire::kind(&self.blob) == Some(RSA.as_bytes()) { RSA } else { ED25519 };
        let is_own = |stanza: &&Stanza| {
            stanza.tag() == kind && stanza.args().nth(1) == Some(own_tag.as_str())
        };
        // Nobody is asked for the passphrase of a key that no stanza names.
        for stanza in stanzas.iter().filter(is_own) {
            if kind == ED25519 && has_low_order_share(stanza) {
                return Err(StanzaError::Malformed(ED25519).into());
            }
            match foreign::unwrap(self.unlocked()?, std::slice::from_ref(stanza)) {
                Ok(Some(file_key)) => return Ok(Some(file_key)),
                // As in age, the first stanza that names the key decides. A header with
                // a thousand of them must not cost a thousand RSA operations, each of
                // which a stranger could time.
                _ if Protection::SshStopsAtFirst.is_on() => {
                    return Err(StanzaError::DoesNotOpen(kind).into());
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn may_ask(&self) -> bool {
        matches!(self.key, AgeIdentity::Encrypted(_))
    }
}

/// Whether the ephemeral share of an `ssh-ed25519` stanza is a low-order point, with
/// which the shared secret is known to everybody.
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
