//! What an input is besides its bytes: its permission bits and times for the output,
//! and whether it still is what was opened.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, CWD, Stat, StatxFlags, Timespec, Timestamps};

use super::Source;
use crate::Error;

/// The attribute that holds an access control list (acl(5)).
pub(crate) const ACL: &str = "system.posix_acl_access";

impl Source {
    /// The permission bits for the output: the input's own, or what a new
    /// file gets where the input is no file.
    pub(crate) fn output_mode(&self) -> u32 {
        if self.is_regular() {
            return mode_without_acl(&self.file, self.stat.st_mode);
        }
        self.fed.as_ref().map_or_else(usual_mode, |fed| fed.mode)
    }

    /// When it was read and changed last, as it was when it was opened.
    pub(crate) fn times(&self) -> Timestamps {
        let time = |seconds, nanoseconds: u64| Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
        };
        Timestamps {
            last_access: time(self.stat.st_atime, self.stat.st_atime_nsec),
            last_modification: time(self.stat.st_mtime, self.stat.st_mtime_nsec),
        }
    }

    /// Device and inode.
    #[must_use]
    pub fn id(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    /// Fails if the file is not the one that was opened any more.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        if !self.is_regular() {
            return Ok(());
        }
        let now = rustix::fs::fstat(&self.file).map_err(|source| Error::Read {
            path: self.path.clone(),
            offset: self.position,
            source: source.into(),
        })?;
        if identity(&now) == identity(&self.stat) { Ok(()) } else { Err(self.changed()) }
    }

    pub(crate) fn changed(&self) -> Error {
        Error::InputChanged { path: self.path.clone() }
    }

    /// Whether the input's name is that of the file itself: not of a link, a
    /// pipe or standard input.
    pub(crate) fn is_removable(&self) -> bool {
        let is_link = || std::fs::symlink_metadata(&self.path).map_or(true, |m| m.is_symlink());
        self.is_positional && !is_link()
    }

    /// Removes the input from its folder, if the name still is that of the
    /// file that was read.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let failed = |source: io::Error| Error::Remove { path: self.path.clone(), source };
        // Asked of the file system itself: a cache may not know yet that the
        // output has replaced this very file, under another mount.
        let named = rustix::fs::statx(
            CWD,
            &self.path,
            AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC,
            StatxFlags::BASIC_STATS,
        )
        .map_err(|error| failed(error.into()))?;
        let is_same = (named.stx_ino, named.stx_size) == (self.stat.st_ino, self.size())
            && (named.stx_mtime.tv_sec, u64::from(named.stx_mtime.tv_nsec))
                == (self.stat.st_mtime, self.stat.st_mtime_nsec)
            && (named.stx_ctime.tv_sec, u64::from(named.stx_ctime.tv_nsec))
                == (self.stat.st_ctime, self.stat.st_ctime_nsec)
            && rustix::fs::makedev(named.stx_dev_major, named.stx_dev_minor) == self.stat.st_dev;
        if !is_same {
            return Err(failed(io::Error::other("it is not the file any more that was read")));
        }
        std::fs::remove_file(&self.path).map_err(failed)
    }
}

/// The permission bits that a copy of `file` may have that does not get its
/// access control list. With such a list the bits of the group tell what the
/// list allows at the most, which may be more than the group has.
pub(crate) fn mode_without_acl(file: &File, mode: u32) -> u32 {
    let has_acl = match rustix::fs::fgetxattr(file, ACL, &mut [0; 256][..]) {
        Ok(len) => len > 0,
        // A long one.
        Err(error) => error == rustix::io::Errno::RANGE,
    };
    mode & if has_acl { 0o707 } else { 0o777 }
}

/// The permission bits that a new file usually gets.
pub(crate) fn usual_mode() -> u32 {
    // The mask can only be read by setting it. No other thread creates files
    // at this moment.
    let umask = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    rustix::process::umask(umask);
    0o666 & !umask.as_raw_mode()
}

/// What tells one state of a file from another.
fn identity(stat: &Stat) -> impl PartialEq + use<> {
    (
        (stat.st_dev, stat.st_ino, stat.st_size),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    )
}
