//! What can go wrong in the folder of a job.

use std::io;
use std::path::PathBuf;

/// An error in the folder of a job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no job in this folder.
    #[error("{}: there is no job", path.display())]
    NoJob {
        /// The folder.
        path: PathBuf,
    },
    /// A job exists in this folder.
    #[error("{}: there is a job already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Others than the owner may change the folder, or it belongs to somebody else.
    #[error("{}: other users can change it", path.display())]
    NotPrivate {
        /// The folder.
        path: PathBuf,
    },
    /// A file was written by another version of the program.
    #[error("{}: has version {found} of the manifest", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version.
        found: u64,
    },
    /// A file belongs to another job.
    #[error("{}: belongs to another job", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file is not as this program has written it.
    #[error("{}, line {line}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn damaged(path: &std::path::Path, line: u64, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), line, reason: reason.into() }
    }
}
