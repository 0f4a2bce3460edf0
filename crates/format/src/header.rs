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

mod error;
mod grammar;
mod mac;
mod outline;
mod write;

pub use error::{HeaderError, HeaderErrorKind};
pub use outline::Outline;
pub use write::{Padding, WrappedKey, build_header};

use std::sync::Arc;

use cryptstream_protection::Protection;

use crate::stanza::{Identity, Stanza, UnwrapError, tag};
use crate::{FileKey, Format};

/// Why a header could not be unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// None of the identities fits any stanza: a wrong passphrase, or a file
    /// for somebody else.
    #[error("no identity matches this file")]
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
    /// All of the header, which the stanzas are ranges of.
    bytes: Arc<Vec<u8>>,
    stanzas: Vec<Stanza>,
    /// Where the line of the MAC begins.
    mac: usize,
}

impl Header {
    /// Reads the header that `input` begins with; what follows it is left
    /// alone. `Ok(None)` means that more bytes are needed to tell.
    ///
    /// Besides the grammar, this checks the shape of every stanza of a known
    /// type, that a passphrase stanza carries the only key, and the limits
    /// ([`Format::max_header_len`], [`Format::max_stanzas`]).
    ///
    /// # Errors
    /// [`HeaderError`] says what is wrong and at which byte.
    pub fn parse(input: &[u8]) -> Result<Option<Self>, HeaderError> {
        let Some(outline) = Outline::parse(input)? else { return Ok(None) };
        let header = Self::new(input[..outline.len()].to_vec(), &outline);
        debug_assert!(header.is_some(), "the grammar's table is right");
        Ok(header)
    }

    /// The header whose parts are where `outline` says, which may come from a process
    /// that is not trusted: it is compared with every byte. `None` if it is wrong.
    ///
    /// The memory is that of the bytes and 24 bytes for each stanza, whatever these
    /// hold.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, outline: &Outline) -> Option<Self> {
        bytes.truncate(outline.len());
        bytes.shrink_to_fit();
        let bytes = Arc::new(bytes);
        let stanzas = outline.check(&bytes)?;
        if !Protection::HeaderMemory.is_on() {
            let words = |stanza: &Stanza| stanza.args().map(str::to_owned).collect();
            let copies: Vec<Vec<String>> = stanzas.iter().map(words).collect();
            std::hint::black_box(copies);
        }
        Some(Self { format: outline.format, bytes, stanzas, mac: outline.mac as usize })
    }

    /// Length of the header in bytes; the payload begins here.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
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

    /// The stanzas that carry the file key, one way or another; `pad` does not.
    /// (Of a type that is not known, nobody knows.)
    pub fn key_stanzas(&self) -> impl Iterator<Item = &Stanza> {
        self.stanzas.iter().filter(|stanza| !self.is_padding(stanza))
    }

    /// Bytes of the header that only fill it up.
    #[must_use]
    pub fn padding_len(&self) -> usize {
        let padding = self.stanzas.iter().filter(|stanza| self.is_padding(stanza));
        padding.map(write::encoded_len).sum()
    }

    fn is_padding(&self, stanza: &Stanza) -> bool {
        self.format == Format::Native && stanza.tag() == tag::PAD
    }

    /// Finds the file key with the first identity that fits, and checks the
    /// header's MAC with it. A key that cannot be used (such as one whose plugin
    /// is missing) does not keep those after it from being tried.
    ///
    /// # Errors
    /// See [`UnlockError`].
    pub fn unlock(&self, identities: &[&dyn Identity]) -> Result<FileKey, UnlockError> {
        let mut unusable = None;
        for identity in identities {
            match identity.unwrap(self.format, &self.stanzas) {
                Ok(Some(file_key)) => {
                    self.verify(&file_key)?;
                    return Ok(file_key);
                }
                Ok(None) => {}
                Err(UnwrapError::Key(failure)) => {
                    unusable.get_or_insert(failure);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(unusable.map_or(UnlockError::NoMatch, |failure| UnwrapError::Key(failure).into()))
    }

    /// Checks the header's MAC, in constant time.
    fn verify(&self, file_key: &FileKey) -> Result<(), UnlockError> {
        let (authenticated, rest) = self.bytes.split_at(self.mac + mac::MARK.len());
        let mac = rest.strip_suffix(b"\n").and_then(mac::decode).ok_or(UnlockError::Mac)?;
        mac::verify(self.format, file_key, authenticated, &mac)
            .then_some(())
            .ok_or(UnlockError::Mac)
    }
}
