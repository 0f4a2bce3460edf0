//! Recipients, identities and passphrases in the forms that people have them: on a command
//! line, in a file with comments, in `~/.ssh`.
//!
//! This crate parses text into [recipients](cryptstream_format::Recipient) and
//! [identities](cryptstream_format::Identity), which [`cryptstream_format`] uses to wrap and
//! unwrap file keys. It reads no files: callers pass their content. Errors say what is wrong,
//! and never repeat a secret.
//!
//! | kind | recipient | identity |
//! |---|---|---|
//! | X25519 | `age1…` | `AGE-SECRET-KEY-1…` |
//! | [post-quantum](post_quantum) | `age1pq1…` | `AGE-SECRET-KEY-PQ-1…` |
//! | [hardware](TaggedRecipient) | `age1tag1…`, `age1tagpq1…` | through a plugin |
//! | [SSH](SshPublicKey) | `ssh-ed25519 …`, `ssh-rsa …` | a private key of OpenSSH or openssl |
//! | [plugin](PluginIdentity) | `age1name1…` | `AGE-PLUGIN-NAME-1…` |
//! | passphrase | [`ScryptRecipient`] in age files, [`argon2id`](cryptstream_format::argon2id) in native ones | the same |
//!
//! Some keys need the user: an encrypted key needs its passphrase, and a plugin may ask for a
//! PIN. They ask through [`Callbacks`], which the program implements.
//!
//! # Example
//!
//! A file key is wrapped for every recipient in a file, and unwrapped with an identity file:
//!
//! ```
//! use std::sync::Arc;
//!
//! use cryptstream_format::x25519::SecretKey;
//! use cryptstream_format::{FileKey, Format, Identity, Recipient};
//! use cryptstream_keys::{
//!     NoCallbacks, SharedCallbacks, parse_identities, parse_recipients, prepare_recipients,
//!     write_identity,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let callbacks: SharedCallbacks = Arc::new(NoCallbacks);
//! let key = SecretKey::generate()?;
//! let identity_file = write_identity(&key.expose_text(), &key.to_public(), "2026-11-26");
//! let recipients_file = format!("# Alice\n{}\n", key.to_public());
//!
//! let recipients = parse_recipients(recipients_file.as_bytes())?.recipients;
//! let recipients = prepare_recipients(recipients, &callbacks, None);
//! let file_key = FileKey::generate()?;
//! let wrapped = recipients[0].wrap(Format::Native, &file_key)?;
//!
//! let identities = parse_identities(identity_file.as_bytes(), "alice.key", &callbacks, None)?;
//! let unwrapped = identities[0].unwrap(Format::Native, &wrapped.stanzas)?;
//! assert_eq!(unwrapped.ok_or("no stanza fits")?.expose(), file_key.expose());
//! # Ok(())
//! # }
//! ```

mod age_compat;
mod encrypted_file;
mod identity;
mod long_bech32;
mod passphrase;
mod pem;
mod plugin;
pub mod post_quantum;
mod prompt;
mod recipient;
mod scrypt;
mod ssh;
mod tagged;
mod text;
mod unsupported_key;

pub use identity::{
    AnyIdentity, IdentityError, ProtectedIdentities, parse_identities, write_identity,
};
pub use passphrase::{Passphrase, PassphraseError, PassphraseWarning};
pub use plugin::{PluginIdentity, Timeout};
pub use prompt::{Callbacks, NoAnswer, NoCallbacks, SharedCallbacks, TRIES};
pub use recipient::{
    AnyRecipient, RecipientError, RecipientsFile, parse_recipient, parse_recipients,
    prepare_recipients,
};
pub use scrypt::{DEFAULT_LOG_N, MAX_LOG_N, MIN_LOG_N, ScryptIdentity, ScryptRecipient};
pub use ssh::{SshError, SshPublicKey, SshSecretKey};
pub use tagged::TaggedRecipient;
pub use text::LineError;
pub use unsupported_key::UnsupportedKey;
