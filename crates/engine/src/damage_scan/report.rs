//! What a scan for damage has found.

use std::ops::Range;

use cryptstream_format::Format;

/// Which parts of an encrypted file are intact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamageReport {
    /// The file's format.
    pub format: Format,
    /// Bytes of the encrypted file.
    pub bytes_in: u64,
    /// Length of the plaintext in bytes, damaged chunks included. It is verified if the
    /// final chunk was found; otherwise it follows from the file's length.
    pub bytes_out: u64,
    /// Bytes of plaintext in intact chunks.
    pub bytes_intact: u64,
    /// Number of intact chunks.
    pub chunks_intact: u64,
    /// Where chunks are damaged.
    pub damage: Damage,
    /// How it ends.
    pub end: End,
    /// Whether the header was altered. Only for [`Engine::salvage`](crate::Engine::salvage);
    /// otherwise that is an error.
    pub is_header_altered: bool,
}

/// The damaged ranges of a plaintext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Ranges of bytes, in order, with a gap between each two. Only the first 65,536 are listed.
    pub ranges: Vec<Range<u64>>,
    /// Number of ranges, including those that are not listed.
    pub count: u64,
    /// Bytes in all these ranges.
    pub bytes: u64,
}

/// How an encrypted file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The final chunk is intact, and nothing follows it.
    Whole,
    /// The final chunk is intact, and this many bytes follow that do not belong to the file.
    Followed(u64),
    /// The last chunk does not open: it is damaged or cut off, or something was added to it.
    Damaged,
    /// The final chunk is missing.
    Missing,
}

impl DamageReport {
    /// Whether every byte of the content is as it was encrypted.
    #[must_use]
    pub fn is_content_intact(&self) -> bool {
        self.damage.count == 0 && self.end == End::Whole
    }

    /// Whether every byte of the file is as it was encrypted.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.is_content_intact() && !self.is_header_altered
    }
}
