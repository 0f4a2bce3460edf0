//! The results of encrypting and decrypting, and the format of what is written.

use cryptstream_format::Format;

use crate::Error;
use crate::output::LostAttributes;
use crate::workers::WorkerStats;

/// How an encrypted file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// As bytes, in this format.
    Binary(Format),
    /// As text: in age's format, in its ASCII armor.
    Armored,
}

impl OutputFormat {
    /// The format, of what is in the armor too.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Binary(format) => format,
            Self::Armored => Format::Age,
        }
    }
}

impl From<Format> for OutputFormat {
    fn from(format: Format) -> Self {
        Self::Binary(format)
    }
}

/// The result of encrypting, decrypting or verifying one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The format that was written or read.
    pub format: Format,
    /// Whether that was in ASCII armor.
    pub is_armored: bool,
    /// Bytes of the input, the armor's text included.
    pub bytes_in: u64,
    /// Bytes of the output, the armor's text included. After verifying, those that
    /// decrypting would write.
    pub bytes_out: u64,
    /// The workers that took part.
    pub workers: WorkerStats,
    /// Attributes of the input that the output does not have.
    pub dropped: LostAttributes,
}

/// The result of encrypting or decrypting many files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "some files may have failed"]
#[non_exhaustive]
pub struct BatchSummary {
    /// Number of files, those that failed included.
    pub files: u64,
    /// Number of files that failed.
    pub failed: u64,
    /// Bytes of the inputs that were processed.
    pub bytes_in: u64,
    /// Bytes of their outputs.
    pub bytes_out: u64,
    /// The workers that took part.
    pub workers: WorkerStats,
}

impl BatchSummary {
    /// Counts a file that is done.
    pub(crate) fn add(&mut self, result: &Result<Summary, Error>) {
        self.files += 1;
        match result {
            Ok(summary) => {
                self.bytes_in += summary.bytes_in;
                self.bytes_out += summary.bytes_out;
            }
            Err(_) => self.failed += 1,
        }
    }
}
