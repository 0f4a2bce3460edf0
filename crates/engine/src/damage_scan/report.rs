//! What a scan for damage has found.

use std::ops::Range;

use cryptstream_format::Format;

/// What of a sealed file opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamageReport {
    /// The file's format.
    pub format: Format,
    /// Bytes of the sealed file.
    pub bytes_in: u64,
    /// Bytes of plaintext from the first to the last chunk. Verified where the
    /// final chunk was found, else what the file's length says.
    pub len: u64,
    /// Bytes of plaintext that open.
    pub intact: u64,
    /// Chunks that open.
    pub chunks: u64,
    /// Those that do not.
    pub damage: Damage,
    /// How it ends.
    pub end: End,
}

/// Where chunks do not open, by the bytes of the plaintext.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// In order, none touching the next; of very many only the first.
    pub ranges: Vec<Range<u64>>,
    /// How many there are.
    pub count: u64,
    /// Bytes in all of them.
    pub bytes: u64,
}

/// How a sealed file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its final chunk.
    Whole,
    /// After its final chunk so many bytes follow that do not belong to it.
    Followed(u64),
    /// Its last chunk does not open: it is damaged, cut, or added to.
    Damaged,
    /// The final chunk is not there: what comes after the last one was cut off.
    Missing,
}

impl DamageReport {
    /// Whether every byte of the file is as it was encrypted.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.damage.count == 0 && self.end == End::Whole
    }
}
