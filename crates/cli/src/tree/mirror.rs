//! The folders and links of the copy.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};
use rustix::process::umask;

use super::plan::{Fate, Plan, Root};
use crate::messages::{Failure, tree as words};

/// What a folder needs as long as something is put into it.
const OWNER: u32 = 0o700;
/// The permission bits of folders that are kept: those, and the one that lets
/// everybody remove only what is theirs.
const KEPT: u32 = 0o1777;

/// Makes a folder, unless it is there.
pub(super) fn folder(path: &Path, like: &Metadata) -> Result<(), Failure> {
    match make(path, like.mode() & KEPT | OWNER) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A link to a folder is not written through.
            match fs::symlink_metadata(path) {
                Ok(there) if there.is_dir() => {
                    if there.mode() & OWNER != OWNER {
                        // An earlier run has closed it. Where we may not open it,
                        // what is to be put into it will tell.
                        let mode = Permissions::from_mode(there.mode() & KEPT | OWNER);
                        let _ = fs::set_permissions(path, mode);
                    }
                    Ok(())
                }
                _ => Err(words::not_a_folder(path)),
            }
        }
        Err(error) => Err(words::folder_failed(path, &error)),
    }
}

/// Makes a folder with all of these permission bits in one step: one that was given
/// them afterwards would lack them for good, if the run ended in between.
fn make(path: &Path, mode: u32) -> io::Result<()> {
    // The mask is that of the whole process, which meanwhile makes files only with
    // bits that no mask changes.
    let usual = umask(Mode::empty());
    let made = DirBuilder::new().mode(mode).create(path);
    umask(usual);
    made
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
/// Returns which of them could not be made, and why.
pub(super) fn folders_of(root: &Root, relative: &Path) -> Result<(), (PathBuf, Failure)> {
    let mut above: Vec<&Path> = relative.ancestors().skip(1).collect();
    above.pop();
    for relative in above.into_iter().rev() {
        let (path, output) = (root.input.join(relative), root.output.join(relative));
        let made = fs::symlink_metadata(&path)
            .map_err(|error| crate::messages::unreadable(&path, &error))
            .and_then(|like| folder(&output, &like));
        made.map_err(|failure| (output, failure))?;
    }
    Ok(())
}

/// Makes a link like the one at `input`, unless it is there.
pub(super) fn link(
    input: &Path,
    output: &Path,
    like: &Metadata,
    may_replace: bool,
) -> Result<(), Failure> {
    let target =
        fs::read_link(input).map_err(|error| crate::messages::unreadable(input, &error))?;
    let failed = |error: io::Error| words::link_failed(output, &error);
    match std::os::unix::fs::symlink(&target, output) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(output).is_ok_and(|there| there == target) {
                return Ok(());
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
    Ok(())
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
/// wider bits for others, and what is `barred` or lies in it is left alone.
pub(super) fn finish_folders(
    plan: &Plan,
    barred: &HashSet<PathBuf>,
    mut on_failure: impl FnMut(Failure),
) {
    for root in plan.roots.iter().filter(|root| root.folder.is_some()) {
        let Ok(entries) = plan.rules.walk(root) else { continue };
        // Those that the walk is in: one ends when something outside of it comes.
        let mut open: Vec<(PathBuf, Metadata)> = Vec::new();
        for found in entries.flatten() {
            let Fate::Folder(output) = plan.fate(root, &found) else { continue };
            if !barred.is_empty() && output.ancestors().any(|above| barred.contains(above)) {
                continue;
            }
            while let Some((folder, like)) = open.pop_if(|(folder, _)| !output.starts_with(folder))
            {
                finish(&folder, &like, &mut on_failure);
            }
            open.push((output, found.metadata));
        }
        for (folder, like) in open.iter().rev() {
            finish(folder, like, &mut on_failure);
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
