//! Identities: identity files as age writes them, and SSH keys.

use std::sync::{Arc, OnceLock};

use cryptstream_format::x25519::{KeyError, SecretKey};
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, KeyFailureKind, Stanza, UnwrapError,
};
use zeroize::Zeroizing;

use crate::encrypted_file::EncryptedFile;
use crate::pem::Pem;
use crate::plugin::{PluginIdentity, Timeout};
use crate::post_quantum;
use crate::prompt::SharedCallbacks;
use crate::recipient::AnyRecipient;
use crate::ssh::{SshError, SshSecretKey};
use crate::text::{LineError, NotText, content_lines, text_of};
use crate::unsupported_key::UnsupportedKey;

/// Why text is not an identity. The text itself is not included, since it is likely to be a
/// damaged secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A public key where a secret one belongs.
    #[error("this is a recipient (a public key), not an identity")]
    IsPublic,
    /// It starts like an identity, but is not valid.
    #[error("this is not a valid identity: {0}")]
    Invalid(#[from] KeyError),
    /// An SSH key that cannot be used.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// Not recognized.
    #[error("this is not an identity; one begins with `AGE-SECRET-KEY-` or `AGE-PLUGIN-`")]
    Unknown,
    /// A key of another program.
    #[error("{0}")]
    Unsupported(UnsupportedKey),
    /// Not text.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// Text in an encoding other than UTF-8.
    #[error("the file is text in UTF-16, not in UTF-8")]
    Utf16,
    /// The file contains only comments and blank lines.
    #[error("there is no identity in the file")]
    Empty,
}

/// An identity of any kind.
pub enum AnyIdentity {
    /// `AGE-SECRET-KEY-1…`
    X25519(SecretKey),
    /// `AGE-SECRET-KEY-PQ-1…`
    PostQuantum(post_quantum::SecretKey),
    /// A private SSH key.
    Ssh(Box<SshSecretKey>),
    /// `AGE-PLUGIN-NAME-1…`: an identity held by a plugin.
    Plugin(PluginIdentity),
    /// A whole identity file, encrypted with a passphrase.
    Protected(Box<ProtectedIdentities>),
}

impl AnyIdentity {
    /// The recipients that this identity decrypts for. This decrypts a protected file.
    ///
    /// # Errors
    /// See [`ProtectedIdentities::open`] and [`SshSecretKey::to_public`].
    pub fn recipients(&self) -> Result<Vec<AnyRecipient>, KeyFailure> {
        Ok(vec![match self {
            Self::X25519(key) => AnyRecipient::X25519(key.to_public()),
            Self::PostQuantum(key) => AnyRecipient::PostQuantum(Box::new(key.to_public())),
            Self::Ssh(key) => AnyRecipient::Ssh(Box::new(key.to_public()?)),
            Self::Plugin(identity) => AnyRecipient::PluginOwner(identity.clone()),
            Self::Protected(file) => {
                let mut all = Vec::new();
                for identity in file.open()? {
                    all.extend(identity.recipients()?);
                }
                return Ok(all);
            }
        }])
    }

    /// Whether anyone who can read the file can use the identity: no passphrase or plugin is
    /// needed.
    #[must_use]
    pub fn is_unprotected(&self) -> bool {
        match self {
            Self::X25519(_) | Self::PostQuantum(_) => true,
            Self::Ssh(key) => !key.may_prompt(),
            Self::Plugin(_) | Self::Protected(_) => false,
        }
    }

    /// How much it costs to try this identity. Cheap ones should be tried first.
    #[must_use]
    pub fn effort(&self) -> u8 {
        match self {
            Self::X25519(_) => 0,
            Self::PostQuantum(_) => 1,
            Self::Ssh(key) => 2 + u8::from(key.may_prompt()),
            Self::Plugin(_) => 4,
            Self::Protected(_) => 5,
        }
    }
}

impl Identity for AnyIdentity {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        match self {
            Self::X25519(key) => key.unwrap(format, stanzas),
            Self::PostQuantum(key) => key.unwrap(format, stanzas),
            Self::Ssh(key) => key.unwrap(format, stanzas),
            Self::Plugin(identity) => identity.unwrap(format, stanzas),
            Self::Protected(file) => file.unwrap(format, stanzas),
        }
    }

    fn may_prompt(&self) -> bool {
        match self {
            Self::X25519(_) | Self::PostQuantum(_) => false,
            Self::Ssh(key) => key.may_prompt(),
            Self::Plugin(_) | Self::Protected(_) => true,
        }
    }

    fn prefers_batch(&self) -> bool {
        matches!(self, Self::Plugin(_))
    }

    fn unwrap_batch(&self, files: &[(Format, Vec<Stanza>)]) -> Vec<Option<FileKey>> {
        match self {
            Self::Plugin(identity) => identity.unwrap_batch(files),
            _ => Vec::new(),
        }
    }
}

/// An identity file that is encrypted with a passphrase. The passphrase is asked for when an
/// identity is needed.
pub struct ProtectedIdentities {
    file: EncryptedFile,
    timeout: Timeout,
    /// The identities, or why there are none. The user is asked once.
    decrypted: OnceLock<Result<Vec<AnyIdentity>, KeyFailure>>,
}

impl ProtectedIdentities {
    /// The identities in the file. Asks for the passphrase the first time.
    ///
    /// # Errors
    /// When nobody can be asked, the passphrase is wrong, or the content is damaged or not an
    /// identity file.
    pub fn open(&self) -> Result<&[AnyIdentity], KeyFailure> {
        self.decrypted.get_or_init(|| self.decrypt()).as_deref().map_err(Clone::clone)
    }

    /// Decrypts the file. Identities that cost little to try come first.
    fn decrypt(&self) -> Result<Vec<AnyIdentity>, KeyFailure> {
        let unusable = |what: &str| self.file.failure(KeyFailureKind::Unusable, what);
        let content = self.file.decrypt()?;
        let EncryptedFile { name, callbacks, .. } = &self.file;
        let mut identities = parse_identities(&content, name, callbacks, self.timeout)
            .map_err(|error| unusable(&format!("has content that cannot be used: {error}")))?;
        if identities.iter().any(|identity| matches!(identity, AnyIdentity::Protected(_))) {
            return Err(unusable("holds another encrypted file"));
        }
        identities.sort_by_key(AnyIdentity::effort);
        Ok(identities)
    }
}

impl Identity for ProtectedIdentities {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let mut unusable = None;
        for identity in self.open()? {
            match identity.unwrap(format, stanzas) {
                Ok(Some(file_key)) => return Ok(Some(file_key)),
                Ok(None) => {}
                // A missing plugin does not hide the identities after it.
                Err(UnwrapError::Key(failure)) => {
                    unusable.get_or_insert(failure);
                }
                Err(error) => return Err(error),
            }
        }
        unusable.map_or(Ok(None), |failure| Err(failure.into()))
    }

    fn may_prompt(&self) -> bool {
        true
    }
}

/// Parses an identity file: one identity per line, with blank lines and `#` comments; or one
/// private SSH key; or either, encrypted with a passphrase. There is at least one identity.
///
/// Prompts and messages call the file `name`.
///
/// # Errors
/// See [`IdentityError`]; the first line that is not an identity.
pub fn parse_identities(
    content: &[u8],
    name: &str,
    callbacks: &SharedCallbacks,
    timeout: Timeout,
) -> Result<Vec<AnyIdentity>, LineError<IdentityError>> {
    if let Some(file) = EncryptedFile::recognize(content, name, callbacks) {
        let file = ProtectedIdentities { file, timeout, decrypted: OnceLock::new() };
        return Ok(vec![AnyIdentity::Protected(Box::new(file))]);
    }
    let text = text_of(content).map_err(|reason| match reason {
        NotText::Utf16 => LineError { line: 1, error: IdentityError::Utf16 },
        NotText::Line(line) => LineError { line, error: IdentityError::NotText },
    })?;
    let whole = |error| LineError { line: 1, error };
    if let Some(other) = UnsupportedKey::recognize(text) {
        return Err(whole(IdentityError::Unsupported(other)));
    }
    if Pem::is_meant(text) {
        let pem = Pem::read(text).ok_or(SshError::Invalid);
        let key = pem.and_then(|pem| SshSecretKey::parse(&pem, name, callbacks));
        let key = key.map_err(|error| whole(error.into()))?;
        return Ok(vec![AnyIdentity::Ssh(Box::new(key))]);
    }
    let mut identities = Vec::new();
    for (line, content) in content_lines(text) {
        let identity = parse_identity(content, callbacks, timeout);
        identities.push(identity.map_err(|error| LineError { line, error })?);
    }
    if identities.is_empty() {
        return Err(LineError { line: text.lines().count().max(1), error: IdentityError::Empty });
    }
    Ok(identities)
}

fn parse_identity(
    text: &str,
    callbacks: &SharedCallbacks,
    timeout: Timeout,
) -> Result<AnyIdentity, IdentityError> {
    let begins = |prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if begins("AGE-SECRET-KEY-PQ-1") {
        return Ok(AnyIdentity::PostQuantum(text.parse()?));
    }
    if begins("AGE-SECRET-KEY-") {
        return Ok(AnyIdentity::X25519(text.parse()?));
    }
    if begins("AGE-PLUGIN-") {
        let identity = text.parse().map_err(|_| IdentityError::Invalid(KeyError::Checksum))?;
        let callbacks = SharedCallbacks::clone(callbacks);
        let state = Arc::default();
        return Ok(AnyIdentity::Plugin(PluginIdentity { identity, callbacks, timeout, state }));
    }
    let is_public = ["age1", "ssh-", "ecdsa-", "sk-"].iter().any(|prefix| begins(prefix));
    Err(if is_public { IdentityError::IsPublic } else { IdentityError::Unknown })
}

/// Formats an identity file as age does: comments with `created` (such as a date) and the
/// recipient, then the secret.
#[must_use]
pub fn write_identity(
    secret: &str,
    public: &dyn std::fmt::Display,
    created: &str,
) -> Zeroizing<String> {
    let public = public.to_string();
    // Allocated once, so that growing leaves no copy in memory.
    let mut file = Zeroizing::new(String::with_capacity(512 + public.len()));
    for part in ["# created: ", created, "\n# public key: ", &public, "\n", secret, "\n"] {
        file.push_str(part);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::NoCallbacks;

    fn parse(content: &str) -> Result<Vec<AnyIdentity>, LineError<IdentityError>> {
        parse_identities(
            content.as_bytes(),
            "FILE",
            &(Arc::new(NoCallbacks) as SharedCallbacks),
            None,
        )
    }

    #[test]
    fn what_is_written_is_read() {
        let key = SecretKey::generate().unwrap();
        let file = write_identity(&key.expose_text(), &key.to_public(), "2026-01-01T00:00:00Z");
        assert!(file.contains(&format!("# public key: {}\n", key.to_public())));
        let read = parse(&file).unwrap();
        let recipients = read[0].recipients().unwrap();
        assert_eq!(recipients[0].to_string(), key.to_public().to_string());
        let key = post_quantum::SecretKey::generate().unwrap();
        let file = write_identity(&key.expose_text(), &key.to_public(), "2026-01-01T00:00:00Z");
        let recipients = parse(&file).unwrap()[0].recipients().unwrap();
        assert_eq!(recipients[0].to_string(), key.to_public().to_string());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_repeated() {
        let key = SecretKey::generate().unwrap();
        let secret = key.expose_text();
        let cut = &secret[..secret.len() - 1];
        for (text, error) in [
            (cut, IdentityError::Invalid(KeyError::Checksum)),
            (&key.to_public().to_string(), IdentityError::IsPublic),
            ("ssh-ed25519 AAAA", IdentityError::IsPublic),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", IdentityError::Invalid(KeyError::Checksum)),
            ("AGE-SECRET-KEY-PQ-1QQQ", IdentityError::Invalid(KeyError::Checksum)),
            ("swordfish", IdentityError::Unknown),
        ] {
            let failure = parse(&format!("# mine\n{text}\n")).err();
            assert_eq!(failure, Some(LineError { line: 2, error }));
            assert!(!failure.unwrap().to_string().contains(text));
        }
        let empty = parse("# nothing\n\n").err();
        assert_eq!(empty, Some(LineError { line: 2, error: IdentityError::Empty }));
        for (text, error) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", SshError::Invalid.into()),
            (
                "PuTTY-User-Key-File-3: ssh-ed25519\n",
                IdentityError::Unsupported(UnsupportedKey::Putty),
            ),
            ("{\"kty\": \"OKP\"}", IdentityError::Unsupported(UnsupportedKey::Jwk)),
            (
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
                IdentityError::Unsupported(UnsupportedKey::PgpSecret),
            ),
        ] {
            assert_eq!(parse(text).err(), Some(LineError { line: 1, error }), "{text}");
        }
        let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [&utf16[..], &[b"\xff\xfe", &utf16[..]].concat()] {
            let failure =
                parse_identities(bytes, "FILE", &(Arc::new(NoCallbacks) as SharedCallbacks), None)
                    .err();
            assert_eq!(failure, Some(LineError { line: 1, error: IdentityError::Utf16 }));
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_file() {
        let key = SecretKey::generate().unwrap();
        let file = write_identity(&key.expose_text(), &key.to_public(), "today");
        assert!(parse(&format!("\u{feff}{}", *file)).is_ok());
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/tests/data/ssh_ed25519");
        let ssh = std::fs::read_to_string(data).unwrap();
        for before in ["", "\u{feff}", "\n \r\n", "\u{feff}\n# mine\n"] {
            let text = format!("{before}{}", ssh.replace('\n', " \r\n"));
            assert!(matches!(parse(&text).unwrap()[..], [AnyIdentity::Ssh(_)]), "{before:?}");
        }
    }
}
