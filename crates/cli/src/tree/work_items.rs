//! Applies the steps of a run: creates folders and links of the copy, and yields a work item for
//! each file. A dry run looks at the copy and changes nothing.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use cryptstream_beneath::{FileEntry, Folder, Pin, WalkEntry, dir_mode_without_acl};
use cryptstream_engine::program::is_leftover;
use cryptstream_engine::{BatchItem, Destination, LostAttributes, Origin};
use rustix::fs::Stat;

use super::compare::SourceFile;
use super::copy_structure::{CopyContext, CopyFolder};
use super::event::Event;
use super::existing::{Existing, Present, is_folder};
use super::named_folders::{self, parent_of};
use super::plan::{Action, Plan};
use super::prune::IsKey;
use super::root::Root;
use super::scan::TreeScan;
use super::steps::{Step, Steps};
use super::walk::{entry, join, len};
use crate::messages::{self, Failure};

/// The folders of the copy that the objects of a shard keep, at most.
const MAX_AHEAD: usize = 1024;

/// The files that are still to be processed.
pub(crate) struct WorkItems<'a> {
    plan: &'a Plan,
    steps: Steps<'a>,
    /// The folder of each root's copy.
    roots: Vec<CopyLevel>,
    /// Folders of the copy that were created early, for large files, by root and path.
    ahead: HashMap<(usize, PathBuf), CopyLevel>,
    /// The folders of the copy on the way to the current one.
    levels: Vec<CopyLevel>,
    /// Changes are only reported.
    is_dry: bool,
    existing: Existing<'a>,
    context: CopyContext,
}

/// Where the outputs of a folder go.
#[derive(Clone)]
enum CopyLevel {
    Into(Arc<CopyFolder>),
    /// The folder does not exist, in a dry run.
    Nothing,
    /// The folder could not be created, which was reported.
    Failed,
}

impl Iterator for WorkItems<'_> {
    type Item = BatchItem;

    fn next(&mut self) -> Option<BatchItem> {
        self.report_late();
        loop {
            let step = self.steps.next()?;
            let item = self.apply(step);
            if item.is_some() {
                return item;
            }
        }
    }
}

impl<'a> WorkItems<'a> {
    /// The items of `plan`, as for [`Items::new`](super::items::Items::new).
    pub(super) fn new(
        plan: &'a Plan,
        scan: TreeScan,
        unusable: Vec<(usize, Failure)>,
        is_dry: bool,
        is_key: &'a IsKey<'a>,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Result<Self, Failure> {
        // Decrypted files never become accessible to more users.
        let is_shared = plan.shard.is_some();
        let context = CopyContext { follows: plan.encrypts(), is_shared, ..CopyContext::default() };
        let mut items = Self {
            plan,
            steps: Steps::new(plan, scan, unusable),
            roots: Vec::new(),
            ahead: HashMap::new(),
            levels: Vec::new(),
            is_dry,
            existing: Existing::new(plan, is_dry, is_key, on_event),
            context,
        };
        items.prepare()?;
        Ok(items)
    }

    /// Opens the folders of all copies, or creates them.
    fn prepare(&mut self) -> Result<(), Failure> {
        // Single outputs in the same folder share its descriptor.
        let mut parents: HashMap<&Path, CopyLevel> = HashMap::new();
        for root in &self.plan.roots {
            let parent = parent_of(&root.output);
            let shared = parents.get(parent).filter(|_| root.folder.is_none());
            let level = match shared {
                Some(level) => level.clone(),
                None => self.root_level(root)?,
            };
            if root.folder.is_none() {
                parents.insert(parent, level.clone());
            }
            self.roots.push(level);
        }
        Ok(())
    }

    /// Opens the folder of a root's copy, or creates it.
    fn root_level(&mut self, root: &Root) -> Result<CopyLevel, Failure> {
        if self.is_dry {
            let copy = named_folders::open_existing_root(root, &self.context);
            return Ok(copy.map_or(CopyLevel::Nothing, CopyLevel::Into));
        }
        let copied_stat = match &root.folder {
            Some(folder) => self.copied_stat(folder, root.stat),
            None => root.stat,
        };
        match named_folders::root(root, copied_stat, &self.context) {
            Ok(copy) => Ok(CopyLevel::Into(copy)),
            // Other roots may go elsewhere, unless the folder of all is at fault.
            Err(failure) if root.folder.is_some() && named_folders::has_parent(root) => {
                self.existing.emit(Event::Failed(failure));
                Ok(CopyLevel::Failed)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Ends the run, as [`Items::finish`](super::items::Items::finish) says.
    pub(super) fn finish(mut self, has_failed: impl Fn() -> bool) {
        self.levels.clear();
        self.ahead.clear();
        self.roots.clear();
        self.report_late();
        if has_failed() {
            self.context.remove_created_if_empty();
        }
    }

    fn report_late(&mut self) {
        let late = &self.context.late;
        let late = std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner));
        late.into_iter().for_each(|event| self.existing.emit(event));
    }

    /// Applies a step; returns a work item for a file.
    fn apply(&mut self, step: Step) -> Option<BatchItem> {
        match step {
            Step::LargeFile(number, found, name) => {
                if self.plan.shard.is_some() && self.ahead.len() > MAX_AHEAD {
                    // No walk will reach them.
                    self.ahead.clear();
                }
                let level = self.level_ahead(number, &found.folder);
                self.found_file(number, level, found, name)
            }
            Step::Root(number) => {
                self.levels = vec![self.roots[number].clone()];
                None
            }
            Step::NamedFile(number) => {
                self.levels.clear();
                self.named_file(number)
            }
            Step::Entry(number, found, action) => self.entry(number, found, action),
            Step::Kept(len) => {
                self.existing.emit(Event::Kept(len));
                None
            }
            Step::Failed(failure) => {
                self.existing.emit(Event::Failed(failure));
                None
            }
        }
    }

    fn entry(&mut self, number: usize, found: WalkEntry, action: Action) -> Option<BatchItem> {
        self.levels.truncate(found.depth);
        let level = self.levels.last().cloned().unwrap_or(CopyLevel::Failed);
        let path = join(&self.plan.roots[number].input, &found.relative);
        if let (Action::Folder | Action::Link, CopyLevel::Into(copy)) = (&action, &level) {
            self.existing.emit_stale_file(copy, &found, &path);
        }
        let event = match (action, level) {
            (Action::Folder, above) => {
                let level = self.folder(number, above, &found, &path);
                self.levels.push(level);
                return None;
            }
            (Action::Temporary, _) => Event::Temporary(path),
            (_, CopyLevel::Failed) => return None,
            (Action::File(name), level) => return self.found_file(number, level, found, name),
            (Action::Link, CopyLevel::Into(copy)) => self.existing.link(&copy, &found, &path),
            (Action::Link, CopyLevel::Nothing) => Event::Link,
            (Action::NotEncrypted, _) if is_leftover(&found.name) => Event::Leftover(path),
            (Action::NotEncrypted, _) => Event::NotEncrypted(path),
            (Action::Special, _) => Event::Special(path),
        };
        self.existing.emit(event);
        None
    }

    /// Copies a folder.
    fn folder(
        &mut self,
        number: usize,
        above: CopyLevel,
        found: &WalkEntry,
        path: &Path,
    ) -> CopyLevel {
        let Some(original) = &found.opened else { return CopyLevel::Failed };
        let mut outputs = self.plan.roots.iter().zip(&self.roots);
        if outputs.any(|(root, level)| {
            let is_output = |copy: &CopyFolder| original.is(&copy.folder);
            root.folder.is_some() && matches!(level, CopyLevel::Into(copy) if is_output(copy))
        }) {
            // It was moved there after the first walk.
            self.steps.skip_content(found);
            self.existing.emit(Event::Failed(messages::tree::output_moved_in(path)));
            return CopyLevel::Failed;
        }
        let level = match self.ahead.remove(&(number, found.relative.clone())) {
            Some(level) => level,
            None => self.level_below(above, &found.folder, original, &found.name, Ok(found.stat)),
        };
        if !matches!(level, CopyLevel::Failed) {
            self.existing.emit(Event::Folder);
        }
        level
    }

    /// The copy of a large file's folder, which the walk has not reached yet.
    fn level_ahead(&mut self, number: usize, folder: &Arc<Folder>) -> CopyLevel {
        let Some(parent) = folder.above() else { return self.roots[number].clone() };
        let key = (number, folder.relative());
        if let Some(level) = self.ahead.get(&key) {
            return level.clone();
        }
        let above = self.level_ahead(number, parent);
        let stat = folder.dir().and_then(|dir| dir.own_stat()).map_err(|error| {
            let path = join(&self.plan.roots[number].input, &key.1);
            messages::unreadable(&path, &error.into())
        });
        let name = key.1.file_name().unwrap_or_default();
        let level = self.level_below(above, parent, folder, name, stat);
        self.ahead.insert(key, level.clone());
        level
    }

    /// The copy, in `above`, of a folder of this name in `parent`.
    fn level_below(
        &mut self,
        above: CopyLevel,
        parent: &Folder,
        folder: &Folder,
        name: &OsStr,
        stat: Result<Stat, Failure>,
    ) -> CopyLevel {
        let CopyLevel::Into(above) = above else { return above };
        let made = stat.and_then(|stat| {
            let copied_stat = self.copied_stat(folder, stat);
            self.make(&above, parent, name, copied_stat)
        });
        made.unwrap_or_else(|failure| {
            self.existing.emit(Event::Failed(failure));
            CopyLevel::Failed
        })
    }

    /// Creates a folder of the copy, or in a dry run opens it.
    fn make(
        &mut self,
        above: &Arc<CopyFolder>,
        original: &Folder,
        name: &OsStr,
        copied_stat: Stat,
    ) -> Result<CopyLevel, Failure> {
        let is_cleared = self.plan.delete
            && above.is_present()
            && self.existing.clear_other(above, original, name, is_folder);
        // The outputs of two folders must not be mixed.
        let (dir, beside) = (above.dir()?, original.dir());
        if beside.is_ok_and(|beside| self.existing.is_case_collision(&beside, &dir, name)) {
            return Err(messages::tree::case_collision(&above.path(name)));
        }
        match self.is_dry {
            true if is_cleared => Ok(CopyLevel::Nothing),
            true => Ok(above.open_existing(name)?.map_or(CopyLevel::Nothing, CopyLevel::Into)),
            false => above.make(name, copied_stat).map(CopyLevel::Into),
        }
    }

    /// The status that the copy of a folder gets: its access control list is not copied.
    fn copied_stat(&mut self, folder: &Folder, mut stat: Stat) -> Stat {
        let Ok(dir) = folder.dir() else { return stat };
        let (st_mode, acl) = dir_mode_without_acl(&dir, stat.st_mode);
        if acl {
            self.existing
                .emit(Event::LostAttributes(LostAttributes { acl, ..LostAttributes::default() }));
        }
        stat.st_mode = st_mode;
        stat
    }

    /// A file that the user has named.
    fn named_file(&mut self, number: usize) -> Option<BatchItem> {
        let (root, level) = (&self.plan.roots[number], self.roots[number].clone());
        // A pipe or a device too, as the user has named it.
        let Some(name) = root.output.file_name() else {
            self.existing.emit(Event::Special(root.input.clone()));
            return None;
        };
        let input = SourceFile { path: root.input.clone(), entry: None, stat: root.stat };
        self.file(input, level.folder()?.as_ref(), name.to_owned(), root.output.clone())
    }

    /// A file that was found in a folder.
    fn found_file(
        &mut self,
        number: usize,
        level: CopyLevel,
        found: WalkEntry,
        name: OsString,
    ) -> Option<BatchItem> {
        let copy = level.folder()?;
        let root = &self.plan.roots[number];
        let path = join(&root.input, &found.relative);
        if is_leftover(&found.name) {
            self.existing.emit(Event::Leftover(path.clone()));
        }
        let output = match &copy {
            Some(copy) => copy.path(&name),
            None => join(&root.output, &found.relative).with_file_name(&name),
        };
        if let Some(copy) = &copy {
            self.existing.emit_stale_other(copy, &found.name, &path);
        }
        let stat = found.stat;
        let pin = self.plan.shard.is_some().then(|| Pin::of(&stat));
        let entry = Some(FileEntry { pin, ..entry(found) });
        self.file(SourceFile { path, entry, stat }, copy.as_ref(), name, output)
    }

    /// Processes a file whose output has this name in `copy`.
    fn file(
        &mut self,
        input: SourceFile,
        copy: Option<&Arc<CopyFolder>>,
        name: OsString,
        output: PathBuf,
    ) -> Option<BatchItem> {
        if self.existing.is_key(&input) {
            self.existing.emit(Event::Key(input.path));
            return None;
        }
        let len = len(input.stat.st_size);
        let present = match copy {
            None => Ok(Present::Nothing),
            Some(copy) => self.existing.present(&input, copy, &name, &output),
        };
        let (force, is_free) = match present {
            // Not even with --force: on a case-insensitive file system it may become the output
            // of another file of this run.
            Ok(Present::Nothing) => (false, true),
            Ok(Present::Unknown) => (false, false),
            Ok(Present::ToReplace) => (true, false),
            Ok(Present::Fresh) => {
                self.existing.emit(match self.plan.removes_source {
                    true => Event::Failed(messages::tree::source_kept(
                        &input.path,
                        &output,
                        self.plan.encrypts(),
                    )),
                    false => Event::Kept(len),
                });
                return None;
            }
            Err(failure) => {
                self.existing.emit(Event::Failed(failure));
                return None;
            }
        };
        let SourceFile { path, entry, .. } = input;
        let (output, guard) = match copy {
            // In a dry run it is only reported.
            None => {
                let target = cryptstream_engine::Target::Path { path: output, force };
                (Destination::Named(target), None)
            }
            Some(copy) => {
                let folder = Arc::clone(&copy.folder);
                let guard: Arc<dyn std::any::Any + Send + Sync> = Arc::<CopyFolder>::clone(copy);
                (Destination::Beneath { folder, name, path: output, force, is_free }, Some(guard))
            }
        };
        let origin = entry.map_or(Origin::Path, Origin::Entry);
        Some(BatchItem { input: path, origin, len, output, guard })
    }
}

impl CopyLevel {
    /// The folder if it exists; `None` if it could not be created.
    fn folder(self) -> Option<Option<Arc<CopyFolder>>> {
        match self {
            Self::Into(copy) => Some(Some(copy)),
            Self::Nothing => Some(None),
            Self::Failed => None,
        }
    }
}
