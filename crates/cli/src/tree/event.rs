//! What happens on the way through a tree.

use std::path::PathBuf;

use cryptstream_engine::Dropped;

use crate::messages::Failure;

/// Something that happens on the way.
#[derive(Debug)]
pub(crate) enum Event {
    /// A folder was made, or was there.
    Folder,
    /// A link was made, or was there.
    Link,
    /// The output was there and is right: so many bytes need not be done.
    Kept(u64),
    /// Something that was there got the permission bits of its original.
    Mode(PathBuf, u32),
    /// A link that was there got the target or the time of its original.
    Relinked(PathBuf),
    /// Removed from the copy, as the original no longer has it.
    Removed(PathBuf),
    /// Not removed, as it is not this program's work.
    Foreign(PathBuf),
    /// What the copy has not got.
    Dropped(Dropped),
    /// Neither file nor folder nor link.
    Special(PathBuf),
    /// A file to be opened whose name is not that of a sealed one.
    NotEncrypted(PathBuf),
    /// A file that a key of this run was read from.
    Key(PathBuf),
    /// An input that a killed run was removing, under the name that it had by then.
    Leftover(PathBuf),
    Failed(Failure),
}
