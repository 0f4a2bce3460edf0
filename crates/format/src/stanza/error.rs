//! Why a file key could not be wrapped or unwrapped.

use super::derivation::KeyDerivation;
use super::tag;
use crate::crypto::RandomError;

/// Why a file key could not be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// Nobody would be able to open the file.
    #[error("there is no recipient")]
    NoRecipient,
    /// The header would pass its limits.
    #[error("there are too many recipients: the header would be too long or have too many stanzas")]
    TooLong,
    /// A low-order point, with which everybody could open the file.
    #[error("the recipient's public key is a low-order point, which protects nothing")]
    WeakRecipient,
    /// The header cannot have exactly the length that was asked for.
    #[error("no header for these recipients has the required length")]
    NoFit,
    /// The format has no stanza for this kind of recipient.
    #[error("this format does not support this type of recipient")]
    OtherFormat,
    /// The key derivation needs more memory than there is.
    #[error("the key derivation needs {0} KiB of memory, which is not available")]
    OutOfMemory(u32),
    /// The recipients do not go together.
    #[error(
        "these recipients cannot be combined: a post-quantum recipient protects nothing beside one \
         that is not, and recipients with labels need others with the same labels"
    )]
    Mixed,
    /// A recipient that works by other means (a plugin) failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
    /// The stanzas do not go together.
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Why a stanza that seemed to fit could not be unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// A known stanza type with an unknown shape.
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    /// The file asks for a costlier key derivation than is allowed.
    #[error("the file asks for a key derivation of {0}, more than is allowed")]
    TooExpensive(KeyDerivation),
    /// The key derivation needs more memory than there is.
    #[error("the key derivation needs {0} KiB of memory, which is not available")]
    OutOfMemory(u32),
    /// An identity that works by other means (a plugin, a device, a protected
    /// file) failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
}

/// Why a key could not be used that is more than a number: one that a plugin
/// has, or that is protected itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyFailure {
    /// What to do about it depends on this.
    pub kind: KeyFailureKind,
    /// What happened, and to which key. Never a secret.
    pub message: String,
}

/// Kinds of [`KeyFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFailureKind {
    /// Nobody could be asked for the passphrase of a key.
    CannotAsk,
    /// A key's passphrase is wrong.
    WrongPassphrase,
    /// A plugin is not installed.
    NoPlugin,
    /// A plugin failed, or ended too early.
    PluginFailed,
    /// A plugin does not answer.
    PluginHangs,
    /// A key is protected in a way that is not supported.
    Protection,
    /// The key itself is not usable.
    Unusable,
}

/// A stanza of a known type whose shape is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StanzaError {
    /// Arguments or body are not as the type asks for.
    #[error("the `{0}` stanza is malformed")]
    Malformed(&'static str),
    /// The stanza names a key by its short tag, and that key does not open it.
    #[error(
        "the `{0}` stanza names this key but cannot be decrypted with it: the header is damaged, or \
         two keys share a tag"
    )]
    DoesNotOpen(&'static str),
    /// A passphrase together with another key would let the other key's owner
    /// pass a file off as one that was sealed with the passphrase.
    #[error("a passphrase must be the only recipient of a file")]
    NotAlone,
    /// More than one `pad` stanza.
    #[error("there is more than one `pad` stanza")]
    RepeatedPad,
}

/// The types that errors name.
const TAGS: [&str; 7] = [
    tag::X25519,
    tag::ARGON2ID,
    tag::PAD,
    tag::SCRYPT,
    tag::SSH_ED25519,
    tag::SSH_RSA,
    tag::POST_QUANTUM,
];

impl StanzaError {
    /// The error as numbers: what, and of which type.
    pub(crate) fn code(&self) -> (u8, usize) {
        let number = |tag: &str| TAGS.iter().position(|known| *known == tag).unwrap_or(0);
        match self {
            Self::Malformed(tag) => (0, number(tag)),
            Self::NotAlone => (1, 0),
            Self::RepeatedPad => (2, 0),
            Self::DoesNotOpen(tag) => (3, number(tag)),
        }
    }

    /// The error that has these numbers.
    pub(crate) fn from_code(code: u8, tag: usize) -> Option<Self> {
        match code {
            0 => TAGS.get(tag).copied().map(Self::Malformed),
            1 => Some(Self::NotAlone),
            2 => Some(Self::RepeatedPad),
            3 => TAGS.get(tag).copied().map(Self::DoesNotOpen),
            _ => None,
        }
    }
}
