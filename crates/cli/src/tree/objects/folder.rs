//! Outputs of objects in a folder.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{Folder, kernel_path};
use cryptstream_engine::program::{open_folder, remove_abandoned};
use cryptstream_engine::{Destination, Target};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::super::case_collisions::is_other_name;
use super::super::compare::Comparison;
use super::super::copy_structure::{CopyContext, check_owner, failed as folder_failed};
use super::super::event::Event;
use super::super::named_folders::made;
use super::super::plan::Plan;
use super::super::prune::IsKey;
use super::compare::{Pending, PresentFile};
use super::inputs::Found;
use super::next::Next;
use crate::messages::{self, Failure};

/// The bits of a new folder, of which the umask takes some away.
const FOLDER_MODE: u32 = 0o777;

/// The folder that the user has named, and those below it.
pub(super) struct FolderOutputs<'a> {
    path: PathBuf,
    /// Nothing may be created.
    is_dry: bool,
    /// `None` if it does not exist, in a dry run.
    root: Option<Arc<Folder>>,
    /// The folders on the way to the last output.
    levels: Vec<(OsString, Option<Arc<Folder>>)>,
    claims: Claims,
    comparison: Comparison<'a>,
    context: CopyContext,
}

impl<'a> FolderOutputs<'a> {
    pub(super) fn new(plan: &'a Plan, path: &Path, is_dry: bool) -> Result<Self, Failure> {
        let context = CopyContext::default();
        let dir = match is_dry {
            true => open_folder(path).ok(),
            false => Some(made(path, &context)?.0),
        };
        let root = dir.map(Folder::root).transpose().map_err(|error| folder_failed(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            is_dry,
            root,
            levels: Vec::new(),
            claims: Claims::default(),
            comparison: Comparison::new(plan.naming, &plan.parser, is_dry),
            context,
        })
    }

    pub(super) fn comparison(&mut self) -> &mut Comparison<'a> {
        &mut self.comparison
    }

    pub(super) fn remove_created_if_empty(self) {
        let Self { context, root, levels, .. } = self;
        drop((root, levels));
        context.remove_created_if_empty();
    }

    pub(super) fn begin(
        &mut self,
        plan: &Plan,
        is_key: &IsKey<'_>,
        on_event: &mut dyn FnMut(Event),
        found: Found,
    ) -> Next<Pending> {
        let path = self.path.join(&found.relative);
        if !self.claims.add(&found.relative) {
            return Next::failed(messages::objects::clash(&found.path, &path));
        }
        let above = found.relative.parent().unwrap_or(Path::new(""));
        let folder = match self.folder(above, on_event) {
            Ok(Some(folder)) => folder,
            Ok(None) => {
                let target = Target::Path { path, force: false };
                return Next::item(found, Destination::Named(target));
            }
            Err(failure) => return Next::failed(failure),
        };
        let name = found.relative.file_name().unwrap_or_default().to_owned();
        let dir = match folder.dir() {
            Ok(dir) => dir,
            Err(error) => return Next::failed(folder_failed(&self.path.join(above), error)),
        };
        let output = |folder, name, path, force, is_free| Destination::Beneath {
            folder,
            name,
            path,
            force,
            is_free,
        };
        let stat = match dir.stat(&name) {
            Ok(stat) => stat,
            // Any other reason is reported when the file is created.
            Err(error) => {
                return Next::item(found, output(folder, name, path, false, error == Errno::NOENT));
            }
        };
        if is_key(&stat, &|| kernel_path(&*dir).map(|dir| dir.join(&name))) {
            return Next::failed(messages::key_is_output(&path));
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Next::failed(messages::tree::not_a_file(&path));
        }
        if is_other_name(&dir, &name) {
            return Next::failed(messages::tree::case_collision(&path));
        }
        if plan.force {
            return Next::item(found, output(folder, name, path, true, false));
        }
        match Pending::file(found, PresentFile { folder, dir, name, stat, path }) {
            Ok(pending) => Next::Pending(Box::new(pending)),
            Err(error) => Next::failed_by(error, plan),
        }
    }

    /// Opens the folder at a path below the root, or creates it; `None` if it does not exist, in a
    /// dry run.
    fn folder(
        &mut self,
        relative: &Path,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Option<Arc<Folder>>, Failure> {
        let is_same = |((name, _), wanted): &(&(OsString, _), &OsStr)| name == wanted;
        let known = self.levels.iter().zip(relative.iter()).take_while(is_same).count();
        self.levels.truncate(known);
        for (depth, name) in relative.iter().enumerate().skip(known) {
            let path: PathBuf = relative.iter().take(depth + 1).collect();
            let path = self.path.join(path);
            let above = self.levels.last().map_or(&self.root, |(_, folder)| folder);
            let folder = match above {
                Some(above) => child(above, name, &path, self.is_dry)?,
                None => None,
            };
            on_event(Event::Folder);
            self.levels.push((name.to_owned(), folder));
        }
        Ok(self.levels.last().map_or(&self.root, |(_, folder)| folder).clone())
    }
}

/// Opens a folder in `above`, or creates it unless `is_dry`.
fn child(
    above: &Arc<Folder>,
    name: &OsStr,
    path: &Path,
    is_dry: bool,
) -> Result<Option<Arc<Folder>>, Failure> {
    let failed = |error| folder_failed(path, error);
    let parent = above.dir().map_err(failed)?;
    let is_new = !is_dry
        && match parent.create_dir(name, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(failed(error)),
        };
    let (folder, stat) = match above.open_child(name) {
        Ok(opened) => opened,
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(messages::tree::not_a_folder(path)),
        Err(Errno::NOENT) if is_dry => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let dir = folder.dir().map_err(failed)?;
    if !is_dry {
        check_owner(&parent, &dir, &stat, is_new, path)?;
    }
    if !is_new && !is_dry {
        remove_abandoned(&dir);
    }
    Ok(Some(folder))
}

/// The paths that objects of this run claim for their outputs, as 64 bits each.
#[derive(Default)]
struct Claims {
    files: HashSet<u64>,
    folders: HashSet<u64>,
    hasher: RandomState,
}

impl Claims {
    /// Claims a path for a file, and those above it for folders. Returns `false` if another object
    /// has claimed one of them for something else.
    fn add(&mut self, relative: &Path) -> bool {
        let above = relative.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
        let above: Vec<_> = above.map(|path| self.hasher.hash_one(path)).collect();
        let file = self.hasher.hash_one(relative);
        if self.folders.contains(&file) || above.iter().any(|path| self.files.contains(path)) {
            return false;
        }
        if !self.files.insert(file) {
            return false;
        }
        self.folders.extend(above);
        true
    }
}
