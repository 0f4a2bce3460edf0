//! Keys of other programs, which are told by their names: whoever gives one is to learn
//! what it is, not that it is damaged.

use std::fmt;

use crate::pem::Pem;

/// A key, or what is taken for one, of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherKey {
    /// `PuTTY-User-Key-File-…`
    Putty,
    /// A secret key of PGP.
    PgpSecret,
    /// A public key of PGP.
    PgpPublic,
    /// A JSON Web Key.
    Jwk,
    /// A key of minisign or signify.
    Minisign,
    /// A certificate of X.509.
    Certificate,
    /// A public key as openssl writes it.
    PublicPem,
    /// An RSA public key in openssl's older form.
    PublicRsaPem,
    /// A public key in SSH's other form (RFC 4716).
    PublicSsh2,
    /// Another block of PEM.
    Pem,
}

impl OtherKey {
    /// What the content of a file is, if it is one of these.
    pub(crate) fn recognize(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let begins = |prefix| text.starts_with(prefix);
        if begins("PuTTY-User-Key-File-") {
            return Some(Self::Putty);
        }
        if begins("untrusted comment:") {
            return Some(Self::Minisign);
        }
        if begins("---- BEGIN SSH2 PUBLIC KEY") {
            return Some(Self::PublicSsh2);
        }
        if (begins("{") || begins("[")) && text.contains("\"kty\"") {
            return Some(Self::Jwk);
        }
        if !Pem::is_meant(text) {
            return None;
        }
        Some(match text.split("-----").nth(1)? {
            "BEGIN PGP PRIVATE KEY BLOCK" => Self::PgpSecret,
            "BEGIN PGP PUBLIC KEY BLOCK" => Self::PgpPublic,
            "BEGIN CERTIFICATE" | "BEGIN TRUSTED CERTIFICATE" => Self::Certificate,
            "BEGIN PUBLIC KEY" => Self::PublicPem,
            "BEGIN RSA PUBLIC KEY" => Self::PublicRsaPem,
            label if label.ends_with(" PRIVATE KEY") => return None,
            _ => Self::Pem,
        })
    }
}

impl fmt::Display for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Putty => "this is a PuTTY key, whose form cannot be read",
            Self::PgpSecret => "this is a secret key of PGP (gpg), which cannot be used",
            Self::PgpPublic => "this is a public key of PGP (gpg), which cannot be used",
            Self::Jwk => "this is a JSON Web Key, which cannot be used",
            Self::Minisign => "this is a key for signatures (minisign or signify)",
            Self::Certificate => "this is a certificate, not a key",
            Self::PublicPem | Self::PublicRsaPem => "this is a public key as openssl writes it",
            Self::PublicSsh2 => "this is a public SSH key in the form of RFC 4716",
            Self::Pem => "this is a PEM file, but not a key that can be used",
        })
    }
}
