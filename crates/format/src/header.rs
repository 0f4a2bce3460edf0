//! The header: a version line, stanzas that carry the wrapped file key, and a
//! MAC. The grammar is age's (C2SP `age.md`); natively, under another version
//! line.
//!
//! ```text
//! cryptstream/v1
//! -> X25519 <43 base64 characters>
//! <43 base64 characters: the wrapped file key>
//! --- <43 base64 characters: the MAC>
//! ```

mod grammar;
mod write;

pub use grammar::{HeaderError, HeaderErrorKind};
pub use write::{Padding, seal_header};

use crate::crypto;
use crate::stanza::{Identity, Stanza, UnwrapError};
use crate::{FileKey, Format};

/// The longest header that is written or read, in bytes.
pub const MAX_HEADER_LEN: usize = 1 << 20;
/// The most stanzas that are written or read.
pub const MAX_STANZAS: usize = 1024;

/// What ends the header and begins the MAC; the MAC covers these bytes too.
const MAC_MARK: &[u8] = b"---";
const MAC_LEN: usize = 32;

/// Why a header could not be unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// None of the identities fits any stanza: a wrong passphrase, or a file
    /// for somebody else.
    #[error("none of the given keys opens this file")]
    NoMatch,
    /// A key fits, but the header's MAC does not: it was altered.
    #[error("the header was altered: its MAC does not verify")]
    Mac,
    /// A stanza was not acceptable to the identity that it was meant for.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
}

/// A parsed header whose MAC has not been checked yet: [`Header::unlock`]
/// checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    format: Format,
    stanzas: Vec<Stanza>,
    mac: [u8; MAC_LEN],
    /// From the first byte up to and including `---`.
    authenticated: Vec<u8>,
    len: usize,
}

impl Header {
    /// Reads the header that `input` begins with; what follows it is left
    /// alone. `Ok(None)` means that more bytes are needed to tell.
    ///
    /// Besides the grammar, this checks the shape of every stanza of a known
    /// type, that a passphrase stanza carries the only key, and the limits
    /// ([`MAX_HEADER_LEN`], [`MAX_STANZAS`]).
    ///
    /// # Errors
    /// [`HeaderError`] says what is wrong and at which byte.
    pub fn parse(input: &[u8]) -> Result<Option<Self>, HeaderError> {
        grammar::parse(input)
    }

    /// Length of the header in bytes; the payload begins here.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The format of the file.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The stanzas in their order.
    #[must_use]
    pub fn stanzas(&self) -> &[Stanza] {
        &self.stanzas
    }

    /// Finds the file key with the first identity that fits, and checks the
    /// header's MAC with it.
    ///
    /// # Errors
    /// See [`UnlockError`].
    pub fn unlock(&self, identities: &[&dyn Identity]) -> Result<FileKey, UnlockError> {
        for identity in identities {
            if let Some(file_key) = identity.unwrap(self.format, &self.stanzas)? {
                self.verify(&file_key)?;
                return Ok(file_key);
            }
        }
        Err(UnlockError::NoMatch)
    }

    /// Checks the header's MAC, in constant time.
    fn verify(&self, file_key: &FileKey) -> Result<(), UnlockError> {
        crypto::verify_hmac_sha256(&mac_key(self.format, file_key), &self.authenticated, &self.mac)
            .then_some(())
            .ok_or(UnlockError::Mac)
    }
}

fn mac_key(format: Format, file_key: &FileKey) -> zeroize::Zeroizing<[u8; 32]> {
    crypto::hkdf_sha256(file_key.expose(), &[], format.mac_info())
}
