//! Errors of a benchmark.

use std::path::PathBuf;

use indicatif::HumanBytes;

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read, written, encrypted or decrypted.
    #[error(transparent)]
    Engine(#[from] cryptstream_engine::Error),
    /// The input and its outputs do not fit in the folder.
    #[error("{} are needed and {} are free", HumanBytes(*needed), HumanBytes(*free))]
    NoRoom {
        /// Where the files would be made.
        folder: PathBuf,
        /// Bytes that the smallest measurement takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The largest size that is asked for is below the smallest that is measured.
    #[error("the smallest size is {}", HumanBytes(*smallest))]
    NothingFits {
        /// The smallest size that is measured, in bytes.
        smallest: u64,
    },
    /// The file is not a regular file.
    #[error("is not a regular file")]
    NotAPlainFile(PathBuf),
    /// The file has no content.
    #[error("is empty, so there is nothing to measure")]
    Empty(PathBuf),
    /// What was decrypted differs from the input.
    #[error("an output of {configuration} differs from its input at byte {offset}")]
    OutputDiffers {
        /// The input.
        input: PathBuf,
        /// The first byte that differs.
        offset: u64,
        /// What made the output, such as `2 workers, warm`.
        configuration: String,
    },
    /// Something happened that cannot: a bug, or a system that gives no random bytes.
    #[error("{0}")]
    Internal(String),
}
