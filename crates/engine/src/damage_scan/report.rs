//! What a scan for damage has found.

use std::ops::Range;

use cryptstream_format::Format;

/// What of an encrypted file is intact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamageReport {
    /// The file's format.
    pub format: Format,
    /// Bytes of the encrypted file.
    pub bytes_in: u64,
    /// Bytes of plaintext from the first to the last chunk, damaged ones included. Verified
    /// if the final chunk was found, otherwise computed from the file's length.
    pub bytes_out: u64,
    /// Bytes of plaintext in intact chunks.
    pub bytes_intact: u64,
    /// Number of intact chunks.
    pub chunks_intact: u64,
    /// Where chunks are damaged.
    pub damage: Damage,
    /// How it ends.
    pub end: End,
}

/// The damaged ranges of a plaintext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Byte ranges in order, none touching the next. Only the first 65,536 are kept.
    pub ranges: Vec<Range<u64>>,
    /// Number of ranges, those that were not kept included.
    pub count: u64,
    /// Bytes in all ranges.
    pub bytes: u64,
}

/// How an encrypted file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its final chunk.
    Whole,
    /// With this many bytes after its final chunk, which do not belong to it.
    Followed(u64),
    /// With a last chunk that does not open: it is damaged, cut off, or added to.
    Damaged,
    /// Without its final chunk, which was cut off.
    Missing,
}

impl DamageReport {
    /// Whether every byte of the file is as it was encrypted.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.count == 0 && self.end == End::Whole
    }
}
