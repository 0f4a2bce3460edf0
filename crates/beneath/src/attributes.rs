//! Times and permission bits of files.

use std::ffi::OsStr;

use rustix::fs::{Mode, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use crate::acl::has_acl;
use crate::dir::Dir;
use crate::identity::FileId;

/// The access and modification times of a file.
#[must_use]
pub fn times_of(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Whether an error means that the file system does not support times or permission bits, or that
/// this user may not set them.
#[must_use]
pub fn is_refusal(error: Errno) -> bool {
    use Errno as E;
    matches!(error, E::PERM | E::ACCESS | E::OPNOTSUPP | E::NOSYS | E::ROFS | E::INVAL)
}

/// Gives the file `name`, whose attributes are `there`, the permission bits `mode` of its original.
/// A file with an access control list gets no new bits, since its group bits are the list's mask.
///
/// # Errors
/// As chmod(2); `ESTALE` if the file was replaced.
pub fn follow_mode(dir: &Dir, name: &OsStr, there: &Stat, mode: u32) -> Result<Followed, Errno> {
    let has_acl = dir.open_file(name).is_ok_and(|file| has_acl(&file));
    let mode = if has_acl { mode & there.st_mode } else { mode };
    if mode == there.st_mode & 0o777 {
        return Ok(Followed::Unchanged);
    }
    dir.set_mode(name, FileId::of(there), Mode::from_raw_mode(mode))?;
    // Some file systems report success and change nothing.
    match dir.stat(name)?.st_mode & 0o777 == mode {
        true => Ok(Followed::Changed),
        false => Ok(Followed::Refused),
    }
}

/// What [`follow_mode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It had the bits already.
    Unchanged,
    /// It has the bits now.
    Changed,
    /// The file system does not keep them.
    Refused,
}
