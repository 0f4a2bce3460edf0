//! The folders and links of the copy.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::plan::{Fate, Plan, Root};
use crate::messages::{Failure, tree as words};

/// What a folder needs as long as something is put into it.
const OWNER: u32 = 0o700;
/// The permission bits of folders that are kept: those, and the one that lets
/// everybody remove only what is theirs.
const KEPT: u32 = 0o1777;

/// Makes a folder, unless it is there.
pub(super) fn folder(path: &Path, like: &Metadata) -> Result<(), Failure> {
    match DirBuilder::new().mode(OWNER).create(path) {
        Ok(()) => {
            let mode = Permissions::from_mode(like.mode() & KEPT | OWNER);
            fs::set_permissions(path, mode).map_err(|error| words::folder_failed(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A link to a folder is not written through.
            match fs::symlink_metadata(path) {
                Ok(there) if there.is_dir() => Ok(()),
                _ => Err(words::not_a_folder(path)),
            }
        }
        Err(error) => Err(words::folder_failed(path, &error)),
    }
}

/// The folder of a root: whoever names it may name a link to one, or one in
/// others that are not there yet.
pub(super) fn root(root: &Root) -> Result<(), Failure> {
    if root.folder.is_none() {
        return above(&root.output);
    }
    if fs::metadata(&root.output).is_ok_and(|there| there.is_dir()) {
        return Ok(());
    }
    above(&root.output)?;
    folder(&root.output, &root.metadata)
}

/// The folders above something.
fn above(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|error| words::folder_failed(parent, &error))
        }
        _ => Ok(()),
    }
}

/// The folders between a root and a file that comes before its folder does.
pub(super) fn folders_of(root: &Root, relative: &Path) -> Result<(), Failure> {
    let mut above: Vec<&Path> = relative.ancestors().skip(1).collect();
    above.pop();
    for relative in above.into_iter().rev() {
        let path = root.input.join(relative);
        let like = fs::symlink_metadata(&path)
            .map_err(|error| crate::messages::unreadable(&path, &error))?;
        folder(&root.output.join(relative), &like)?;
    }
    Ok(())
}

/// Makes a link like the one at `input`; whether there was none.
pub(super) fn link(
    input: &Path,
    output: &Path,
    like: &Metadata,
    may_replace: bool,
) -> Result<bool, Failure> {
    let target =
        fs::read_link(input).map_err(|error| crate::messages::unreadable(input, &error))?;
    let failed = |error: io::Error| words::link_failed(output, &error);
    match std::os::unix::fs::symlink(&target, output) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(output).is_ok_and(|there| there == target) {
                return Ok(false);
            }
            let is_link = fs::symlink_metadata(output).is_ok_and(|there| there.is_symlink());
            if !(may_replace && is_link) {
                return Err(words::link_exists(output));
            }
            fs::remove_file(output).map_err(failed)?;
            std::os::unix::fs::symlink(&target, output).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    // Not every file system has times for links.
    let _ = set_times(output, like);
    Ok(true)
}

fn set_times(path: &Path, like: &Metadata) -> rustix::io::Result<()> {
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(like.atime(), like.atime_nsec()),
        last_modification: time(like.mtime(), like.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Gives all folders of the copy the times and permission bits of the originals,
/// what is within before what it is in. A folder that was there before never gets
/// wider bits.
pub(crate) fn finish_folders(plan: &Plan, mut on_failure: impl FnMut(Failure)) {
    for root in plan.roots.iter().filter(|root| root.folder.is_some()) {
        let Ok(entries) = plan.rules.walk(root) else { continue };
        // The names alone: there are far fewer folders than files.
        let mut folders: Vec<(PathBuf, Metadata)> = Vec::new();
        for found in entries.flatten() {
            if let Fate::Folder(output) = plan.fate(root, &found) {
                folders.push((output, found.metadata));
            }
        }
        for (output, like) in folders.iter().rev() {
            finish(output, like, &mut on_failure);
        }
        finish(&root.output, &root.metadata, &mut on_failure);
    }
}

fn finish(output: &Path, like: &Metadata, on_failure: &mut impl FnMut(Failure)) {
    // What could not be made was reported.
    let Ok(there) = fs::symlink_metadata(output) else { return };
    if !there.is_dir() {
        return;
    }
    let mode = there.mode() & 0o7777;
    let narrow = mode & (like.mode() & KEPT);
    let narrowed = match narrow == mode {
        true => Ok(()),
        false => fs::set_permissions(output, Permissions::from_mode(narrow)),
    };
    let done = narrowed.and_then(|()| set_times(output, like).map_err(io::Error::from));
    if let Err(error) = done {
        on_failure(words::folder_failed(output, &error));
    }
}
