//! Keys of other programs. They cannot be used, but are recognized, so that the message names
//! them instead of calling them damaged.

use std::fmt;

use crate::pem::Pem;

/// A key of another program, or a file that is mistaken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsupportedKey {
    /// `PuTTY-User-Key-File-…`
    Putty,
    /// A PGP secret key.
    PgpSecret,
    /// A PGP public key.
    PgpPublic,
    /// A JSON Web Key.
    Jwk,
    /// A minisign or signify key.
    Minisign,
    /// An X.509 certificate.
    Certificate,
    /// A public key written by openssl.
    PublicPem,
    /// An RSA public key in openssl's older form.
    PublicRsaPem,
    /// An SSH public key in the format of RFC 4716.
    PublicSsh2,
    /// Another PEM block.
    Pem,
}

impl UnsupportedKey {
    /// Recognizes the content of a file.
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

impl fmt::Display for UnsupportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Putty => "this is a PuTTY key, which cannot be used",
            Self::PgpSecret => "this is a secret key of PGP (gpg), which cannot be used",
            Self::PgpPublic => "this is a public key of PGP (gpg), which cannot be used",
            Self::Jwk => "this is a JSON Web Key, which cannot be used",
            Self::Minisign => "this is a signing key (minisign or signify)",
            Self::Certificate => "this is a certificate, not a key",
            Self::PublicPem | Self::PublicRsaPem => "this is a public key as openssl writes it",
            Self::PublicSsh2 => "this is an SSH public key in the format of RFC 4716",
            Self::Pem => "this is a PEM file, but not a key that can be used",
        })
    }
}
