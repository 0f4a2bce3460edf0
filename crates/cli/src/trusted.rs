//! Whether a file that decides over keys is this user's own.
//!
//! Whoever can write to such a file decides whom files are encrypted for, or with what
//! they are opened. So the rules are those of ssh for its configuration: the file must
//! belong to this user or to root, and neither the group nor others may write to it.
//! The file is looked at through its open descriptor, so one that is put under its name
//! by another user, whatever the folder allows, is refused as that user's.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cryptstream_protection::Protection;

/// Permission bits with which others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;
/// Where the names of descriptors are: who has opened one has chosen what it is.
const DESCRIPTORS: [&str; 3] = ["/dev/fd", "/proc/self/fd", "/dev/stdin"];
/// Set by sudo: the user who has named the files.
const SUDO_UID: &str = "SUDO_UID";

/// Why a file is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// Its group or all users may write to it.
    Writable,
    /// It belongs to this other user.
    Owner(u32),
}

/// Looks at a file that was opened under `path`.
pub(crate) fn distrust(path: &Path, file: &File) -> io::Result<Option<Distrust>> {
    if DESCRIPTORS.iter().any(|above| path.starts_with(above)) || !Protection::KeyFileMode.is_on() {
        return Ok(None);
    }
    let metadata = file.metadata()?;
    let is_pipe = metadata.file_type().is_fifo();
    if !metadata.is_file() && !is_pipe {
        return Ok(None);
    }
    Ok(if !is_trusted(metadata.uid()) {
        Some(Distrust::Owner(metadata.uid()))
    } else if metadata.mode() & OTHERS_WRITE != 0 {
        Some(Distrust::Writable)
    } else {
        None
    })
}

fn is_trusted(owner: u32) -> bool {
    let me = rustix::process::geteuid().as_raw();
    let invoker = || std::env::var(SUDO_UID).ok().and_then(|uid| uid.parse().ok());
    owner == me || owner == 0 || (me == 0 && invoker() == Some(owner))
}
