//! Errors, each with the path or the member that it is about.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;

use crate::display::short_name;

/// Why packing a folder failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file, folder or link cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The path, relative to the folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file changed while it was being read.
    #[error("{}: changed while it was being read", path.display())]
    Changed {
        /// The path, relative to the folder.
        path: PathBuf,
    },
    /// The folder contains the output.
    #[error("{}: is the output file", path.display())]
    IsOutput {
        /// The path, relative to the folder.
        path: PathBuf,
    },
    /// More than [`MAX_DEPTH`](crate::MAX_DEPTH) folders are nested.
    #[error("{}: is nested too deeply", path.display())]
    TooDeep {
        /// The path, relative to the folder.
        path: PathBuf,
    },
    /// The archive cannot be written.
    #[error("the archive cannot be written: {0}")]
    Write(io::Error),
}

/// Why listing or unpacking an archive failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream cannot be read.
    #[error("reading failed: {0}")]
    Read(io::Error),
    /// The stream cannot be decompressed.
    #[error("cannot be decompressed: {source}")]
    Decompress {
        /// Why, if the caller can do something about it.
        reason: ZstdFailure,
        /// The error of zstd, or of reading the stream.
        source: io::Error,
    },
    /// The stream does not begin with a tar header.
    #[error("is not a tar archive")]
    NotTar {
        /// The first bytes, to find out what the stream is instead.
        head: Vec<u8>,
    },
    /// The archive breaks the rules of the format.
    #[error("is malformed at byte {offset}{}: {reason}", of(member))]
    Malformed {
        /// The name of the member, if it is known.
        member: Vec<u8>,
        /// The offset in the decompressed archive, in bytes.
        offset: u64,
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// Something follows the end of the archive that is no tar header.
    #[error("is malformed at byte {offset}: there is data after its end")]
    TrailingData {
        /// The offset in the decompressed archive, in bytes.
        offset: u64,
    },
    /// A member is not unpacked because it could do harm or is ambiguous.
    #[error("{}: {reason}", short_name(member))]
    Refused {
        /// The name of the member.
        member: Vec<u8>,
        /// Why it is refused.
        reason: Refusal,
    },
    /// A limit was exceeded.
    #[error("{}: {reason}", short_name(member))]
    LimitExceeded {
        /// The member at which it happened.
        member: Vec<u8>,
        /// The limit.
        reason: LimitExceeded,
    },
    /// The process that asked for the archive cannot be told about it.
    #[error("the results cannot be reported: {0}")]
    Report(io::Error),
    /// A member cannot be written.
    #[error("{}: {source}", short_name(member))]
    Write {
        /// The name of the member.
        member: Vec<u8>,
        /// The error of the system.
        source: io::Error,
    },
}

fn of(member: &[u8]) -> String {
    if member.is_empty() { String::new() } else { format!(", in {}", short_name(member)) }
}

/// Why zstd has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZstdFailure {
    /// The stream was compressed with a larger window than zstd accepts without being told so.
    WindowTooLarge,
    /// The stream was compressed with a dictionary.
    Dictionary,
    /// There is not enough memory.
    OutOfMemory,
    /// The stream is damaged, or cannot be read.
    Other,
}

impl ZstdFailure {
    /// What an error of the zstd library says; `None` if it is none.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        if error.kind() == io::ErrorKind::OutOfMemory {
            return Some(Self::OutOfMemory);
        }
        let error: &zstd::Error = error.get_ref()?.downcast_ref()?;
        let kinds = [
            (ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge, Self::WindowTooLarge),
            (ZSTD_ErrorCode::ZSTD_error_dictionary_wrong, Self::Dictionary),
            (ZSTD_ErrorCode::ZSTD_error_memory_allocation, Self::OutOfMemory),
        ];
        let known = kinds.into_iter().find(|(kind, _)| error.is(*kind));
        Some(known.map_or(Self::Other, |(_, failure)| failure))
    }
}

/// Why a member is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The name contains `..`.
    #[error("has .. in its name")]
    ParentComponent,
    /// The name contains a NUL byte.
    #[error("has a NUL byte in its name")]
    Nul,
    /// The name is empty, or names the output folder and the member is not a folder.
    #[error("has no name")]
    NoName,
    /// The name has more than [`MAX_DEPTH`](crate::MAX_DEPTH) parts.
    #[error("lies in more than 500 nested folders")]
    TooDeep,
    /// The name is too long for the file system.
    #[error("has a name that is too long for the file system")]
    NameTooLong,
    /// A parent in the name is a link or a file.
    #[error("has a parent that is not a folder")]
    NotAFolder,
    /// The name belongs to a folder already, or to a member whose name differs but is
    /// the same to the file system (such as `a` and `A`).
    #[error(
        "has the name of a folder in the archive, or a name that the file system does not \
         distinguish from another one in the archive"
    )]
    DuplicateName,
    /// A symbolic link that leads out of the folder, or may do so.
    #[error("is a symbolic link that may lead out of the folder")]
    LinkLeavesFolder,
    /// A hard link to a member that does not come before it.
    #[error("is a hard link to a file that does not come before it in the archive")]
    MissingLinkTarget,
    /// A hard link to a folder, a symbolic link or a device.
    #[error("is a hard link to something that is not a regular file")]
    LinkTargetNotFile,
    /// A type of member that this crate does not know.
    #[error("is of an unknown type")]
    UnknownType,
    /// The rest of a file that begins in another volume.
    #[error("begins in another volume: this is only one part of the archive")]
    MultiVolume,
    /// A member after the end of the archive.
    #[error("comes after the end of the archive: two archives were concatenated")]
    Concatenated,
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// The number of members.
    #[error("there are more than {0} members")]
    Entries(u64),
    /// Bytes of content.
    #[error("the content is larger than {0} bytes")]
    Bytes(u64),
    /// Bytes by which the content is larger than the archive.
    #[error("the content is more than {0} bytes larger than the archive")]
    Growth(u64),
    /// Bytes of memory for the folders whose times and permission bits are set at the end.
    #[error("there are too many folders: they need more than {0} bytes of memory")]
    Folders(u64),
    /// The ratio of decompressed to compressed bytes.
    #[error("the archive becomes more than {0} times larger when decompressed")]
    Ratio(u64),
}
