//! The header: a version line, stanzas with the wrapped file key, and a MAC. The grammar is that of
//! age (C2SP `age.md`); native files have a different version line.
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
mod offsets;
mod repair;
mod write;

pub use error::{HeaderError, HeaderErrorKind};
pub use offsets::HeaderOffsets;
pub use write::{Padding, WrappedKey, build_header};

use std::sync::Arc;

use cryptstream_protection::Protection;

use crate::stanza::{Identity, Stanza, UnwrapError, tag};
use crate::{FileKey, Format};

/// Why [`Header::unlock`] failed.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// No identity matches a stanza: the passphrase is wrong, or the file is encrypted to others.
    #[error("no identity matches this file")]
    NoMatch,
    /// An identity unwrapped the file key, but the MAC is wrong: the header was altered.
    #[error("the header was altered: its MAC does not verify")]
    Mac,
    /// A stanza matches an identity but cannot be unwrapped.
    #[error(transparent)]
    Unwrap(#[from] UnwrapError),
}

/// A parsed header. Its MAC is checked by [`Header::unlock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    format: Format,
    /// The whole header. The stanzas are ranges of it.
    bytes: Arc<Vec<u8>>,
    stanzas: Vec<Stanza>,
    /// Where the line of the MAC begins.
    mac: usize,
}

impl Header {
    /// Parses the header at the start of `input`, and ignores what follows it. `Ok(None)` if more
    /// bytes are needed.
    ///
    /// This checks the grammar, the arguments and the body of each stanza of a known type, that a
    /// passphrase is the only recipient, and the limits ([`Format::max_header_len`],
    /// [`Format::max_stanzas`]).
    ///
    /// # Errors
    /// [`HeaderError`] says what is wrong and at which byte.
    pub fn parse(input: &[u8]) -> Result<Option<Self>, HeaderError> {
        let Some(offsets) = HeaderOffsets::parse(input)? else { return Ok(None) };
        let header = Self::new(input[..offsets.len()].to_vec(), &offsets);
        debug_assert!(header.is_some(), "the grammar's table is right");
        Ok(header)
    }

    /// The header with these bytes and this outline. The outline may come from an untrusted
    /// process: it is checked against every byte. `None` if it is wrong.
    ///
    /// The header takes the memory of its bytes and 24 bytes for each stanza.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, offsets: &HeaderOffsets) -> Option<Self> {
        bytes.truncate(offsets.len());
        bytes.shrink_to_fit();
        let bytes = Arc::new(bytes);
        let stanzas = offsets.check(&bytes)?;
        if !Protection::HeaderMemory.is_on() {
            let words = |stanza: &Stanza| stanza.args().map(str::to_owned).collect();
            let copies: Vec<Vec<String>> = stanzas.iter().map(words).collect();
            std::hint::black_box(copies);
        }
        Some(Self { format: offsets.format, bytes, stanzas, mac: offsets.mac as usize })
    }

    /// The length of the header in bytes, which is the offset of the payload.
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

    /// The stanzas that carry the file key: all except `pad`. Stanzas of unknown types count.
    pub fn key_stanzas(&self) -> impl Iterator<Item = &Stanza> {
        self.stanzas.iter().filter(|stanza| !self.is_padding(stanza))
    }

    /// Bytes of padding in the header.
    #[must_use]
    pub fn padding_len(&self) -> usize {
        let padding = self.stanzas.iter().filter(|stanza| self.is_padding(stanza));
        padding.map(write::encoded_len).sum()
    }

    fn is_padding(&self, stanza: &Stanza) -> bool {
        self.format == Format::Native && stanza.tag() == tag::PAD
    }

    /// Unwraps the file key with the first identity that matches, and verifies the MAC of the
    /// header with it. An identity that cannot be used, for example because its plugin is missing,
    /// is skipped.
    ///
    /// # Errors
    /// See [`UnlockError`].
    pub fn unlock(&self, identities: &[&dyn Identity]) -> Result<FileKey, UnlockError> {
        match self.unlock_altered(identities)? {
            (file_key, true) => Ok(file_key),
            (_, false) => Err(UnlockError::Mac),
        }
    }

    /// Unwraps the file key with the first identity that matches, even if the header was altered.
    /// Also returns whether its MAC verifies. Only for recovering what is left of a damaged file:
    /// if it does not, nothing but the stanza that was unwrapped is authentic.
    ///
    /// # Errors
    /// See [`UnlockError`].
    pub fn unlock_altered(
        &self,
        identities: &[&dyn Identity],
    ) -> Result<(FileKey, bool), UnlockError> {
        let mut unusable = None;
        for identity in identities {
            match identity.unwrap(self.format, &self.stanzas) {
                Ok(Some(file_key)) => {
                    let is_authentic = self.is_authentic(&file_key);
                    return Ok((file_key, is_authentic));
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

    /// Whether the header's MAC verifies; in constant time.
    fn is_authentic(&self, file_key: &FileKey) -> bool {
        let (authenticated, rest) = self.bytes.split_at(self.mac + mac::MARK.len());
        let mac = rest.strip_suffix(b"\n").and_then(mac::decode);
        mac.is_some_and(|mac| mac::verify(self.format, file_key, authenticated, &mac))
    }
}
