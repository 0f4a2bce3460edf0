//! What every run ends with, and the form of what it writes.

use cryptstream_format::Format;

use crate::output::Dropped;
use crate::workers::WorkerStats;

/// How a sealed file is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As bytes, in this format.
    Binary(Format),
    /// As text: in age's format, in its ASCII armor.
    Armored,
}

impl Form {
    /// The format, of what is in the armor too.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Binary(format) => format,
            Self::Armored => Format::Age,
        }
    }
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        Self::Binary(format)
    }
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The format that was written or read.
    pub format: Format,
    /// Whether that was in ASCII armor.
    pub is_armored: bool,
    /// Bytes read from the input, the armor's text included.
    pub bytes_in: u64,
    /// Bytes written to the output, the armor's text included.
    pub bytes_out: u64,
    /// Who helped.
    pub workers: WorkerStats,
    /// What the output has not got of its input.
    pub dropped: Dropped,
}
