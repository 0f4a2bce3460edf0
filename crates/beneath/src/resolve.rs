//! From a directory's descriptor to what a relative path names below it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_protection::Protection;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

/// How a directory is opened: just to reach what is in it. Needs no right to list it.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Added to every way of opening a file below a directory. A pipe that has taken a
/// file's place is not waited for, a terminal does not become the controlling one.
pub(super) const SAFE_FLAGS: OFlags =
    OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether openat2(2) was refused, so that it need not be asked again.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Splits a relative path into what is above its last component, if anything is, and
/// that component.
///
/// # Errors
/// `EINVAL` for a path that is empty or absolute or has `.` or `..` in it.
pub(super) fn split_relative(path: &Path) -> Result<(Option<&Path>, &OsStr), Errno> {
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Errno::INVAL);
    }
    let name = path.file_name().ok_or(Errno::INVAL)?;
    Ok((path.parent().filter(|above| !above.as_os_str().is_empty()), name))
}

/// Opens what `path` names below `root`.
pub(super) fn resolve(
    root: &OwnedFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let (above, name) = split_relative(path)?;
    let flags = match Protection::BeneathRoot.is_on() {
        true => flags,
        // Only in test builds: links are followed.
        false => return openat(root, path, flags - OFlags::NOFOLLOW, mode),
    };
    if above.is_none() {
        return open_component(root, name, flags, mode);
    }
    if !IS_REFUSED.load(Ordering::Relaxed) {
        match with_openat2(root, path, flags, mode) {
            // An old kernel, or a filter of system calls.
            Err(Errno::NOSYS | Errno::PERM) => IS_REFUSED.store(true, Ordering::Relaxed),
            // No single call takes so long a path.
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
    // With `O_PATH | O_NOFOLLOW` a link in the last place would be opened itself.
    let flags = flags - OFlags::NOFOLLOW;
    loop {
        match openat2(root, path, flags, mode, resolve) {
            // Something was renamed at that moment.
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Component by component, each of which must be no link.
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

/// Opens one name. A link is `ELOOP`, also where a directory was wanted, for which
/// openat(2) says `ENOTDIR` of a link and of a file alike.
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
