//! Who can wrap a file key, and who can unwrap it.

use std::collections::BTreeSet;

use super::error::{UnwrapError, WrapError};
use super::text::Stanza;
use crate::{FileKey, Format};

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
    fn prefers_batch(&self) -> bool {
        false
    }

    /// Unwraps the file keys of several files, of each from its stanzas. May return fewer;
    /// what is `None` or missing is left to [`Identity::unwrap`].
    fn unwrap_batch(&self, files: &[(Format, Vec<Stanza>)]) -> Vec<Option<FileKey>> {
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
