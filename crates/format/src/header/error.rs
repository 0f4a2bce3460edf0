//! Errors in a header, and their encoding for another process.

use crate::stanza::StanzaError;

/// An error in a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct HeaderError {
    /// The offset in the file, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub kind: HeaderErrorKind,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderErrorKind {
    /// The first line is not the version line of any format.
    #[error("the file begins with neither `cryptstream/v1` nor `age-encryption.org/v1`")]
    Version,
    /// A line is neither part of a stanza nor the MAC.
    #[error("a line is neither part of a stanza nor the end of the header")]
    Line,
    /// A stanza's arguments are not single words of printable ASCII.
    #[error("the first line of a stanza is malformed")]
    Arguments,
    /// A body or the MAC is not canonical base64, or has the wrong length.
    #[error("malformed base64")]
    Base64,
    /// There is no stanza.
    #[error("the header has no stanza")]
    NoStanza,
    /// There are more stanzas than the format allows.
    #[error("the header has more than {0} stanzas")]
    TooManyStanzas(usize),
    /// The header is longer than the format allows.
    #[error("the header is longer than {} MiB", .0 >> 20)]
    TooLong(usize),
    /// A stanza of a known type is malformed, or must not be there.
    #[error(transparent)]
    Stanza(StanzaError),
}

impl HeaderError {
    /// Encodes the error: type (1 byte), detail (8), offset (8), little-endian.
    #[must_use]
    pub fn encode(&self) -> [u8; 17] {
        use HeaderErrorKind as Kind;
        let (code, detail) = match &self.kind {
            Kind::Version => (0, 0),
            Kind::Line => (1, 0),
            Kind::Arguments => (2, 0),
            Kind::Base64 => (3, 0),
            Kind::NoStanza => (4, 0),
            Kind::TooManyStanzas(limit) => (5, *limit as u64),
            Kind::TooLong(limit) => (6, *limit as u64),
            Kind::Stanza(error) => {
                let (code, tag) = error.code();
                (7 + code, tag as u64)
            }
        };
        let mut bytes = [code; 17];
        bytes[1..9].copy_from_slice(&detail.to_le_bytes());
        bytes[9..].copy_from_slice(&(self.offset as u64).to_le_bytes());
        bytes
    }

    /// Decodes the result of [`HeaderError::encode`]; `None` if it is invalid.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        use HeaderErrorKind as Kind;
        let (code, rest) = bytes.split_first()?;
        let (detail, offset) = rest.split_first_chunk::<8>()?;
        let detail = usize::try_from(u64::from_le_bytes(*detail)).ok()?;
        let offset = usize::try_from(u64::from_le_bytes(offset.try_into().ok()?)).ok()?;
        let kind = match code {
            0 => Kind::Version,
            1 => Kind::Line,
            2 => Kind::Arguments,
            3 => Kind::Base64,
            4 => Kind::NoStanza,
            5 => Kind::TooManyStanzas(detail),
            6 => Kind::TooLong(detail),
            code => Kind::Stanza(StanzaError::from_code(code - 7, detail)?),
        };
        Some(Self { offset, kind })
    }
}
