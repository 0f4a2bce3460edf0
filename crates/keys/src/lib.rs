//! Recipients, identities and passphrases as people write them: on a command
//! line, in a file with comments, on a terminal.
//!
//! This crate turns text into [recipients](cryptstream_format::Recipient) and
//! [identities](cryptstream_format::Identity), and says what is wrong with a
//! text that is none, without ever repeating a secret. It reads no files:
//! callers hand it their content. What needs somebody to answer asks through
//! [`Talk`]. SSH keys and plugins are the crate `age`'s.

mod foreign;
mod identity;
mod long_bech32;
mod passphrase;
mod plugin;
pub mod post_quantum;
mod protected;
mod recipient;
mod scrypt;
mod ssh;
mod tagged;
mod talk;

pub use identity::{AnyIdentity, IdentityError, parse_identities, write_identity};
pub use passphrase::{Passphrase, PassphraseError};
pub use plugin::{Patience, PluginIdentity};
pub use protected::ProtectedIdentities;
pub use recipient::{
    AnyRecipient, RecipientError, RecipientsFile, parse_recipient, parse_recipients,
    prepare_recipients,
};
pub use scrypt::{DEFAULT_LOG_N, MAX_LOG_N, MIN_LOG_N, ScryptIdentity, ScryptRecipient};
pub use ssh::{SshError, SshPublicKey, SshSecretKey};
pub use tagged::TaggedRecipient;
pub use talk::{NoAnswer, Silent, TRIES, Talk, Talker};

/// A line of a file that is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError<E> {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: E,
}

/// The lines that carry something: neither blank nor a comment, without the
/// white space around them, each with its number.
fn content_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
