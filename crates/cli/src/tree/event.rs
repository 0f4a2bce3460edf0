//! Events of a run over folders.

use std::path::PathBuf;

use cryptstream_engine::LostAttributes;

use crate::messages::Failure;

/// An event of a run over folders.
#[derive(Debug)]
pub(crate) enum Event {
    /// A folder was created, or existed.
    Folder,
    /// A link was created, or existed.
    Link,
    /// The output is up to date; its input has this many bytes.
    Kept(u64),
    /// An existing output got the permission bits of its original.
    Mode(PathBuf, u32),
    /// An existing link got the target or the time of its original.
    Relinked(PathBuf),
    /// Removed from the copy, as the original no longer has it.
    Removed(PathBuf),
    /// Not removed, as this program has not written it.
    Foreign(PathBuf),
    /// Metadata that could not be copied.
    LostAttributes(LostAttributes),
    /// A link or an empty folder, which no store can hold, and which of the two.
    NotInStores(PathBuf, &'static str),
    /// Neither file nor folder nor link.
    Special(PathBuf),
    /// A file to decrypt whose name is not that of an encrypted file.
    NotEncrypted(PathBuf),
    /// A file that a key of this run was read from.
    Key(PathBuf),
    /// The unfinished output of a run that was killed, or is still running.
    Temporary(PathBuf),
    /// An input that a killed run was removing, under its temporary name.
    Leftover(PathBuf),
    Failed(Failure),
}
