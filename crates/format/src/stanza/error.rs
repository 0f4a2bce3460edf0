//! Why a file key could not be wrapped or unwrapped.

use super::derivation::KeyDerivation;
use super::tag;
use crate::crypto::RandomError;

/// Why a file key could not be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// There is no recipient, so nobody could decrypt the file.
    #[error("there is no recipient")]
    NoRecipient,
    /// The header would exceed a limit of the format.
    #[error("there are too many recipients: the header would be too long or have too many stanzas")]
    TooLong,
    /// The public key is a low-order point, with which anyone could decrypt the file.
    #[error("the recipient's public key is a low-order point, which protects nothing")]
    WeakRecipient,
    /// The header cannot have exactly the given length.
    #[error("no header for these recipients has the required length")]
    NoFit,
    /// The format has no stanza for this type of recipient.
    #[error("this format does not support this type of recipient")]
    OtherFormat,
    /// There is not enough memory for the key derivation.
    #[error("the key derivation needs {0} KiB of memory, which is not available")]
    OutOfMemory(u32),
    /// The recipients have different labels.
    #[error(
        "these recipients cannot be combined: a post-quantum recipient protects nothing beside one \
         that is not, and recipients with labels need others with the same labels"
    )]
    Mixed,
    /// A plugin failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
    /// A stanza is malformed, or must not stand beside the others.
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    /// The operating system cannot provide random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Why a matching stanza could not be unwrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// The stanza is malformed or damaged.
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    /// The file asks for a more expensive key derivation than is allowed.
    #[error("the file asks for a key derivation of {0}, more than is allowed")]
    TooExpensive(KeyDerivation),
    /// There is not enough memory for the key derivation.
    #[error("the key derivation needs {0} KiB of memory, which is not available")]
    OutOfMemory(u32),
    /// A plugin or an encrypted identity failed.
    #[error(transparent)]
    Key(#[from] KeyFailure),
}

/// Why a key could not be used that needs a plugin or a passphrase of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct KeyFailure {
    /// The type of the failure.
    pub kind: KeyFailureKind,
    /// What happened, and to which key. It contains no secret.
    pub message: String,
}

/// The types of [`KeyFailure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFailureKind {
    /// There is no way to ask the user for the passphrase of a key.
    CannotAsk,
    /// The passphrase of a key is wrong.
    WrongPassphrase,
    /// A plugin is not installed.
    NoPlugin,
    /// A plugin failed or exited too early.
    PluginFailed,
    /// A plugin did not answer in time.
    PluginHangs,
    /// The encryption of a key is not supported.
    Protection,
    /// The key itself cannot be used.
    Unusable,
}

/// What is wrong with a stanza of a known type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StanzaError {
    /// The arguments or the body are invalid.
    #[error("the `{0}` stanza is malformed")]
    Malformed(&'static str),
    /// The stanza names this key by a short tag, but cannot be decrypted with it.
    #[error(
        "the `{0}` stanza names this key but cannot be decrypted with it: the header is damaged, or \
         two keys share a tag"
    )]
    DoesNotOpen(&'static str),
    /// A passphrase stands beside another recipient, who could then forge a file that appears to be
    /// encrypted with the passphrase.
    #[error("a passphrase must be the only recipient of a file")]
    NotAlone,
    /// More than one `pad` stanza.
    #[error("there is more than one `pad` stanza")]
    RepeatedPad,
}

/// The types of stanzas in errors, in the order of their codes.
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
    /// The error as two numbers: its variant and the type of the stanza.
    pub(crate) fn code(&self) -> (u8, usize) {
        let number = |tag: &str| TAGS.iter().position(|known| *known == tag).unwrap_or(0);
        match self {
            Self::Malformed(tag) => (0, number(tag)),
            Self::NotAlone => (1, 0),
            Self::RepeatedPad => (2, 0),
            Self::DoesNotOpen(tag) => (3, number(tag)),
        }
    }

    /// The error with these numbers.
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
