//! Stanzas: one wrapped copy of the file key each, and who can wrap and
//! unwrap them.

pub mod argon2id;
mod known;
mod text;
pub mod x25519;

use std::collections::BTreeSet;

use base64ct::{Base64Unpadded, Encoding};

use crate::crypto::RandomError;
use crate::{FileKey, Format};

/// The type of the stanza that fills the header up and carries no key.
pub(crate) const PAD: &str = "pad";
/// The same in an age header, where it is a type like any that a reader does
/// not know.
pub(crate) const AGE_PAD: &str = "cryptstream-pad";

pub use known::KeyDerivation;
pub use text::Stanza;
pub(crate) use text::{BODY_COLUMNS, StanzaText, decode_line};

/// Somebody a file can be sealed for.
pub trait Recipient {
    /// Wraps the file key for a file of this format, usually in one stanza.
    ///
    /// # Errors
    /// See [`WrapError`].
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError>;

    /// Whether [`Recipient::wrap`] takes noticeably long, so that it is worth
    /// doing something else meanwhile.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether it may have to ask somebody, who can only answer one question at
    /// a time, or use another program.
    fn may_ask(&self) -> bool {
        false
    }

    /// Is told that so many files are encrypted next. One that is better asked for several
    /// file keys at once, such as another program, may prepare some.
    fn expect_files(&self, files: usize) {
        let _ = files;
    }

    /// A new file key that was prepared so, for the next file: wrapping it costs nothing.
    fn prepared_file_key(&self) -> Option<FileKey> {
        None
    }
}

/// A file key, wrapped for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// Usually one.
    pub stanzas: Vec<Stanza>,
    /// What the recipient asks of those beside it: a file can only be sealed
    /// for recipients with the same labels (C2SP `age.md`). Most have none;
    /// those that withstand quantum computers have `postquantum`.
    pub labels: BTreeSet<String>,
}

impl From<Stanza> for Wrapped {
    /// One stanza, and no labels.
    fn from(stanza: Stanza) -> Self {
        Self { stanzas: vec![stanza], labels: BTreeSet::new() }
    }
}

/// Something that can open files. Several threads may use it at a time.
pub trait Identity: Sync {
    /// Whether it may have to ask somebody, who can only answer one question at
    /// a time, or use another program.
    fn may_ask(&self) -> bool {
        false
    }

    /// Whether it is better asked for several file keys at once, as another program is.
    fn takes_several(&self) -> bool {
        false
    }

    /// Unwraps the file keys of several files, of each from its stanzas. May return fewer;
    /// what is `None` or missing is left to [`Identity::unwrap`].
    fn unwrap_several(&self, files: &[(Format, Vec<Stanza>)]) -> Vec<Option<FileKey>> {
        let _ = files;
        Vec::new()
    }

    /// Unwraps the file key from the first that fits of the stanzas of a header
    /// of this format; `None` when none does.
    ///
    /// # Errors
    /// See [`UnwrapError`].
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError>;
}

/// Why a file key could not be wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// Nobody would be able to open the file.
    #[error("there is no recipient to seal the file for")]
    NoRecipient,
    /// The header would pass its limits.
    #[error(
        "the header would be longer than 1 MiB or have more than 1,024 stanzas: give fewer recipients"
    )]
    TooLong,
    /// A low-order point, with which everybody could open the file.
    #[error("the recipient's public key is a low-order point, which protects nothing")]
    WeakRecipient,
    /// The header cannot have exactly the length that was asked for.
    #[error("the header cannot be made to fit")]
    NoFit,
    /// The format has no stanza for this kind of recipient.
    #[error("files of this format cannot be sealed for this kind of recipient")]
    OtherFormat,
    /// The key derivation needs more memory than there is.
    #[error("the key derivation needs {0} KiB of memory, which the system does not give")]
    OutOfMemory(u32),
    /// The recipients do not go together.
    #[error(
        "recipients that withstand quantum computers cannot be mixed with others, which would undo \
         it; nor can others with different labels"
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
    #[error("the key derivation needs {0} KiB of memory, which the system does not give")]
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
        "the `{0}` stanza names this key and does not open with it: the header is damaged, or two \
         keys share a tag"
    )]
    DoesNotOpen(&'static str),
    /// A passphrase together with another key would let the other key's owner
    /// pass a file off as one that was sealed with the passphrase.
    #[error("a passphrase stanza must be the only one that carries the key")]
    NotAlone,
    /// More than one `pad` stanza.
    #[error("there is more than one `pad` stanza")]
    RepeatedPad,
}

/// The types that errors name.
const TAGS: [&str; 7] = [
    x25519::TAG,
    argon2id::TAG,
    PAD,
    known::SCRYPT,
    known::SSH_ED25519,
    known::SSH_RSA,
    known::POST_QUANTUM,
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

/// Checks the shape of a stanza of a type that the format knows; others are
/// passed over.
pub(crate) fn check(format: Format, stanza: StanzaText<'_>) -> Result<(), StanzaError> {
    x25519::parse(stanza)?;
    known::check(format, stanza)?;
    if format == Format::Age {
        return Ok(());
    }
    argon2id::parse(stanza)?;
    let has_valid_arguments = match (stanza.fields(), stanza.fields()) {
        (Some([]), _) => true,
        (_, Some([argument])) => argument.len() <= 4,
        _ => false,
    };
    if stanza.tag() == PAD && !has_valid_arguments {
        return Err(StanzaError::Malformed(PAD));
    }
    Ok(())
}

/// Checks that the stanzas of a header go together.
pub(crate) fn check_together<'a>(
    format: Format,
    stanzas: impl Iterator<Item = StanzaText<'a>>,
) -> Result<(), StanzaError> {
    let passphrase = match format {
        Format::Native => argon2id::TAG,
        Format::Age => known::SCRYPT,
    };
    let (mut all, mut passphrases, mut pads) = (0_usize, 0_usize, 0_usize);
    for stanza in stanzas {
        all += 1;
        passphrases += usize::from(stanza.tag() == passphrase);
        pads += usize::from(format == Format::Native && stanza.tag() == PAD);
    }
    if pads > 1 {
        return Err(StanzaError::RepeatedPad);
    }
    if passphrases > 0 && all - pads > 1 {
        return Err(StanzaError::NotAlone);
    }
    Ok(())
}

/// Decodes an argument of `N` bytes in canonical base64.
fn decode_arg<const N: usize>(arg: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let len = Base64Unpadded::decode(arg, &mut bytes).ok()?.len();
    (len == N).then_some(bytes)
}
