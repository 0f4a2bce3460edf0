//! The members of an archive.

use crate::name;
use crate::sparse::Extent;
use crate::time::Time;

/// A file, folder, link or device in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name as the archive has it. It is not trusted.
    pub name: Vec<u8>,
    /// The type of the member.
    pub kind: Kind,
    /// The permission bits, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// The modification time.
    pub mtime: Time,
    /// The length of the content in bytes, holes included.
    pub size: u64,
    /// The parts of the content that the archive holds.
    pub(crate) extents: Vec<Extent>,
}

/// The type of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// A hard link to the member of this name.
    HardLink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// An unknown type, with its letter in the header.
    Unknown(u8),
}

impl Member {
    /// Whether the name or the link target leads out of the output folder.
    /// [`unpack`](crate::unpack) refuses such members.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        match (name::parts(&self.name), &self.kind) {
            (Err(_), _) => true,
            (Ok(parts), Kind::Symlink(target)) => {
                name::leads_out(target, parts.len().saturating_sub(1))
            }
            (Ok(_), Kind::HardLink(target)) => name::parts(target).is_err(),
            _ => false,
        }
    }
}
