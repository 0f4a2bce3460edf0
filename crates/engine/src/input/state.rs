//! What an input is besides its bytes: its permission bits and times for the output,
//! and whether it still is what was opened.

use std::fs::File;
use std::path::Path;

use cryptstream_beneath::{Dir, FileId, KnownFile, fresh, is_exact};
use rustix::fs::{Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::{Source, acl};
use crate::Error;

/// The attribute that holds an access control list (acl(5)).
pub(crate) const ACL: &str = "system.posix_acl_access";

impl Source {
    /// The permission bits for the output: the input's own, or what new files usually
    /// have where the input is no file. The umask is not taken off. Also whether the
    /// input has an access control list.
    #[must_use]
    pub fn output_mode(&self) -> (u32, bool) {
        if self.is_regular() {
            return without_acl(&self.file, self.stat.st_mode);
        }
        (self.fed.as_ref().map_or(0o666, |fed| fed.mode), false)
    }

    /// When it was read and changed last, as it was when it was opened.
    pub(crate) fn times(&self) -> Timestamps {
        times_of(&self.stat)
    }

    /// The same file once more, from its beginning. Only what is a file can be read
    /// again.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        let file = self.file.try_clone();
        let file = file.map_err(|source| Error::Open { path: self.path.clone(), source })?;
        Ok(Self::new(file, self.path.clone(), self.is_positional)?.parsed_by(&self.parser))
    }

    /// An output that is to be read again.
    pub(crate) fn of_output(file: File, path: &Path) -> Result<Self, Error> {
        Self::new(file, path.to_owned(), true)
    }

    /// Its device and number.
    pub(crate) fn id(&self) -> FileId {
        FileId::of(&self.stat)
    }

    /// What it can be recognized by, wherever it turns up.
    #[must_use]
    pub fn known(&self) -> KnownFile {
        KnownFile::of(&self.file, &self.stat)
    }

    /// From now on all that is taken from the file is authenticated. So it need not be
    /// believed that it has changed where only its time tells that, and the file system
    /// tells times as it likes: some give a file another one when it has been uploaded.
    pub(crate) fn set_authenticated(&mut self) {
        self.is_authenticated = true;
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
        let now = fresh(&self.file, now);
        if self.is_authenticated
            && now.st_size == self.stat.st_size
            && !is_exact(&self.file, now.st_dev)
        {
            return Ok(());
        }
        if state(&now) == state(&self.stat) { Ok(()) } else { Err(self.changed()) }
    }

    pub(crate) fn changed(&self) -> Error {
        Error::InputChanged { path: self.path.clone() }
    }
}

/// When something was read and changed last.
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

/// The permission bits that a copy of `file` may have that does not get its
/// access control list. With such a list the bits of the group tell what the
/// list allows at the most, which may be more than the group has.
pub(crate) fn mode_without_acl(file: &File, mode: u32) -> u32 {
    without_acl(file, mode).0
}

/// The same, and whether there is such a list.
fn without_acl(file: &File, mode: u32) -> (u32, bool) {
    let mut buffer = [0; 1024];
    match rustix::fs::fgetxattr(file, ACL, &mut buffer[..]) {
        Ok(0) => (mode & 0o777, false),
        Ok(len) => (mode & (0o700 | acl::group_and_others(&buffer[..len])), true),
        // Too long to be read here.
        Err(Errno::RANGE) => (mode & 0o700, true),
        Err(_) => (mode & 0o777, false),
    }
}

/// The permission bits that a copy of this folder may have, which does not get its access
/// control list, and whether it has one. `mode` is what the folder has.
#[must_use]
pub fn folder_mode(dir: &Dir, mode: u32) -> (u32, bool) {
    // A list gives nothing to anybody by name where the bits give the group nothing.
    if mode & 0o070 == 0 {
        return (mode, false);
    }
    let Ok(file) = dir.open_self() else { return (mode, false) };
    let (bits, has_acl) = without_acl(&file, mode);
    (mode & !0o777 | bits, has_acl)
}

/// Whether the file has an access control list beyond its permission bits.
#[must_use]
pub fn has_acl(file: &File) -> bool {
    match rustix::fs::fgetxattr(file, ACL, &mut [0; 256][..]) {
        Ok(len) => len > 0,
        Err(error) => error == Errno::RANGE,
    }
}

/// What tells one state of an open file from another. Which file it is cannot change,
/// and some file systems give it another number at each look.
fn state(stat: &Stat) -> impl PartialEq + use<> {
    let changed = (stat.st_ctime, stat.st_ctime_nsec);
    (stat.st_size, (stat.st_mtime, stat.st_mtime_nsec), changed)
}
