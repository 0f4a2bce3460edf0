//! The result of rekeying a file.

use cryptstream_format::Format;

/// How a file got its new header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RekeyMethod {
    /// The header was written over the old one.
    InPlace,
    /// A clone that shares the payload's blocks has replaced the file.
    Shared,
    /// An object has replaced it whose payload the store has copied.
    Copied,
    /// A copy has replaced the file.
    Rewritten,
    /// A file with another file key has replaced the file.
    Reencrypted,
}

impl RekeyMethod {
    /// The method's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Shared => "shared",
            Self::Copied => "copied",
            Self::Rewritten => "rewritten",
            Self::Reencrypted => "reencrypted",
        }
    }
}

/// What rekeying did to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RekeySummary {
    /// The format of the file.
    pub format: Format,
    /// How it was done.
    pub method: RekeyMethod,
    /// Bytes of the old header.
    pub old_header_len: u64,
    /// Bytes of the new one.
    pub new_header_len: u64,
    /// Bytes of the file before.
    pub bytes_in: u64,
    /// Bytes of the file now.
    pub bytes_out: u64,
    /// Bytes that were written, the journal's included.
    pub bytes_written: u64,
    /// Other names (hard links) that still have the old file.
    pub names_left: u64,
}
