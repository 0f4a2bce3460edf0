//! The folders of the copy that the user has named. Links to them are followed.

use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, Folder};
use cryptstream_engine::Error;
use cryptstream_engine::program::{open_folder, remove_abandoned};
use rustix::fs::{Mode, Stat};
use rustix::io::Errno;

use super::copy_structure::{CopyContext, CopyFolder, Finish, check_owner, failed, make, prepare};
use super::root::Root;
use crate::messages::{self, Failure};

/// Opens or creates the folder of a root's copy, or the one of a single output. The user has
/// named it, so links are followed.
///
/// `like` is what it is to become.
pub(super) fn root(
    root: &Root,
    like: Stat,
    context: &CopyContext,
) -> Result<Arc<CopyFolder>, Failure> {
    let output = &root.output;
    if root.folder.is_none() {
        let parent = parent_of(output);
        let (dir, is_new) = made(parent, context)?;
        return named(dir, parent, Finish::Leave, !is_new, context);
    }
    copied_root(output, like, context)
}

/// Opens or creates the folder of a copy, which the user has named.
pub(super) fn copied_root(
    output: &Path,
    like: Stat,
    context: &CopyContext,
) -> Result<Arc<CopyFolder>, Failure> {
    let failed = |error| failed(output, error);
    let (parent, _) = made(parent_of(output), context)?;
    if let Some(dir) = present(output)? {
        remove_abandoned(&dir);
        let stat = dir.own_stat().map_err(failed)?;
        let finish = prepare(&dir, &stat, like, false).map_err(failed)?;
        return named(dir, output, finish, true, context);
    }
    let name = output.file_name().ok_or(Errno::NOENT).map_err(failed)?;
    let is_new = make(&parent, name, &like).map_err(failed)?;
    let dir = match parent.open_dir(name) {
        Ok(dir) => dir,
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(messages::tree::not_a_folder(output)),
        Err(error) => return Err(failed(error)),
    };
    let stat = dir.own_stat().map_err(failed)?;
    check_owner(&parent, &dir, &stat, is_new && !context.is_shared, output)?;
    if is_new {
        context.note_created(output, &stat);
    }
    let finish = prepare(&dir, &stat, like, is_new).map_err(failed)?;
    named(dir, output, finish, !is_new, context)
}

fn named(
    dir: Dir,
    path: &Path,
    finish: Finish,
    is_present: bool,
    context: &CopyContext,
) -> Result<Arc<CopyFolder>, Failure> {
    let folder = Folder::root(dir).map_err(|error| failed(path, error))?;
    Ok(Arc::new(CopyFolder::named(folder, path, finish, is_present, context)))
}

/// Opens the same folder, if it exists, without changing anything.
pub(super) fn open_existing_root(root: &Root, context: &CopyContext) -> Option<Arc<CopyFolder>> {
    let path = match root.folder {
        Some(_) => &root.output,
        None => parent_of(&root.output),
    };
    let folder = Folder::root(open_folder(path).ok()?).ok()?;
    Some(Arc::new(CopyFolder::named(folder, path, Finish::Leave, true, context)))
}

/// Refuses an output whose folder does not exist.
pub(super) fn check_parent(output: &Path) -> Result<(), Failure> {
    match present(parent_of(output))? {
        Some(_) => Ok(()),
        None => Err(messages::tree::no_parent(output, parent_of(output))),
    }
}

/// Whether the folder of a root's copy exists.
pub(super) fn has_parent(root: &Root) -> bool {
    matches!(present(parent_of(&root.output)), Ok(Some(_)))
}

/// Opens a folder that the user has named, if it exists.
fn present(path: &Path) -> Result<Option<Dir>, Failure> {
    match open_folder(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(Error::Open { source, .. }) => match Errno::from_io_error(&source) {
            Some(Errno::NOENT) => Ok(None),
            Some(Errno::NOTDIR) => Err(messages::tree::not_a_folder(path)),
            _ => Err(messages::tree::folder_unusable(path, &source)),
        },
        Err(Error::OutputPlanted { path, owner }) => Err(messages::output_planted(&path, owner)),
        Err(error) => Err(messages::internal(&error.to_string())),
    }
}

/// Opens it, or creates it, but none of those above: what is missing there may be a disk that is
/// not mounted. Returns whether it is new.
pub(super) fn made(path: &Path, context: &CopyContext) -> Result<(Dir, bool), Failure> {
    if let Some(dir) = present(path)? {
        remove_abandoned(&dir);
        return Ok((dir, false));
    }
    let failed = |error| failed(path, error);
    let name = path.file_name().ok_or(Errno::NOENT).map_err(failed)?;
    let above = present(parent_of(path))?
        .ok_or_else(|| messages::tree::no_parent(path, parent_of(path)))?;
    let is_new = match above.create_dir(name, Mode::from_raw_mode(0o777)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(failed(error)),
    };
    let dir = above.open_dir(name).map_err(failed)?;
    if is_new {
        context.note_created(path, &dir.own_stat().map_err(failed)?);
    }
    Ok((dir, is_new))
}

pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
