//! What can go wrong, with the member it happened to.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use crate::display::short_name;

/// Why a folder was not packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Something in the folder cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// From the folder on.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something was changed while it was read.
    #[error("{}: changed while it was being read", path.display())]
    Changed {
        /// From the folder on.
        path: PathBuf,
    },
    /// The output is in the folder.
    #[error("{}: is the output itself", path.display())]
    IsOutput {
        /// From the folder on.
        path: PathBuf,
    },
    /// There are too many folders within each other.
    #[error("{}: lies too deep", path.display())]
    TooDeep {
        /// From the folder on.
        path: PathBuf,
    },
    /// Whoever is to take the archive does not.
    #[error("the archive cannot be written: {0}")]
    Write(io::Error),
}

/// Why an archive was not unpacked, or not listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream cannot be read.
    #[error("reading failed: {0}")]
    Read(io::Error),
    /// What zstd has made of it is damaged, or needs too much memory.
    #[error("cannot be decompressed: {0}")]
    Decompress(io::Error),
    /// It does not begin like a tar archive.
    #[error("is not a tar archive")]
    NotTar {
        /// The first bytes, for guessing what it is.
        head: Vec<u8>,
    },
    /// It is no archive as a tar would write it.
    #[error("is malformed at byte {offset}{}: {reason}", of(member))]
    Malformed {
        /// The member, as far as its name is known.
        member: Vec<u8>,
        /// Byte of the archive, decompressed.
        offset: u64,
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// A member that would do harm, or could not be told from others.
    #[error("{}: {reason}", short_name(member))]
    Refused {
        /// Its name.
        member: Vec<u8>,
        /// Why.
        reason: Refusal,
    },
    /// It is more than is allowed.
    #[error("{}: {reason}", short_name(member))]
    LimitExceeded {
        /// The member at which it was too much.
        member: Vec<u8>,
        /// What there is too much of.
        reason: LimitExceeded,
    },
    /// What was found cannot be passed on to the process that asked for it.
    #[error("what was found cannot be reported: {0}")]
    Report(io::Error),
    /// A member cannot be written.
    #[error("{}: {source}", short_name(member))]
    Write {
        /// Its name.
        member: Vec<u8>,
        /// The system's reason.
        source: io::Error,
    },
}

fn of(member: &[u8]) -> String {
    if member.is_empty() { String::new() } else { format!(", in {}", short_name(member)) }
}

/// Why a member is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has `..` in it.
    #[error("its name has .. in it")]
    ParentComponent,
    /// It has a NUL in it.
    #[error("its name has a NUL in it")]
    Nul,
    /// It has no name, or is the folder itself and yet no folder.
    #[error("has no name")]
    NoName,
    /// It lies in too many folders.
    #[error("lies in more than 500 folders")]
    TooDeep,
    /// It, or a part of it, is longer than the system has names.
    #[error("its name is longer than the file system allows")]
    NameTooLong,
    /// On the way to it there is a link or a file.
    #[error("its name leads through something that is no folder")]
    NotAFolder,
    /// There is a folder of this name already, or something whose name differs and is
    /// the same to the file system.
    #[error(
        "the archive has a folder of this name already, or something of a similar name \
             that the file system takes for the same"
    )]
    DuplicateName,
    /// A symbolic link that leads out of the folder, or may.
    #[error("is a symbolic link that may lead out of the folder")]
    LinkLeavesFolder,
    /// A hard link to what is not in the archive before it.
    #[error("is a hard link to what the archive does not have before it")]
    MissingLinkTarget,
    /// A hard link to a folder, a symbolic link and so on.
    #[error("is a hard link to what is no file")]
    LinkTargetNotFile,
    /// Of a kind that some program has invented.
    #[error("is of a kind that is not known")]
    UnknownType,
    /// The rest of a file of which another volume has the beginning.
    #[error("begins in another volume: this is a part of a larger archive")]
    MultiVolume,
    /// It comes behind the end.
    #[error("comes after the end of the archive: two archives were joined")]
    Concatenated,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// Members.
    #[error("there are more than {0} members")]
    Entries(u64),
    /// Bytes of content.
    #[error("the content has more than {0} bytes")]
    Bytes(u64),
    /// Bytes of content that the archive itself does not have.
    #[error("the content is by more than {0} bytes larger than the archive")]
    Growth(u64),
    /// Bytes of what is remembered about folders until all is in them.
    #[error("it has too many folders: to remember them takes more than {0} bytes")]
    Folders(u64),
    /// Bytes made of few compressed ones.
    #[error("it becomes more than {0} times as large when decompressed")]
    Ratio(u64),
}
