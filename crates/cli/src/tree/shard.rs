//! The objects of a shard of a job, which take the place of a walk.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use cryptstream_beneath::{Folder, WalkEntry};
use cryptstream_job::Object;
use rustix::io::Errno;

use super::root::Root;
use super::walk::join;
use crate::messages::{self, Failure};

/// The objects of a shard. They are read whenever they are needed.
pub(crate) struct Shard {
    objects: Box<dyn Fn() -> Result<ShardObjects, Failure>>,
    current: CurrentObject,
}

/// An iterator over the objects of a shard.
pub(crate) type ShardObjects = Box<dyn Iterator<Item = Result<ShardObject, Failure>>>;

/// The object whose step is being applied: its number, and the path of its output below the target.
pub(crate) type CurrentObject = Rc<RefCell<Option<(u64, PathBuf)>>>;

/// An object, and whether an earlier attempt has done it.
pub(crate) struct ShardObject {
    pub(crate) object: Object,
    pub(crate) is_done: bool,
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}

impl Shard {
    /// A shard whose objects are returned by `objects`.
    pub(crate) fn new(
        objects: impl Fn() -> Result<ShardObjects, Failure> + 'static,
        current: CurrentObject,
    ) -> Self {
        Self { objects: Box::new(objects), current }
    }

    /// The steps for objects below `root`.
    pub(super) fn steps<'a>(&self, root: &'a Root) -> ShardSteps<'a> {
        let objects = (self.objects)();
        let objects = objects.unwrap_or_else(|failure| Box::new(std::iter::once(Err(failure))));
        let current = Rc::clone(&self.current);
        ShardSteps { root, objects, current, folders: Vec::new() }
    }
}

/// What is to be done with an object.
pub(super) enum ShardStep {
    /// A file that is as the plan has seen it, and the name of its output.
    File(WalkEntry, OsString),
    /// An earlier attempt has done it; its source has this many bytes.
    Done(u64),
    Failed(Failure),
}

pub(super) struct ShardSteps<'a> {
    root: &'a Root,
    objects: ShardObjects,
    current: CurrentObject,
    /// The open folders on the way to the last object, without the root.
    folders: Vec<(OsString, Arc<Folder>)>,
}

impl ShardSteps<'_> {
    fn find(&mut self, object: Object) -> Result<ShardStep, Failure> {
        let Object { path, output, size, pinned, .. } = object;
        let path = path.0;
        let shown = join(&self.root.input, &path);
        let (Some(name), Some(output_name)) = (path.file_name(), output.path().file_name()) else {
            return Err(messages::internal("an object without a name"));
        };
        if output.path().parent() != path.parent() {
            return Err(messages::internal("an output in another folder than its object"));
        }
        let failed = |error: Errno| failure(&shown, error);
        let folder = self.folder(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let stat = folder.dir().and_then(|dir| dir.stat(name)).map_err(failed)?;
        if !pinned.is(size, &stat) {
            return Err(messages::job::source_changed(&shown));
        }
        let found = WalkEntry {
            folder,
            name: name.to_owned(),
            depth: path.components().count(),
            relative: path.clone(),
            stat,
            opened: None,
        };
        Ok(ShardStep::File(found, output_name.to_owned()))
    }

    /// The folder at this path below the root, through no link.
    fn folder(&mut self, path: &Path) -> Result<Arc<Folder>, Errno> {
        let names: Vec<&OsStr> = path.iter().collect();
        let common =
            self.folders.iter().zip(&names).take_while(|((open, _), name)| open == *name).count();
        self.folders.truncate(common);
        let root = self.root.folder.as_ref().ok_or(Errno::NOTDIR)?;
        for name in names.into_iter().skip(common) {
            let above = self.folders.last().map_or(root, |(_, folder)| folder);
            let (folder, _) = above.open_child(name)?;
            self.folders.push((name.to_owned(), folder));
        }
        Ok(Arc::clone(self.folders.last().map_or(root, |(_, folder)| folder)))
    }
}

impl Iterator for ShardSteps<'_> {
    type Item = ShardStep;

    fn next(&mut self) -> Option<ShardStep> {
        *self.current.borrow_mut() = None;
        let ShardObject { object, is_done } = match self.objects.next()? {
            Ok(object) => object,
            Err(failure) => return Some(ShardStep::Failed(failure)),
        };
        if is_done {
            return Some(ShardStep::Done(object.size));
        }
        *self.current.borrow_mut() = Some((object.object, object.output.0.clone()));
        Some(self.find(object).unwrap_or_else(ShardStep::Failed))
    }
}

/// Why an object cannot be found.
fn failure(path: &Path, error: Errno) -> Failure {
    match error {
        Errno::NOENT => messages::job::source_gone(path),
        Errno::LOOP | Errno::NOTDIR | Errno::STALE => messages::job::source_changed(path),
        error => messages::unreadable(path, &error.into()),
    }
}
