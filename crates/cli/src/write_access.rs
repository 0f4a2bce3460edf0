//! Who besides this user can change a file that decides over keys.
//!
//! Whoever can write to such a file decides whom files are encrypted for, or with what
//! they are opened. So the rules are those of ssh for its configuration: neither others
//! nor a group may write to it, except the owner's private group, as Debian's ssh has it.
//! The file is looked at through its open descriptor, so one that is put under its name
//! by another user, whatever the folder allows, is seen to be that user's.

mod group;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cryptstream_protection::Protection;

/// Permission bits with which the group or all users may write.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Where the names of descriptors are: who has opened one has chosen what it is.
const DESCRIPTORS: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/dev/stdin"];
/// Set by sudo: the user who has named the files.
const SUDO_UID: &str = "SUDO_UID";

/// Who else can change a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteAccess {
    /// Others than its owner may write to it.
    pub(crate) is_writable: bool,
    /// It belongs to this other user.
    pub(crate) other_owner: Option<u32>,
}

/// Looks at a file that was opened under `path`.
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

fn is_trusted(owner: u32) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let invoker = || std::env::var(SUDO_UID).ok().and_then(|uid| uid.parse().ok());
    owner == me || owner == 0 || (me == 0 && invoker() == Some(owner))
}

/// Whether a list gives rights to users and groups by name. The bits of the group are
/// then the most that any of them may do.
fn has_acl(file: &File) -> bool {
    use rustix::io::Errno;
    let mut none: [u8; 0] = [];
    !matches!(
        rustix::fs::fgetxattr(file, c"system.posix_acl_access", &mut none),
        Err(Errno::NODATA | Errno::OPNOTSUPP)
    )
}
