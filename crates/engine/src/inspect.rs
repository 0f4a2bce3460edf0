//! What an encrypted file tells without any key: its header, and what follows from
//! its length.

use cryptstream_format::{Header, Layout, LayoutError};

use crate::journal::open_header;
use crate::{Engine, Error, Inspect, Source};

/// What an encrypted file shows without a key. None of it is authenticated: anyone who can
/// write the file could have forged it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The header. Its MAC cannot be checked without a key.
    pub header: Header,
    /// How long it is.
    pub extent: Extent,
}

/// How long an encrypted file is. Of a stream only the beginning is read, so its length is
/// unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// Whether the file is in ASCII armor.
    pub is_armored: bool,
    /// Bytes of the file as it is stored.
    pub file_len: Option<u64>,
    /// Bytes of header and payload, without the armor.
    pub encrypted_len: Option<u64>,
}

impl Engine {
    /// Reads the header of a file, if it is armored its last lines, and nothing else.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Read`], and those about a header, such as
    /// [`Error::CutInHeader`].
    pub fn inspect(&mut self, request: Inspect<'_>) -> Result<Inspection, Error> {
        let parser = self.parser_for(&request.input)?;
        request.input.with(&parser, Inspection::of)
    }
}

impl Inspection {
    /// The same for an input that is open, without an engine.
    ///
    /// # Errors
    /// Those of [`Engine::inspect`].
    pub fn of(source: &mut Source) -> Result<Self, Error> {
        let header = open_header(source, |_, header| Ok(header))?;
        let extent = extent(source)?;
        Ok(Self { header, extent })
    }

    /// Bytes after the header.
    #[must_use]
    pub fn payload_len(&self) -> Option<u64> {
        self.extent.encrypted_len.map(|len| len.saturating_sub(self.header.len() as u64))
    }

    /// The layout of the payload, computed from its length.
    ///
    /// # Errors
    /// [`LayoutError`] if no payload can have such a length.
    pub fn layout(&self) -> Option<Result<Layout, LayoutError>> {
        self.payload_len().map(|len| Layout::of_payload(self.header.format(), len))
    }
}

/// The lengths of an input whose header was read, by which it is known whether
/// it is armored.
fn extent(source: &Source) -> Result<Extent, Error> {
    let is_armored = source.is_armored();
    let (file_len, encrypted_len) = match is_armored {
        true => source.armored_len()?,
        false => (source.seekable_len(), source.seekable_len()),
    };
    Ok(Extent { is_armored, file_len, encrypted_len })
}
