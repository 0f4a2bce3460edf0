//! Recipients, identities and passphrases as people write them: on a command
//! line, in a file with comments, on a terminal.
//!
//! This crate turns text into [recipients](cryptstream_format::Recipient) and
//! [identities](cryptstream_format::Identity), and says what is wrong with a
//! text that is none, without ever repeating a secret. It reads no files:
//! callers hand it their content. What needs somebody to answer asks through
//! [`Callbacks`]. SSH keys and plugins are the crate `age`'s.

mod age_compat;
mod identity;
mod long_bech32;
mod other_key;
mod passphrase;
mod pem;
mod plugin;
pub mod post_quantum;
mod prompt;
mod protected;
mod recipient;
mod scrypt;
mod ssh;
mod tagged;

pub use identity::{AnyIdentity, IdentityError, parse_identities, write_identity};
pub use other_key::OtherKey;
pub use passphrase::{Oddity as PassphraseOddity, Passphrase, PassphraseError};
pub use plugin::{PluginIdentity, Timeout};
pub use prompt::{Callbacks, NoAnswer, NoCallbacks, SharedCallbacks, TRIES};
pub use protected::ProtectedIdentities;
pub use recipient::{
    AnyRecipient, RecipientError, RecipientsFile, parse_recipient, parse_recipients,
    prepare_recipients,
};
pub use scrypt::{DEFAULT_LOG_N, MAX_LOG_N, MIN_LOG_N, ScryptIdentity, ScryptRecipient};
pub use ssh::{SshError, SshPublicKey, SshSecretKey};
pub use tagged::TaggedRecipient;

/// A line of a file that is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError<E> {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: E,
}

/// The byte order mark that some editors begin a file with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file without the mark.
fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(MARK).unwrap_or(content)
}

/// Bytes that are not text of UTF-8.
enum NotText {
    /// They are text of UTF-16, as Windows' PowerShell writes it.
    Utf16,
    /// In this line.
    Line(usize),
}

/// The text of a file, without the mark.
fn text_of(content: &[u8]) -> Result<&str, NotText> {
    let content = without_mark(content);
    if is_utf16(content) {
        return Err(NotText::Utf16);
    }
    std::str::from_utf8(content).map_err(|error| {
        let before = &content[..error.valid_up_to()];
        NotText::Line(1 + before.iter().filter(|byte| **byte == b'\n').count())
    })
}

/// Whether bytes are text of UTF-16: they have its mark, or every second one is zero.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = |first| bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let is_even = bytes.len() >= 2 && bytes.len().is_multiple_of(2);
    is_even && (has_mark || (zeros(0) != zeros(1)))
}

/// The lines that carry something: neither blank nor a comment, without the
/// white space around them, each with its number.
fn content_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
