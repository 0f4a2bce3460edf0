//! Removes an input that was encrypted or decrypted (`--remove-source`).
//!
//! It is removed through the descriptor of the directory that it was opened in, so replacing
//! anything above it has no effect. It is removed in three steps, since another file may be
//! renamed to its name at any moment, as editors do when they save:
//!
//! 1. Check that the name belongs to the file that was read.
//! 2. Rename it to a temporary name, `.NAME.cryptstream-RANDOM.removing`.
//! 3. Check that the temporary name belongs to that file, and remove it. Any other file gets
//!    its name back.
//!
//! A run that is killed in between leaves the complete file under the temporary name;
//! [`is_leftover`] recognizes such names. A user who can rename something to the temporary
//! name can also remove it, so nothing is lost that could have been kept.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cryptstream_beneath::{Dir, FileId};
use cryptstream_protection::Protection;
use rustix::fs::{AtFlags, CWD, FileType, RenameFlags, Statx, StatxFlags, statx};
use rustix::io::Errno;

use super::source::Source;
use crate::path_resolution::refuse_if_owned_by_other;
use crate::{Error, interrupt};

const MARK: &str = ".cryptstream-";
const SUFFIX: &str = ".removing";
/// Digits of the random number.
const DIGITS: usize = 16;
/// The longest name of a file.
const MAX_NAME: usize = 255;

impl Source {
    /// Whether the input's name is that of the file itself: not of a link, a pipe or
    /// standard input. Or whether it is an object that can be recognized.
    pub(crate) fn is_removable(&self) -> bool {
        if let Some(object) = self.file.object() {
            return object.is_removable();
        }
        let is_link = |dir: &Dir, name: &OsStr| {
            let stat = dir.stat(name);
            stat.map_or(true, |stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        };
        self.is_positional && self.origin.as_ref().is_some_and(|(dir, name)| !is_link(dir, name))
    }

    /// Refuses an input that only another user may remove.
    pub(crate) fn check_owner(&self) -> Result<(), Error> {
        match &self.origin {
            Some((dir, _)) => refuse_if_owned_by_other(dir, &self.stat, &self.path),
            None => Ok(()),
        }
    }

    /// Removes the input from its directory, if the name still is that of the file that
    /// was read.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let failed = |path: &Path, source| Error::Remove { path: path.to_owned(), source };
        if let Some(object) = self.file.object() {
            return object.remove().map_err(|error| failed(&self.path, error));
        }
        let Some((dir, name)) = &self.origin else {
            return Err(Error::NotRemovable { path: self.path.clone() });
        };
        if !Protection::RemoveByDescriptor.is_on() {
            return self.remove_by_path();
        }
        let unlike = || io::Error::other("it is not the file any more that was read");
        match look(dir, name) {
            Ok(found) if self.is(&found, true) => {}
            Ok(_) => return Err(failed(&self.path, unlike())),
            Err(error) => return Err(failed(&self.path, error.into())),
        }
        // An interruption in between would leave the temporary name.
        let _deferred = interrupt::defer();
        let aside = temporary_name(name).map_err(|error| failed(&self.path, error.into()))?;
        rename_to_free(dir, name, &aside).map_err(|error| failed(&self.path, error.into()))?;
        // Renaming has changed the time of the last change of its state.
        let error = match look(dir, &aside) {
            Ok(found) if self.is(&found, false) => match dir.remove_file(&aside) {
                Ok(()) => return Ok(()),
                Err(error) => error.into(),
            },
            Ok(_) => unlike(),
            Err(error) => error.into(),
        };
        match rename_to_free(dir, &aside, name) {
            Ok(()) => Err(failed(&self.path, error)),
            // Its name is taken: it stays, and is named.
            Err(_) => Err(failed(&self.path.with_file_name(aside), error)),
        }
    }

    /// Only in test builds: removes it by its path, without these steps.
    fn remove_by_path(&self) -> Result<(), Error> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
        let found = statx(CWD, &self.path, flags, StatxFlags::BASIC_STATS);
        let removed = match found {
            Ok(found) if self.is(&found, true) => rustix::fs::unlink(&self.path),
            Ok(_) => Err(Errno::STALE),
            Err(error) => Err(error),
        };
        removed.map_err(|source| Error::Remove { path: self.path.clone(), source: source.into() })
    }

    /// Whether that is the file that was opened, as it was then.
    fn is(&self, found: &Statx, with_ctime: bool) -> bool {
        let time = |seconds: i64, nanoseconds: u32| (seconds, u64::from(nanoseconds));
        let dev = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        let id = FileId { dev, ino: found.stx_ino };
        let is_same = self.id().may_be(id, &self.file)
            && found.stx_size == self.size()
            && time(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec)
                == (self.stat.st_mtime, self.stat.st_mtime_nsec);
        let changed = time(found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec);
        is_same && (!with_ctime || changed == (self.stat.st_ctime, self.stat.st_ctime_nsec))
    }
}

/// Asks the file system itself: a cache may not know yet that the output has replaced
/// this very file, under another mount.
fn look(dir: &Dir, name: &OsStr) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
    statx(dir, name, flags, StatxFlags::BASIC_STATS)
}

/// Renames within a directory to a name that nothing has.
fn rename_to_free(dir: &Dir, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match dir.rename_with(from, dir, to, RenameFlags::NOREPLACE) {
        // The file system does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS) => {}
        renamed => return renamed,
    }
    match dir.stat(to) {
        Err(Errno::NOENT) => dir.rename(from, dir, to),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::EXIST),
    }
}

fn temporary_name(name: &OsStr) -> Result<OsString, Errno> {
    let mut random = [0; DIGITS / 2];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    let rest = format!("{MARK}{:016x}{SUFFIX}", u64::from_ne_bytes(random));
    // Not within a character: some file systems take nothing but UTF-8.
    let mut len = name.len().min(MAX_NAME - 1 - rest.len());
    while len < name.len() && len > 0 && name.as_bytes()[len] & 0xc0 == 0x80 {
        len -= 1;
    }
    Ok(OsString::from_vec([b".", &name.as_bytes()[..len], rest.as_bytes()].concat()))
}

/// Whether this is the temporary name of an input that a killed run was removing.
#[must_use]
pub fn is_leftover(name: &OsStr) -> bool {
    of_what(name).is_some()
}

/// The name that a leftover had, or its beginning if that was too long.
fn of_what(name: &OsStr) -> Option<&[u8]> {
    let rest = name.as_bytes().strip_prefix(b".")?.strip_suffix(SUFFIX.as_bytes())?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let is_number = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    rest.strip_suffix(MARK.as_bytes()).filter(|was| is_number && !was.is_empty())
}

/// The path at which a killed run has left the input that had this path.
#[must_use]
pub fn leftover_of(path: &Path) -> Option<PathBuf> {
    let (dir, name) = Dir::open_parent(path).ok()?;
    let mut entries = dir.entries().ok()?.flatten().map(|(entry, _)| entry);
    let left = entries.find(|entry| of_what(entry) == Some(name.as_bytes()))?;
    Some(path.with_file_name(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_told_by_their_names() {
        for name in ["a".to_owned(), "n".repeat(255), "ä".repeat(127)] {
            let aside = temporary_name(OsStr::new(&name)).unwrap();
            assert!(aside.len() <= MAX_NAME && aside.to_str().is_some());
            assert!(is_leftover(&aside) && aside != temporary_name(OsStr::new(&name)).unwrap());
        }
        let random = "0123456789abcdef";
        for name in [
            format!(".a.cryptstream-{random}"),
            format!("a.cryptstream-{random}.removing"),
            format!(".cryptstream-{random}.removing"),
            format!(".a.cryptstream-{}.removing", random.to_uppercase()),
            ".a.cryptstream-12.removing".to_owned(),
        ] {
            assert!(!is_leftover(OsStr::new(&name)), "{name}");
        }
    }

    #[test]
    fn what_took_the_inputs_name_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "first").unwrap();
        let source = Source::open(&path).unwrap();
        std::fs::rename(&path, folder.path().join("b")).unwrap();
        std::fs::write(&path, "other").unwrap();
        assert!(matches!(source.remove(), Err(Error::Remove { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
        // From where it was opened, whatever the path leads to by now.
        let source = Source::open(&path).unwrap();
        let moved = folder.path().join("moved");
        std::fs::create_dir(&moved).unwrap();
        std::fs::rename(&path, moved.join("a")).unwrap();
        assert!(source.remove().is_err());
        let source = Source::open(&moved.join("a")).unwrap();
        std::fs::rename(&moved, folder.path().join("again")).unwrap();
        source.remove().unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("again")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_has_left_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert_eq!(leftover_of(&path), None);
        let aside = path.with_file_name(temporary_name(OsStr::new("a")).unwrap());
        std::fs::write(&aside, "whole").unwrap();
        assert_eq!(leftover_of(&path), Some(aside));
        assert_eq!(leftover_of(&folder.path().join("b")), None);
    }
}
