//! Recipients.

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::digest;
use cryptstream_format::armor::is_armored;
use cryptstream_format::x25519::{KeyError, PublicKey};
use cryptstream_format::{Format, Recipient};

use zeroize::Zeroizing;

use crate::plugin::{PluginIdentity, PluginRecipients, Timeout};
use crate::post_quantum;
use crate::prompt::SharedCallbacks;
use crate::ssh::{SshError, SshPublicKey};
use crate::tagged::TaggedRecipient;
use crate::text::{LineError, NotText, content_lines, text_of, without_mark};
use crate::unsupported_key::UnsupportedKey;

/// Why text is not a recipient. The text itself is not included, since it might be a secret
/// that was pasted into the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A secret key where a public one belongs.
    #[error("this is a secret key, not a recipient")]
    IsSecret,
    /// It starts like a recipient, but is not valid.
    #[error("this is not a valid recipient: {0}")]
    Invalid(#[from] KeyError),
    /// It starts like an SSH key.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// An SSH key with something before it, as in `authorized_keys` and `known_hosts`.
    #[error("this line has something before the SSH key, such as options")]
    BeforeKey,
    /// A key of another program.
    #[error("{0}")]
    Unsupported(UnsupportedKey),
    /// A file that is encrypted, such as a protected identity file.
    #[error("this is an encrypted file, not a file of recipients")]
    Encrypted,
    /// Not text.
    #[error("this is not text (UTF-8)")]
    NotText,
    /// Text in an encoding other than UTF-8.
    #[error("the file is text in UTF-16, not in UTF-8")]
    Utf16,
    /// Not recognized.
    #[error("this is not a recipient; one begins with `age1` or `ssh-`")]
    Unknown,
}

/// A recipient of any kind.
#[derive(Clone)]
pub enum AnyRecipient {
    /// `age1…`
    X25519(PublicKey),
    /// `age1pq1…`
    PostQuantum(Box<post_quantum::PublicKey>),
    /// `age1tag1…`, `age1tagpq1…`: a hardware key. Encrypting needs no plugin.
    Tagged(Box<TaggedRecipient>),
    /// `ssh-ed25519 …`, `ssh-rsa …`
    Ssh(Box<SshPublicKey>),
    /// `age1name1…`: a recipient of a plugin.
    Plugin(age::plugin::Recipient),
    /// The owner of a plugin's identity.
    PluginOwner(PluginIdentity),
}

impl fmt::Display for AnyRecipient {
    /// The text form. The owner of a plugin's identity has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X25519(key) => key.fmt(f),
            Self::PostQuantum(key) => key.fmt(f),
            Self::Tagged(key) => key.fmt(f),
            Self::Ssh(key) => key.fmt(f),
            Self::Plugin(recipient) => recipient.fmt(f),
            Self::PluginOwner(owner) => {
                write!(f, "(the owner of a key of age-plugin-{})", owner.identity.plugin())
            }
        }
    }
}

impl AnyRecipient {
    /// A unique value: a hash, since the text of a plugin's identity may be secret.
    fn fingerprint(&self) -> [u8; 32] {
        let text = Zeroizing::new(match self {
            Self::PluginOwner(owner) => owner.identity.to_string(),
            recipient => recipient.to_string(),
        });
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        fingerprint
    }
}

/// Parses one recipient.
///
/// # Errors
/// See [`RecipientError`].
pub fn parse_recipient(text: &str) -> Result<AnyRecipient, RecipientError> {
    let text = text.trim();
    let upper = text.get(..11).unwrap_or(text).to_ascii_uppercase();
    if let Some(other) = UnsupportedKey::recognize(text) {
        return Err(RecipientError::Unsupported(other));
    }
    if ["AGE-SECRET-", "AGE-PLUGIN-", "-----BEGIN "].contains(&upper.as_str()) {
        return Err(RecipientError::IsSecret);
    }
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
        return Ok(AnyRecipient::Ssh(Box::new(text.parse()?)));
    }
    if text.to_ascii_lowercase().starts_with("age1pq1") {
        return Ok(AnyRecipient::PostQuantum(Box::new(text.parse()?)));
    }
    // Checked before plugins, whose recipients look the same.
    if TaggedRecipient::is_meant(text) {
        return Ok(AnyRecipient::Tagged(Box::new(text.parse()?)));
    }
    match text.parse() {
        Ok(key) => Ok(AnyRecipient::X25519(key)),
        // A plugin's recipient may be longer than an X25519 key, which looks like a wrong
        // checksum here.
        Err(_) if let Ok(recipient) = text.parse() => Ok(AnyRecipient::Plugin(recipient)),
        Err(error) if text.to_ascii_lowercase().starts_with("age1") => Err(error.into()),
        Err(_) if has_key_inside(text) => Err(RecipientError::BeforeKey),
        Err(_) => Err(RecipientError::Unknown),
    }
}

/// Whether a line contains an SSH key after something else.
fn has_key_inside(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    // Every key starts with the length of its type's name.
    words.windows(2).skip(1).any(|pair| {
        ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| pair[0].starts_with(kind))
            && pair[1].starts_with("AAAA")
    })
}

/// The content of a recipients file.
pub struct RecipientsFile {
    /// The recipients, in order.
    pub recipients: Vec<AnyRecipient>,
    /// SSH keys of unsupported types or sizes, which are skipped, as age does: such files are
    /// often a server's `authorized_keys`.
    pub passed_over: Vec<LineError<SshError>>,
}

/// Parses a recipients file: one recipient per line, with blank lines and `#` comments.
///
/// # Errors
/// The first line that is not a recipient.
pub fn parse_recipients(content: &[u8]) -> Result<RecipientsFile, LineError<RecipientError>> {
    let whole = |error| LineError { line: 1, error };
    let is_encrypted = |format: &Format| content.starts_with(format.version_line());
    if is_armored(without_mark(content)) || Format::ALL.iter().any(is_encrypted) {
        return Err(whole(RecipientError::Encrypted));
    }
    let text = text_of(content).map_err(|reason| match reason {
        NotText::Utf16 => whole(RecipientError::Utf16),
        NotText::Line(line) => LineError { line, error: RecipientError::NotText },
    })?;
    if let Some(other) = UnsupportedKey::recognize(text) {
        return Err(whole(RecipientError::Unsupported(other)));
    }
    let mut file = RecipientsFile { recipients: Vec::new(), passed_over: Vec::new() };
    for (line, content) in content_lines(text) {
        match parse_recipient(content) {
            Ok(recipient) => file.recipients.push(recipient),
            Err(RecipientError::Ssh(error @ (SshError::Kind(_) | SshError::Size(_)))) => {
                file.passed_over.push(LineError { line, error });
            }
            Err(error) => return Err(LineError { line, error }),
        }
    }
    Ok(file)
}

/// Prepares recipients for encryption: removes duplicates, and groups the recipients of each
/// plugin into one session.
#[must_use]
pub fn prepare_recipients(
    recipients: Vec<AnyRecipient>,
    callbacks: &SharedCallbacks,
    timeout: Timeout,
) -> Vec<Box<dyn Recipient + Sync>> {
    let (mut ready, mut of_plugins, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for recipient in recipients {
        if !seen.insert(recipient.fingerprint()) {
            continue;
        }
        let boxed: Box<dyn Recipient + Sync> = match recipient {
            AnyRecipient::X25519(key) => Box::new(key),
            AnyRecipient::PostQuantum(key) => key,
            AnyRecipient::Tagged(key) => key,
            AnyRecipient::Ssh(key) => key,
            AnyRecipient::Plugin(recipient) => {
                of_plugins.push(recipient);
                continue;
            }
            AnyRecipient::PluginOwner(owner) => {
                owners.push(owner.identity);
                continue;
            }
        };
        ready.push(boxed);
    }
    let groups = PluginRecipients::group(of_plugins, owners, callbacks, timeout);
    ready.extend(groups.into_iter().map(|group| Box::new(group) as Box<dyn Recipient + Sync>));
    ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptstream_format::x25519::SecretKey;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHFliOyIZs1gxGF3fmDxFykQhE88wy6AKDGFBfn0R6ZuvRmENABZQa9+pj9hMki+LX0qDJbmHTiWDbYv/cmFt/Q=";

    fn texts(file: &RecipientsFile) -> Vec<String> {
        file.recipients.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_with_comments_and_blank_lines_is_read() {
        let keys: Vec<_> = (0..2).map(|_| SecretKey::generate().unwrap().to_public()).collect();
        let text = format!("# Alice\r\n{}\r\n\n  {}  \n#end\n{ED25519} me@here", keys[0], keys[1]);
        let read = parse_recipients(text.as_bytes()).unwrap();
        assert_eq!(texts(&read), [keys[0].to_string(), keys[1].to_string(), ED25519.to_owned()]);
        assert!(parse_recipients(b"# nobody\n").unwrap().recipients.is_empty());
    }

    #[test]
    fn every_kind_is_told() {
        let quantum = post_quantum::SecretKey::generate().unwrap().to_public().to_string();
        assert!(matches!(parse_recipient(&quantum), Ok(AnyRecipient::PostQuantum(_))));
        assert!(matches!(parse_recipient(ED25519), Ok(AnyRecipient::Ssh(_))));
        // From the documentation of age-plugin-yubikey.
        let plugin = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
        assert!(matches!(parse_recipient(plugin), Ok(AnyRecipient::Plugin(_))));
        let mut cut = quantum;
        cut.pop();
        assert_eq!(parse_recipient(&cut).err(), Some(RecipientError::Invalid(KeyError::Checksum)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let key = SecretKey::generate().unwrap();
        let public = key.to_public().to_string();
        let typo = format!("{}{}", &public[..20], &public[21..]);
        let mut weak = ED25519.to_owned();
        weak.truncate(40);
        for (text, error) in [
            (typo.as_str(), RecipientError::Invalid(KeyError::Checksum)),
            (&key.expose_text(), RecipientError::IsSecret),
            (&key.expose_text().to_lowercase(), RecipientError::IsSecret),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", RecipientError::IsSecret),
            (&weak, RecipientError::Ssh(SshError::Invalid)),
            ("hello", RecipientError::Unknown),
        ] {
            assert_eq!(parse_recipient(text).err(), Some(error.clone()), "{text}");
            let file = format!("# one\n{public}\n{text}\n");
            assert_eq!(parse_recipients(file.as_bytes()).err(), Some(LineError { line: 3, error }));
        }
    }

    #[test]
    fn lines_are_read_as_openssh_reads_them() {
        let (kind, key) = ED25519.split_once(' ').unwrap();
        for line in [
            format!("{kind}\t{key}"),
            format!("{kind}  {key}"),
            format!("{kind} {key}\tme@here"),
            format!(" {kind} {key} a comment of words  \r"),
        ] {
            let read = parse_recipients(line.as_bytes()).unwrap();
            assert_eq!(texts(&read), [ED25519], "{line:?}");
            assert!(parse_recipient(&line).is_ok());
        }
        for before in ["from=\"10.0.0.1, x\",no-pty", "cert-authority", "host.example"] {
            let error = parse_recipients(format!("{before} {ED25519}").as_bytes()).err().unwrap();
            assert_eq!(error.error, RecipientError::BeforeKey);
        }
    }

    #[test]
    fn files_that_are_something_else_are_named() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for (content, error) in [
            (b"age-encryption.org/v1\n".to_vec(), RecipientError::Encrypted),
            (
                b"\xef\xbb\xbf-----BEGIN AGE ENCRYPTED FILE-----\n".to_vec(),
                RecipientError::Encrypted,
            ),
            (
                b"-----BEGIN PUBLIC KEY-----\n".to_vec(),
                RecipientError::Unsupported(UnsupportedKey::PublicPem),
            ),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\n".to_vec(), RecipientError::IsSecret),
            (utf16(&format!("\u{feff}{ED25519}\n")), RecipientError::Utf16),
            (b"age1\xff".to_vec(), RecipientError::NotText),
        ] {
            let failure = parse_recipients(&content).err();
            assert_eq!(failure, Some(LineError { line: 1, error }), "{content:?}");
        }
        let marked = format!("\u{feff}{ED25519}\n");
        assert_eq!(texts(&parse_recipients(marked.as_bytes()).unwrap()), [ED25519]);
    }

    #[test]
    fn a_recipient_that_is_given_twice_is_encrypted_to_once() {
        let key = SecretKey::generate().unwrap().to_public().to_string();
        let texts = [&key, ED25519, &format!("{ED25519}\tother comment"), &key.to_uppercase()];
        let all = texts.map(|text| parse_recipient(text).unwrap()).to_vec();
        let callbacks: SharedCallbacks = std::sync::Arc::new(crate::prompt::NoCallbacks);
        assert_eq!(prepare_recipients(all, &callbacks, None).len(), 2);
    }

    #[test]
    fn ssh_keys_of_other_kinds_are_passed_over_in_files_only() {
        let file = parse_recipients(format!("{ECDSA}\n{ED25519}\n").as_bytes()).unwrap();
        assert_eq!((file.recipients.len(), file.passed_over[0].line), (1, 1));
        assert!(matches!(parse_recipient(ECDSA), Err(RecipientError::Ssh(SshError::Kind(_)))));
    }
}
