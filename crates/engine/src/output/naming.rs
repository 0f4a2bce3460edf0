//! How a finished file or folder gets its name.
//!
//! A name that is taken is never given unless that was asked for. In the order of
//! strength: a rename that refuses to replace (`RENAME_NOREPLACE`), a hard link, which is
//! as exclusive, and a placeholder that is created exclusively and then replaced. Only
//! where a file system knows none of these, a look at the name has to do.

use std::ffi::OsStr;

use cryptstream_beneath::Dir;
use rustix::fs::{Mode, RenameFlags};
use rustix::io::Errno;

/// Whether a file system or a filter of system calls answers so to what it does not know
/// or allow, whatever the file is.
pub(super) fn is_unsupported(error: Errno) -> bool {
    matches!(
        error,
        Errno::INVAL
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::PERM
            | Errno::ACCESS
            | Errno::XDEV
            | Errno::MLINK
            | Errno::NOTTY
    )
}

/// Renames a file to a name in the same folder; without `may_replace` only to a free one.
pub(super) fn rename(
    folder: &Dir,
    from: &OsStr,
    to: &OsStr,
    may_replace: bool,
) -> Result<(), Errno> {
    if may_replace {
        return folder.rename(from, folder, to);
    }
    match folder.rename_with(from, folder, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) => {}
        renamed => return renamed,
    }
    match folder.hard_link(from, folder, to) {
        Ok(()) => {
            // The file has its name. What is left of the other a later run removes.
            let _ = folder.remove_file(from);
            return Ok(());
        }
        Err(Errno::EXIST) => return Err(Errno::EXIST),
        Err(_) => {}
    }
    let place = || {
        let file = folder.create_file(to, Mode::RUSR | Mode::WUSR)?;
        let written = rustix::io::write(&file, PLACEHOLDER).map(drop);
        drop(file);
        if written.is_err() {
            // There is no room: nothing better can be done about what is left.
            let _ = folder.remove_file(to);
        }
        written
    };
    let is_placeholder =
        || folder.stat(to).is_ok_and(|there| there.st_size <= PLACEHOLDER.len() as i64);
    let remove = || if is_placeholder() { folder.remove_file(to) } else { Err(Errno::EXIST) };
    over_placeholder(folder, from, folder, to, place, remove)
}

/// The content of a placeholder. It is not empty because rclone creates a file into which nothing
/// was written some time after close(2) has returned: perhaps over what was renamed meanwhile.
const PLACEHOLDER: &[u8] = b"\n";

/// Renames a folder, which lies in `from_dir`, to a name that is free in `dir`.
pub(super) fn rename_folder(
    from_dir: &Dir,
    from: &OsStr,
    dir: &Dir,
    to: &OsStr,
) -> Result<(), Errno> {
    match from_dir.rename_with(from, dir, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unsupported(error) => {}
        renamed => return renamed,
    }
    // Of what may stand there, only an empty folder is replaced.
    let place = || dir.create_dir(to, Mode::RWXU);
    over_placeholder(from_dir, from, dir, to, place, || dir.remove_dir(to))
}

/// Takes the name with something that is made for it, and renames over that.
fn over_placeholder(
    from_dir: &Dir,
    from: &OsStr,
    dir: &Dir,
    to: &OsStr,
    place: impl FnOnce() -> Result<(), Errno>,
    remove: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    place()?;
    let Err(error) = from_dir.rename(from, dir, to) else { return Ok(()) };
    remove()?;
    // Some servers never rename to a name that is taken.
    match dir.stat(to) {
        Err(Errno::NOENT) => from_dir.rename(from, dir, to).map_err(|_| error),
        Ok(_) => Err(Errno::EXIST),
        Err(_) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// As renameat2(2) with `RENAME_NOREPLACE`, in ways that need less of a file system.
    #[test]
    fn a_name_that_is_taken_is_never_given() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let path = |name: &str| folder.path().join(name);
        let over_placeholder = |from: &str, to: &str| {
            let place = || dir.create_file(to, Mode::RUSR | Mode::WUSR).map(drop);
            over_placeholder(&dir, from.as_ref(), &dir, to.as_ref(), place, || dir.remove_file(to))
        };
        fs::write(path("new"), "new").unwrap();
        fs::write(path("taken"), "taken").unwrap();
        assert_eq!(over_placeholder("new", "taken"), Err(Errno::EXIST));
        assert_eq!(rename(&dir, "new".as_ref(), "taken".as_ref(), false), Err(Errno::EXIST));
        assert_eq!(fs::read(path("taken")).unwrap(), b"taken");
        assert_eq!(over_placeholder("new", "free"), Ok(()));
        assert_eq!(fs::read(path("free")).unwrap(), b"new");
        // Nothing is left where it fails.
        assert_eq!(over_placeholder("missing", "other"), Err(Errno::NOENT));
        assert!(!path("other").exists());

        fs::create_dir(path("folder")).unwrap();
        fs::create_dir_all(path("full/of")).unwrap();
        let rename_folder = |to: &str| rename_folder(&dir, "folder".as_ref(), &dir, to.as_ref());
        assert_eq!(rename_folder("full"), Err(Errno::EXIST));
        assert_eq!(rename_folder("named"), Ok(()));
        assert!(path("named").is_dir() && !path("folder").exists());
    }
}
