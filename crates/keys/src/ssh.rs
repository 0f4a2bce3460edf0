//! SSH keys, as age uses them: `ssh-ed25519` and `ssh-rsa`.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use age::ssh::{Identity as AgeIdentity, ParseRecipientKeyError, UnsupportedKey};
use age_core::secrecy::SecretString;
use aws_lc_rs::digest;
use base64ct::{Base64, Base64Unpadded, Encoding};
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, KeyFailureKind, Recipient, Stanza, UnwrapError,
    WrapError, Wrapped,
};

use crate::foreign;
use crate::talk::Talker;

/// Why a text is not an SSH key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Damaged, or cut off.
    #[error("this SSH key is damaged or cut off")]
    Invalid,
    /// Less than 2048 bits or more than 4096.
    #[error("this RSA key has fewer than 2048 or more than 4096 bits")]
    Size,
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
pub struct SshPublicKey(age::ssh::Recipient);

/// The secret half, which may be protected by a passphrase itself.
pub struct SshSecretKey {
    key: AgeIdentity,
    public: SshPublicKey,
    /// Where it comes from, for asking.
    name: String,
    talker: Talker,
    unlocked: OnceLock<AgeIdentity>,
}

impl FromStr for SshPublicKey {
    type Err = SshError;

    fn from_str(text: &str) -> Result<Self, SshError> {
        let blob = text.split(' ').nth(1).and_then(|word| Base64::decode_vec(word).ok());
        if blob.is_none_or(|blob| wire::has_zero_field(&blob)) {
            return Err(SshError::Invalid);
        }
        text.parse().map(Self).map_err(public_error)
    }
}

fn public_error(error: ParseRecipientKeyError) -> SshError {
    match error {
        ParseRecipientKeyError::RsaModulusTooLarge | ParseRecipientKeyError::RsaModulusTooSmall => {
            SshError::Size
        }
        ParseRecipientKeyError::Unsupported(kind) => SshError::Kind(kind),
        _ => SshError::Invalid,
    }
}

impl fmt::Display for SshPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SshPublicKey {
    /// The first four bytes of the key's hash, by which a stanza names it.
    fn tag(&self) -> Option<String> {
        let text = self.0.to_string();
        let bytes = Base64::decode_vec(text.split(' ').nth(1)?).ok()?;
        let hash = digest::digest(&digest::SHA256, &bytes);
        Some(Base64Unpadded::encode_string(&hash.as_ref()[..4]))
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
        let text = text.replace("\r\n", "\n");
        if text.starts_with(wire::BEGIN) && !wire::is_sound(&text) {
            return Err(SshError::Invalid);
        }
        let key = AgeIdentity::from_buffer(text.as_bytes(), None).map_err(|_| SshError::Invalid)?;
        if let AgeIdentity::Unsupported(key) = &key {
            return Err(match key {
                UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind) => {
                    SshError::Kind(kind.chars().take(40).collect())
                }
                _ => SshError::OldProtection,
            });
        }
        let public = SshPublicKey(key.clone().try_into().map_err(public_error)?);
        let (name, talker) = (name.to_owned(), Talker::clone(talker));
        Ok(Self { key, public, name, talker, unlocked: OnceLock::new() })
    }

    /// The public half, for which no passphrase is needed.
    #[must_use]
    pub fn to_public(&self) -> SshPublicKey {
        self.public.clone()
    }

    /// The key; asks for its passphrase if it is protected.
    fn unlocked(&self) -> Result<&AgeIdentity, KeyFailure> {
        let AgeIdentity::Encrypted(protected) = &self.key else { return Ok(&self.key) };
        if let Some(key) = self.unlocked.get() {
            return Ok(key);
        }
        let failure = |kind, what: &str| KeyFailure {
            kind,
            message: format!("the SSH key in {} {what}", self.name),
        };
        let passphrase = self
            .talker
            .ask_secret(&format!("Passphrase of the SSH key in {}: ", self.name))
            .ok_or_else(|| {
                failure(
                    KeyFailureKind::CannotAsk,
                    "is protected by a passphrase, and there is no terminal to ask for it",
                )
            })?;
        let key = protected.decrypt(SecretString::from(passphrase.as_str())).map_err(|_| {
            failure(KeyFailureKind::WrongPassphrase, "is protected by another passphrase")
        })?;
        Ok(self.unlocked.get_or_init(|| key.into()))
    }
}

impl Identity for SshSecretKey {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let tag = self.public.tag();
        let is_own = |stanza: &&Stanza| {
            matches!(stanza.tag(), "ssh-ed25519" | "ssh-rsa")
                && stanza.args().get(1) == tag.as_ref()
        };
        // Nobody is asked for the passphrase of a key that does not fit.
        for stanza in stanzas.iter().filter(is_own) {
            // One that fits may fail all the same: four bytes are not much, it
            // may be for another key.
            if let Ok(Some(file_key)) =
                foreign::unwrap(self.unlocked()?, std::slice::from_ref(stanza))
            {
                return Ok(Some(file_key));
            }
        }
        Ok(None)
    }

    fn may_ask(&self) -> bool {
        matches!(self.key, AgeIdentity::Encrypted(_))
    }
}

/// A look at keys before the library does: it panics at a number that is
/// written as nothing but zeros, which no key has.
mod wire {
    use base64ct::{Base64, Encoding};

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
        let lines = text.lines().skip(1).take_while(|line| !line.starts_with('-'));
        let bytes = Base64::decode_vec(&lines.collect::<String>()).unwrap_or_default();
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
}
