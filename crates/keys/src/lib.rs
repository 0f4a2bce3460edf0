//! Recipients, identities and passphrases as people write them: on a command
//! line, in a file with comments, on a terminal.
//!
//! This crate turns text into [recipients](cryptstream_format::Recipient) and
//! [identities](cryptstream_format::Identity), and says what is wrong with a
//! text that is none, without ever repeating a secret. It reads no files:
//! callers hand it their content. What needs somebody to answer asks through
//! [`Callbacks`]. SSH keys and plugins are the crate `age`'s.

mod age_compat;
mod encrypted_file;
mod identity;
mod long_bech32;
mod other_key;
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

pub use identity::{
    AnyIdentity, IdentityError, ProtectedIdentities, parse_identities, write_identity,
};
pub use other_key::OtherKey;
pub use passphrase::{Oddity as PassphraseOddity, Passphrase, PassphraseError};
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
