//! Who else can change a file that determines keys, or read one with secrets.
//!
//! Whoever can write to such a file determines whom files are encrypted to, or how they are
//! decrypted. So the rules are ssh's for its configuration: neither others nor a group may write
//! to it, except the owner's private group, as in Debian's ssh. The open descriptor is checked,
//! so a file that another user has planted is recognized whatever the folder allows.

mod group;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cryptstream_protection::Protection;

/// Permission bits with which the group or all users may write.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// The same for reading.
const GROUP_READ: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;
/// Paths of descriptors: the process that opened one has chosen the file.
const DESCRIPTORS: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/dev/stdin"];
/// Set by sudo to the user who ran it.
const SUDO_UID: &str = "SUDO_UID";

/// Who else can change a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteAccess {
    /// Users other than its owner may write to it.
    pub(crate) is_writable: bool,
    /// The other user whom it belongs to.
    pub(crate) other_owner: Option<u32>,
}

/// Checks an open file with this path.
pub(crate) fn of(path: &Path, file: &File) -> io::Result<WriteAccess> {
    if DESCRIPTORS.iter().any(|above| path.starts_with(above)) || !Protection::KeyFileMode.is_on() {
        return Ok(WriteAccess::default());
    }
    let metadata = file.metadata()?;
    if !metadata.is_file() && !metadata.file_type().is_fifo() {
        return Ok(WriteAccess::default());
    }
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let is_own = is_trusted(owner);
    let is_private = || is_own && group::is_private(metadata.gid(), owner) && !has_acl(file);
    Ok(WriteAccess {
        is_writable: mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITE != 0 && !is_private()),
        other_owner: (!is_own).then_some(owner),
    })
}

/// Whether users other than its owner can read an open file with this path.
pub(crate) fn is_readable(path: &Path, file: &File) -> io::Result<bool> {
    if DESCRIPTORS.iter().any(|above| path.starts_with(above)) || !Protection::KeyFileMode.is_on() {
        return Ok(false);
    }
    let metadata = file.metadata()?;
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let is_private = || group::is_private(metadata.gid(), owner) && !has_acl(file);
    Ok(metadata.is_file() && (mode & OTHERS_READ != 0 || (mode & GROUP_READ != 0 && !is_private())))
}

fn is_trusted(owner: u32) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let invoker = || std::env::var(SUDO_UID).ok().and_then(|uid| uid.parse().ok());
    owner == me || owner == 0 || (me == 0 && invoker() == Some(owner))
}

/// Whether an access control list grants rights by name. The group bits then limit these.
fn has_acl(file: &File) -> bool {
    use rustix::io::Errno;
    let mut none: [u8; 0] = [];
    !matches!(
        rustix::fs::fgetxattr(file, c"system.posix_acl_access", &mut none),
        Err(Errno::NODATA | Errno::OPNOTSUPP)
    )
}
