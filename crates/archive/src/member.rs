//! What an archive says about one thing in it.

use crate::name;
use crate::sparse::Extent;
use crate::time::Time;

/// Something in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As it stands in the archive; not to be trusted.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, setuid and its like among them.
    pub mode: u32,
    /// When it was changed last.
    pub mtime: Time,
    /// Bytes of content, holes included.
    pub size: u64,
    /// The parts of the content that the archive has.
    pub(crate) extents: Vec<Extent>,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// Another name of this member.
    HardLink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A device that is read and written in blocks.
    BlockDevice,
    /// Another device.
    CharDevice,
    /// Something that only tar itself knows, by its letter.
    Unknown(u8),
}

impl Member {
    /// Whether its name or what it links to leads out of the folder, so that it
    /// will not be unpacked.
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
