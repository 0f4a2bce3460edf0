//! A folder that does not stand under its name yet.
//!
//! There are no unnamed folders, so it is made in a [`Container`] beside the name that
//! it is to get, closed to everybody else, until all that is in it is known to be
//! right; then one rename gives it its name. What an interruption or a failure
//! leaves of it is removed at once, what a killed process leaves by the next run
//! that writes into the same folder.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_beneath::{Dir, is_refusal};
use rustix::fs::{FileType, Mode, Timespec, Timestamps, UTIME_OMIT, fchmod, fstat, futimens};
use rustix::io::Errno;

use super::abandoned;
use super::container::{CONTENT, Container, open_listed};
use super::naming::rename_folder;
use crate::Error;
use crate::interrupt::{self, OnInterrupt};
use crate::path_resolution::{Resolution, ResolveError, ResolvedPath, refuse_if_owned_by_other};
use crate::umask::umask;

/// What the name of a folder that was replaced ends in.
const OLD: &str = ".old";

/// A folder that is being unpacked, under a temporary name.
pub struct StagingFolder {
    /// The folder that it will be in, and its name there.
    resolved: ResolvedPath,
    container: Arc<Container>,
    folder: OwnedFd,
    place: NameState,
    change_lock: Arc<Mutex<()>>,
    /// What removes it when the process is interrupted.
    cleanup: Option<OnInterrupt>,
    is_committed: bool,
    path: PathBuf,
}

/// What stands under the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameState {
    Free,
    /// A folder with nothing in it.
    Empty,
    /// A folder that is to be kept under another name.
    Taken,
}

impl StagingFolder {
    /// Checks that the folder can be created, as far as that is possible beforehand. With
    /// `force`, an existing folder is no obstacle.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::OldOutputExists`], [`Error::OutputIsHere`],
    /// [`Error::OutputPlanted`], [`Error::Create`].
    pub fn check(path: &Path, force: bool) -> Result<(), Error> {
        look(path, force).map(drop)
    }

    /// Creates the folder beside `path`.
    ///
    /// # Errors
    /// Those of [`StagingFolder::check`].
    pub fn create(path: &Path, force: bool) -> Result<Self, Error> {
        let (place, resolved) = look(path, force)?;
        abandoned::remove_abandoned(&resolved.folder);
        let made = Container::create(Arc::clone(&resolved.folder), &resolved.name);
        let (container, folder) = made.map_err(|error| create_error(path, error))?;
        let (container, change_lock) = (Arc::new(container), Arc::new(Mutex::new(())));
        let watched = (Arc::clone(&container), Arc::clone(&change_lock));
        // Without the thread only an interruption leaves it behind, for a later run
        // to remove.
        let cleanup = interrupt::on_interrupt(Box::new(move || {
            let (container, change_lock) = &watched;
            let closed = change_lock.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = container.remove();
            // The process ends, so nothing may go on.
            std::mem::forget(closed);
        }));
        let (path, cleanup, is_committed) = (path.to_owned(), cleanup.ok(), false);
        Ok(Self { resolved, container, folder, place, change_lock, cleanup, is_committed, path })
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Must be locked while anything in the folder is changed, so that nothing is added
    /// while an interruption removes it.
    #[must_use]
    pub fn change_lock(&self) -> &Mutex<()> {
        &self.change_lock
    }

    /// Gives the folder its permission bits (without `mode` those of a new folder), the time
    /// of its last change (seconds and nanoseconds since 1970), and its name. With `sync`,
    /// its content is made durable before it gets its name, and the name after that. A
    /// folder that had the name is kept, and its new path is returned.
    ///
    /// # Errors
    /// [`Error::OutputExists`], [`Error::Write`], [`Error::NotDurable`].
    pub fn commit(
        mut self,
        mode: Option<u32>,
        modified: Option<(i64, u32)>,
        sync: bool,
    ) -> Result<Option<PathBuf>, Error> {
        let path = self.path.clone();
        let failed = |error: Errno| match error {
            Errno::EXIST | Errno::NOTEMPTY => Error::OutputExists { path: path.clone() },
            _ => Error::Write { path: path.clone(), offset: 0, source: error.into() },
        };
        if sync {
            rustix::fs::syncfs(&self.folder).map_err(failed)?;
        }
        // Also for the bits of an archive, which may come from anyone.
        let mode = Mode::from_raw_mode(mode.unwrap_or(0o777) & !umask());
        // What it has got from the folder above, as with mkdir(1).
        let inherited = fstat(&self.folder).map_err(failed)?.st_mode & Mode::SGID.as_raw_mode();
        let mode = mode | Mode::from_raw_mode(inherited);
        // A folder can only be moved by those who may write to it.
        // Some file systems store none of this, and the content is complete without it.
        let as_taken = |set: Result<(), Errno>| match set {
            Err(error) if is_refusal(error) => Ok(()),
            set => set.map_err(failed),
        };
        as_taken(fchmod(&self.folder, mode | Mode::WUSR))?;
        if let Some((tv_sec, nanoseconds)) = modified {
            let last_modification = Timespec { tv_sec, tv_nsec: nanoseconds.into() };
            // The time of the last access is not changed.
            let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            as_taken(futimens(&self.folder, &Timestamps { last_access, last_modification }))?;
        }
        let old = self.give_name().map_err(failed)?;
        if !mode.contains(Mode::WUSR) {
            as_taken(fchmod(&self.folder, mode))?;
        }
        if sync {
            let synced = open_listed(&*self.resolved.folder, ".").and_then(rustix::fs::fsync);
            match synced {
                // Some file systems cannot sync folders; some may not be listed.
                Ok(()) | Err(Errno::INVAL | Errno::BADF | Errno::ACCESS) => {}
                Err(error) => return Err(Error::NotDurable { path, source: error.into() }),
            }
        }
        Ok(old.map(|old| path.with_file_name(old)))
    }

    /// Returns the new path of the folder that had the name.
    fn give_name(&mut self) -> Result<Option<OsString>, Errno> {
        interrupt::end_if_pending();
        let _deferred = interrupt::defer();
        // Not while an interruption that came before is removing it.
        let held = self.change_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let ResolvedPath { folder, name } = &self.resolved;
        let (folder, container, content) = (&**folder, self.container.dir(), OsStr::new(CONTENT));
        let old = match self.place {
            NameState::Free => {
                rename_folder(container, content, folder, name)?;
                None
            }
            // Fails if it is not empty any more.
            NameState::Empty => {
                container.rename(CONTENT, folder, name)?;
                None
            }
            NameState::Taken => {
                let old = old_name(name);
                rename_folder(folder, name, folder, &old)?;
                if let Err(error) = rename_folder(container, content, folder, name) {
                    let _ = rename_folder(folder, &old, folder, name);
                    return Err(error);
                }
                Some(old)
            }
        };
        // Only the mark is left in it. If that fails, a later run removes it.
        let _ = self.container.remove();
        self.is_committed = true;
        // Before the next step, which waits for an interruption under way.
        drop(held);
        self.cleanup = None;
        Ok(old)
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        if !self.is_committed {
            let _held = self.change_lock.lock().unwrap_or_else(PoisonError::into_inner);
            // If that fails, a later run removes it.
            let _ = self.container.remove();
        }
    }
}

/// What stands under a name, and where that is behind links.
fn look(path: &Path, force: bool) -> Result<(NameState, ResolvedPath), Error> {
    let failed = |error: Errno| create_error(path, error);
    let exists = || Error::OutputExists { path: path.to_owned() };
    // `.` and the like have no name, and cannot be anything but folders above.
    if path.file_name().is_none() && is_here(&Dir::open(path).map_err(failed)?) {
        return Err(Error::OutputIsHere { path: path.to_owned() });
    }
    let (resolved, stat) = match ResolvedPath::find(path) {
        Ok(Resolution::Missing(resolved, None)) => return Ok((NameState::Free, resolved)),
        Ok(Resolution::Existing(resolved, stat)) => (resolved, stat),
        Ok(Resolution::Missing(..) | Resolution::Descriptor(..)) => return Err(exists()),
        Err(ResolveError::System(error)) => return Err(failed(error)),
        Err(ResolveError::Planted(owner)) => {
            return Err(Error::OutputPlanted { path: path.to_owned(), owner });
        }
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(exists());
    }
    let present = resolved.folder.open_dir(&resolved.name).map_err(failed)?;
    if is_here(&present) {
        return Err(Error::OutputIsHere { path: path.to_owned() });
    }
    let is_empty = present.entries().map_err(failed)?.next().is_none();
    let old = old_name(&resolved.name);
    let state = match (is_empty, force, resolved.folder.stat(&old).is_ok()) {
        (true, ..) => NameState::Empty,
        (false, false, _) => return Err(exists()),
        (false, true, true) => {
            return Err(Error::OldOutputExists { path: path.with_file_name(old) });
        }
        (false, true, false) => NameState::Taken,
    };
    refuse_if_owned_by_other(&resolved.folder, &stat, path)?;
    Ok((state, resolved))
}

fn create_error(path: &Path, error: Errno) -> Error {
    Error::Create { path: path.to_owned(), source: error.into() }
}

fn old_name(name: &OsStr) -> OsString {
    let mut old = name.to_owned();
    old.push(OLD);
    old
}

/// Whether this is the current folder or one above it, which would lose its path.
fn is_here(folder: &Dir) -> bool {
    Dir::open(Path::new(".")).and_then(|here| here.is_or_lies_in(folder)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    fn fill(staging: &StagingFolder) {
        rustix::fs::mkdirat(staging.folder(), "inner", Mode::RWXU).unwrap();
        rustix::fs::symlinkat("/etc", staging.folder(), "link").unwrap();
    }

    #[test]
    fn nothing_stands_under_the_name_before_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let staging = StagingFolder::create(&out, false).unwrap();
        fill(&staging);
        assert!(!out.exists());
        let [temporary] = &names(dir.path())[..] else { panic!() };
        let mode = fs::metadata(dir.path().join(temporary)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(staging.commit(Some(0o750), None, false).unwrap(), None);
        assert_eq!(names(dir.path()), ["out"]);
        assert_eq!(names(&out), ["inner", "link"]);
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn dropped_it_leaves_nothing_and_touches_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(dir.path().join("other/file"), "x").unwrap();
        let staging = StagingFolder::create(&dir.path().join("out"), false).unwrap();
        fill(&staging);
        rustix::fs::symlinkat(dir.path().join("other"), staging.folder(), "out").unwrap();
        rustix::fs::chmodat(staging.folder(), "inner", Mode::empty(), rustix::fs::AtFlags::empty())
            .unwrap();
        drop(staging);
        assert_eq!(names(dir.path()), ["other"]);
        assert_eq!(names(&dir.path().join("other")), ["file"]);
    }

    #[test]
    fn what_stands_there_is_replaced_only_if_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let staging = StagingFolder::create(&out, false).unwrap();
        fill(&staging);
        staging.commit(None, None, true).unwrap();
        assert_eq!(names(&out), ["inner", "link"]);

        let refused = StagingFolder::create(&out, false);
        assert!(matches!(refused, Err(Error::OutputExists { .. })));
        let staging = StagingFolder::create(&out, true).unwrap();
        let old = staging.commit(None, None, false).unwrap();
        assert_eq!(old, Some(dir.path().join("out.old")));
        assert_eq!(names(&out), [""; 0]);
        assert_eq!(names(&dir.path().join("out.old")), ["inner", "link"]);
        fs::write(out.join("new"), "x").unwrap();
        assert!(matches!(StagingFolder::check(&out, true), Err(Error::OldOutputExists { .. })));

        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(StagingFolder::check(&file, true), Err(Error::OutputExists { .. })));
        let here = Path::new(".");
        assert!(matches!(StagingFolder::check(here, true), Err(Error::OutputIsHere { .. })));
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let staging = StagingFolder::create(&dir.path().join("out"), false).unwrap();
        let [own] = &names(dir.path())[..] else { panic!() };
        let own = own.to_str().unwrap().to_owned();
        let dead = format!("-{}-", child.id());
        let left = own.replace(&format!("-{}-", std::process::id()), &dead);
        fs::create_dir_all(dir.path().join(&left).join("a/b")).unwrap();
        fs::write(dir.path().join(&left).join("lock"), &left).unwrap();
        fs::set_permissions(dir.path().join(&left), PermissionsExt::from_mode(0o700)).unwrap();
        let another = StagingFolder::create(&dir.path().join("out"), false).unwrap();
        assert!(!dir.path().join(left).exists());
        assert!(dir.path().join(own).exists());
        drop((staging, another));
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
