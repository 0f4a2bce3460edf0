//! The traits for wrapping and unwrapping file keys.

use std::collections::BTreeSet;

use super::error::{UnwrapError, WrapError};
use super::text::Stanza;
use crate::{FileKey, Format};

/// A public key or a passphrase to which a file can be encrypted.
pub trait Recipient {
    /// Wraps the file key of a file in this format, usually in one stanza.
    ///
    /// # Errors
    /// See [`WrapError`].
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError>;

    /// Whether [`Recipient::wrap`] is slow, so that other work should be done meanwhile.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether it may ask the user, who can answer only one question at a time, or run another
    /// program.
    fn may_prompt(&self) -> bool {
        false
    }

    /// Announces that `files` files will be encrypted. A recipient that works faster on several
    /// file keys at once, such as a plugin, may prepare some.
    fn expect_files(&self, files: usize) {
        let _ = files;
    }

    /// A file key that was prepared for the next file. Wrapping it is fast.
    fn prepared_file_key(&self) -> Option<FileKey> {
        None
    }
}

/// A file key that is wrapped for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrapped {
    /// The stanzas, usually one.
    pub stanzas: Vec<Stanza>,
    /// The labels of the recipient. All recipients of a file must have the same labels (C2SP
    /// `age.md`). Most have none; post-quantum recipients have `postquantum`.
    pub labels: BTreeSet<String>,
}

impl From<Stanza> for Wrapped {
    /// One stanza, and no labels.
    fn from(stanza: Stanza) -> Self {
        Self { stanzas: vec![stanza], labels: BTreeSet::new() }
    }
}

/// A secret key or a passphrase that can decrypt files. It may be used by several threads.
pub trait Identity: Sync {
    /// Whether it may ask the user, who can answer only one question at a time, or run another
    /// program.
    fn may_prompt(&self) -> bool {
        false
    }

    /// Whether it works faster on several file keys at once, as a plugin does.
    fn prefers_batch(&self) -> bool {
        false
    }

    /// Unwraps the file keys of several files from the stanzas of each. The result may be shorter;
    /// files that are `None` or missing are left to [`Identity::unwrap`].
    fn unwrap_batch(&self, files: &[(Format, Vec<Stanza>)]) -> Vec<Option<FileKey>> {
        let _ = files;
        Vec::new()
    }

    /// Unwraps the file key from the first matching stanza of a header in this format; `None` if no
    /// stanza matches.
    ///
    /// # Errors
    /// See [`UnwrapError`].
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError>;
}
