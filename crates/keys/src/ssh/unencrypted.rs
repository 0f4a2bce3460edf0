//! Private keys that are not encrypted, in the formats of ssh-keygen and openssl.

use age::ssh::{Identity as AgeIdentity, UnsupportedKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use zeroize::Zeroizing;

use super::error::SshError;
use super::kind::{ED25519, RSA, check_kind};
use super::wire::{self, OpenSshContainer};
use crate::pem;

pub(super) const OPENSSH: &str = "OPENSSH PRIVATE KEY";
pub(super) const PKCS1: &str = "RSA PRIVATE KEY";

/// Key types of PKCS #8, with their names.
const KINDS: [(&str, &str); 8] = [
    (ED25519_OID, ED25519),
    (RSA_OID, RSA),
    ("1.2.840.10045.2.1", "ecdsa"),
    ("1.2.840.10040.4.1", "dsa"),
    ("1.3.101.110", "x25519"),
    ("1.3.101.111", "x448"),
    ("1.3.101.113", "ed448"),
    ("1.2.840.113549.1.1.10", "rsa-pss"),
];
const ED25519_OID: &str = "1.3.101.112";
const RSA_OID: &str = "1.2.840.113549.1.1.1";

/// A key that can be used without a passphrase.
pub(super) struct UnencryptedKey {
    pub(super) key: AgeIdentity,
    /// The public key in SSH's wire format.
    pub(super) blob: Vec<u8>,
}

impl UnencryptedKey {
    /// Parses OpenSSH's own format.
    pub(super) fn from_openssh(bytes: &[u8]) -> Result<Self, SshError> {
        let container = OpenSshContainer::read(bytes).filter(OpenSshContainer::has_no_zero_field);
        let container = container.ok_or(SshError::Invalid)?;
        let blob = container.public.to_vec();
        check_kind(&blob)?;
        Self::from_text(&pem::write(OPENSSH, bytes), blob)
    }

    /// Parses an RSA key in PKCS #1.
    pub(super) fn from_pkcs1(bytes: &[u8]) -> Result<Self, SshError> {
        let blob = wire::public_half_of_pkcs1(bytes).ok_or(SshError::Invalid)?;
        Self::from_text(&pem::write(PKCS1, bytes), blob)
    }

    /// Parses a key in PKCS #8.
    pub(super) fn from_pkcs8(bytes: &[u8]) -> Result<Self, SshError> {
        let info = PrivateKeyInfo::try_from(bytes).map_err(|_| SshError::Invalid)?;
        let is = |oid: &str| info.algorithm.oid == ObjectIdentifier::new_unwrap(oid);
        let known = KINDS.iter().find(|(oid, _)| is(oid)).map(|(_, kind)| *kind);
        match known {
            Some(RSA) => Self::from_pkcs1(info.private_key),
            Some(ED25519) => {
                // An OCTET STRING inside an OCTET STRING (RFC 8410).
                let seed = info.private_key.strip_prefix(&[4, 32]).unwrap_or_default();
                let seed: Zeroizing<[u8; 32]> =
                    Zeroizing::new(seed.try_into().map_err(|_| SshError::Invalid)?);
                Self::from_seed(&seed)
            }
            Some(kind) => Err(SshError::Kind(kind.to_owned())),
            None => Err(SshError::Kind(info.algorithm.oid.to_string())),
        }
    }

    fn from_seed(seed: &[u8; 32]) -> Result<Self, SshError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SshError::Invalid)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| SshError::Invalid)?;
        Self::from_openssh(&wire::openssh_ed25519(seed, public))
    }

    fn from_text(text: &str, blob: Vec<u8>) -> Result<Self, SshError> {
        let key = AgeIdentity::from_buffer(text.as_bytes(), None).map_err(|_| SshError::Invalid)?;
        match key {
            AgeIdentity::Unencrypted(_) => Ok(Self { key, blob }),
            AgeIdentity::Unsupported(
                UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind),
            ) => Err(SshError::Kind(wire::printable(kind.as_bytes()))),
            _ => Err(SshError::Invalid),
        }
    }
}
