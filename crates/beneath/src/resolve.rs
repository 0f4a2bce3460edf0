//! Opens a relative path from the descriptor of a directory.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_protection::Protection;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

/// How a directory is opened. `O_PATH` needs no permission to list it.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Flags that are added whenever a file is opened below a directory. A pipe in the place of a file
/// does not block, and a terminal does not become the controlling one.
pub(super) const SAFE_FLAGS: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether openat2(2) was refused before.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Splits a relative path into its parent, if it has one, and its last component.
///
/// # Errors
/// `EINVAL` if the path is empty or absolute, or contains `.` or `..`.
pub(super) fn split_relative(path: &Path) -> Result<(Option<&Path>, &OsStr), Errno> {
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Errno::INVAL);
    }
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok((path.parent().filter(|above| !above.as_os_str().is_empty()), name))
}

/// Opens `path` below `root`.
pub(super) fn resolve(
    root: &OwnedFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let (above, name) = split_relative(path)?;
    let flags = match Protection::BeneathRoot.is_on() {
        true => flags,
        // In tests of attacks only: links are followed.
        false => return openat(root, path, flags - OFlags::NOFOLLOW, mode),
    };
    if above.is_none() {
        return open_component(root, name, flags, mode);
    }
    if !IS_REFUSED.load(Ordering::Relaxed) {
        match with_openat2(root, path, flags, mode) {
            // An old kernel, or a seccomp filter.
            Err(Errno::NOSYS | Errno::PERM) => IS_REFUSED.store(true, Ordering::Relaxed),
            // The path is too long for one call.
            Err(Errno::NAMETOOLONG) => {}
            opened => return opened,
        }
    }
    component_by_component(root, path, flags, mode)
}

pub(super) fn with_openat2(
    root: &OwnedFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    // With `O_PATH | O_NOFOLLOW` a link as the last component would be opened itself.
    let flags = flags - OFlags::NOFOLLOW;
    loop {
        match openat2(root, path, flags, mode, resolve) {
            // A directory was renamed meanwhile.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Opens one component after the other, none of which may be a link.
pub(super) fn component_by_component(
    root: &OwnedFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    if !Protection::BeneathByHand.is_on() {
        return openat(root, path, flags, mode);
    }
    let (above, name) = split_relative(path)?;
    let mut dir: Option<OwnedFd> = None;
    for part in above.into_iter().flat_map(Path::iter) {
        let within = dir.as_ref().unwrap_or(root);
        dir = Some(open_component(within, part, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
    }
    open_component(dir.as_ref().unwrap_or(root), name, flags, mode)
}

/// Opens one name. Fails with `ELOOP` for a link even if a directory is expected, where openat(2)
/// fails with `ENOTDIR`.
fn open_component(
    dir: impl AsFd,
    name: &OsStr,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let opened = loop {
        match openat(&dir, name, flags, mode) {
            Err(Errno::INTR) => {}
            opened => break opened,
        }
    };
    match opened {
        Err(Errno::NOTDIR) => {
            let is_link = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            Err(if is_link { Errno::LOOP } else { Errno::NOTDIR })
        }
        opened => opened,
    }
}
