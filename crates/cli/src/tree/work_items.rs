//! The second walk: hands files to the engine, the largest first, and creates folders and links.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use cryptstream_beneath::{Folder, WalkEntry, dir_mode_without_acl};
use cryptstream_engine::program::is_leftover;
use cryptstream_engine::{BatchItem, Destination, LostAttributes};
use rustix::fs::Stat;

use super::compare::SourceFile;
use super::copy_structure::{self, CopyContext, CopyFolder, parent_of};
use super::event::Event;
use super::existing::{Existing, Present, is_folder};
use super::plan::{Action, Plan};
use super::prune::IsKey;
use super::scan::TreeScan;
use super::walk::{FilteredWalk, entry, join, len};
use crate::messages::{self, Failure};

/// The files that are still to be processed.
pub(crate) struct WorkItems<'a> {
    plan: &'a Plan,
    large: std::vec::IntoIter<(usize, WalkEntry, OsString)>,
    /// The paths of the largest files, for each root.
    named: Vec<HashSet<PathBuf>>,
    /// The folder of each root's copy; none may exist in a dry run.
    roots: Vec<Option<Arc<CopyFolder>>>,
    /// Folders of the copy that were created early, for large files, by root and path.
    folders_ahead: HashMap<(usize, PathBuf), Arc<CopyFolder>>,
    /// Folders of the copy that could not be created, and were reported.
    barred: HashSet<(usize, PathBuf)>,
    /// The number of roots begun, and the walk through the last one.
    root: usize,
    tree: Option<FilteredWalk>,
    /// The folders of the copy on the way to the current one.
    levels: Vec<CopyLevel>,
    /// Changes are only reported.
    is_dry: bool,
    /// Why inputs cannot be used, each with the number of roots before it, in reverse order.
    unusable: Vec<(usize, Failure)>,
    existing: Existing<'a>,
    /// Entries whose output names collide, by root and path.
    clashes: HashMap<(usize, PathBuf), Option<Failure>>,
    context: CopyContext,
}

/// Where the outputs of a folder go.
enum CopyLevel {
    Into(Arc<CopyFolder>),
    /// The folder does not exist, in a dry run.
    Nothing,
    /// The folder could not be created.
    Failed,
}

impl<'a> WorkItems<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        scan: TreeScan,
        is_dry: bool,
        is_key: &'a IsKey<'a>,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Self {
        let TreeScan { large, named, clashes, .. } = scan;
        // Decrypted files never become accessible to more users.
        let context = CopyContext { follows: plan.encrypts(), ..CopyContext::default() };
        Self {
            plan,
            large: large.into_iter(),
            named,
            roots: Vec::new(),
            folders_ahead: HashMap::new(),
            barred: HashSet::new(),
            root: 0,
            tree: None,
            levels: Vec::new(),
            is_dry,
            unusable: Vec::new(),
            existing: Existing::new(plan, is_dry, is_key, on_event),
            clashes,
            context,
        }
    }

    /// Reports inputs that cannot be used, each in its turn.
    pub(crate) fn emit_unusable(&mut self, mut unusable: Vec<(usize, Failure)>) {
        unusable.reverse();
        self.unusable = unusable;
    }

    /// Opens the folders of all copies, or creates them.
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        // Single outputs in the same folder share its descriptor.
        let mut parents: HashMap<&Path, Option<Arc<CopyFolder>>> = HashMap::new();
        for root in &self.plan.roots {
            let parent = parent_of(&root.output);
            let shared = parents.get(parent).filter(|_| root.folder.is_none());
            let copy = match (shared, self.is_dry) {
                (Some(copy), _) => copy.clone(),
                (None, true) => copy_structure::open_existing_root(root, &self.context),
                (None, false) => {
                    let copied_stat = match &root.folder {
                        Some(folder) => self.copied_stat(folder, root.stat),
                        None => root.stat,
                    };
                    match copy_structure::root(root, copied_stat, &self.context) {
                        Ok(copy) => Some(copy),
                        // Other roots may go elsewhere, unless the folder of all is at fault.
                        Err(failure)
                            if root.folder.is_some() && copy_structure::has_parent(root) =>
                        {
                            self.existing.emit(Event::Failed(failure));
                            None
                        }
                        Err(failure) => return Err(failure),
                    }
                }
            };
            if root.folder.is_none() {
                parents.insert(parent, copy.clone());
            }
            self.roots.push(copy);
        }
        Ok(())
    }

    /// Finishes all folders, and reports those that cannot be finished.
    pub(crate) fn finish(&mut self) {
        (self.large, self.tree) = (Vec::new().into_iter(), None);
        self.levels.clear();
        self.folders_ahead.clear();
        self.roots.clear();
        self.report();
    }

    fn report(&mut self) {
        let late = &self.context.late;
        let late = std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner));
        late.into_iter().for_each(|event| self.existing.emit(event));
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

    fn root_level(&self, number: usize) -> CopyLevel {
        match self.roots.get(number) {
            Some(Some(copy)) => CopyLevel::Into(Arc::clone(copy)),
            _ if self.is_dry => CopyLevel::Nothing,
            _ => CopyLevel::Failed,
        }
    }

    /// Processes an entry; returns a work item for a file.
    fn process(&mut self, number: usize, found: WalkEntry) -> Option<BatchItem> {
        let plan = self.plan;
        let path = join(&plan.roots[number].input, &found.relative);
        self.levels.truncate(found.depth);
        let action = plan.action(&found);
        if !self.clashes.is_empty()
            && let Some(failure) = self.clashes.remove(&(number, found.relative.clone()))
        {
            failure.into_iter().for_each(|failure| self.existing.emit(Event::Failed(failure)));
            if action == Action::Folder {
                self.skip();
            }
            return None;
        }
        if let (Action::Folder | Action::Link, Some(CopyLevel::Into(copy))) =
            (&action, self.levels.last())
        {
            self.existing.emit_stale_file(copy, &found, &path);
        }
        if action == Action::Folder {
            let level = self.folder(number, &found, &path);
            self.levels.push(level);
            return None;
        }
        let level = match self.levels.last() {
            Some(CopyLevel::Into(copy)) => Some(Arc::clone(copy)),
            Some(CopyLevel::Nothing) => None,
            Some(CopyLevel::Failed) | None => return None,
        };
        let event = match action {
            Action::File(name) => {
                let named = self.named.get(number);
                if named.is_some_and(|named| named.contains(&found.relative)) {
                    return None;
                }
                return self.found_file(number, level.as_ref(), found, path, name);
            }
            Action::Link => match level {
                None => Event::Link,
                Some(copy) => self.existing.link(&copy, &found, &path),
            },
            Action::NotEncrypted if is_leftover(&found.name) => Event::Leftover(path),
            Action::NotEncrypted => Event::NotEncrypted(path),
            Action::Special | Action::Folder => Event::Special(path),
        };
        self.existing.emit(event);
        None
    }

    /// Copies a folder.
    fn folder(&mut self, number: usize, found: &WalkEntry, path: &Path) -> CopyLevel {
        let is_output = |copy: &Arc<CopyFolder>| {
            found.opened.as_ref().is_some_and(|folder| folder.is(&copy.folder))
        };
        let outputs = self.plan.roots.iter().zip(&self.roots);
        let mut outputs =
            outputs.filter(|(root, _)| root.folder.is_some()).map(|(_, copy)| copy.iter());
        if outputs.any(|mut copy| copy.any(is_output)) {
            // It was moved there after the first walk.
            self.skip();
            self.existing.emit(Event::Failed(messages::tree::output_in_input(path, path)));
            return CopyLevel::Failed;
        }
        let key = (number, found.relative.clone());
        let level = match (self.levels.last(), self.folders_ahead.remove(&key)) {
            (_, Some(copy)) => CopyLevel::Into(copy),
            (Some(CopyLevel::Into(above)), None) => {
                let above = Arc::clone(above);
                let copied_stat = match &found.opened {
                    Some(folder) => self.copied_stat(folder, found.stat),
                    None => found.stat,
                };
                match self.make(&above, &found.folder, &found.name, copied_stat) {
                    Ok(level) => level,
                    Err(failure) => {
                        self.fail_folder(key, failure);
                        CopyLevel::Failed
                    }
                }
            }
            (Some(CopyLevel::Nothing), None) => CopyLevel::Nothing,
            (Some(CopyLevel::Failed) | None, None) => CopyLevel::Failed,
        };
        if !matches!(level, CopyLevel::Failed) {
            self.existing.emit(Event::Folder);
        }
        level
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

    fn skip(&mut self) {
        if let Some(tree) = &mut self.tree {
            tree.skip_folder();
        }
    }

    /// Reports a folder of the copy that could not be created.
    fn fail_folder(&mut self, key: (usize, PathBuf), failure: Failure) {
        if self.barred.insert(key) {
            self.existing.emit(Event::Failed(failure));
        }
    }

    /// The copy of a large file's folder, which the walk has not reached yet; `None` if it, or
    /// one above it, could not be created.
    fn level_ahead(&mut self, number: usize, folder: &Arc<Folder>) -> Option<CopyLevel> {
        let Some(original) = folder.above() else { return Some(self.root_level(number)) };
        let key = (number, folder.relative());
        if let Some(copy) = self.folders_ahead.get(&key) {
            return Some(CopyLevel::Into(Arc::clone(copy)));
        }
        let above = match self.level_ahead(number, original)? {
            CopyLevel::Into(above) => above,
            other => return Some(other),
        };
        let name = key.1.file_name()?.to_owned();
        let copied_stat = folder.dir().and_then(|dir| dir.own_stat());
        let made = match copied_stat {
            Ok(copied_stat) => {
                let copied_stat = self.copied_stat(folder, copied_stat);
                self.make(&above, original, &name, copied_stat)
            }
            Err(error) => {
                let path = join(&self.plan.roots[number].input, &key.1);
                Err(messages::unreadable(&path, &error.into()))
            }
        };
        match made {
            Ok(CopyLevel::Into(copy)) => {
                self.folders_ahead.insert(key, Arc::clone(&copy));
                Some(CopyLevel::Into(copy))
            }
            Ok(level) => Some(level),
            Err(failure) => {
                self.fail_folder(key, failure);
                None
            }
        }
    }

    fn found_file(
        &mut self,
        number: usize,
        copy: Option<&Arc<CopyFolder>>,
        found: WalkEntry,
        path: PathBuf,
        name: OsString,
    ) -> Option<BatchItem> {
        if is_leftover(&found.name) {
            self.existing.emit(Event::Leftover(path.clone()));
        }
        let output = match copy {
            Some(copy) => copy.path(&name),
            None => {
                let root = &self.plan.roots[number];
                join(&root.output, &found.relative).with_file_name(&name)
            }
        };
        if let Some(copy) = copy {
            self.existing.emit_stale_other(copy, &found.name, &path);
        }
        let stat = found.stat;
        self.file(SourceFile { path, entry: Some(entry(found)), stat }, copy, name, output)
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
        let force = match present {
            // Not even with --force: on a case-insensitive file system it may become the output
            // of another file of this run.
            Ok(Present::Nothing) => false,
            Ok(Present::ToReplace) => true,
            Ok(Present::Fresh) => {
                self.existing.emit(Event::Kept(len));
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
                (Destination::Beneath { folder, name, path: output, force }, Some(guard))
            }
        };
        Some(BatchItem { input: path, entry, len, output, guard })
    }

    /// The next large file.
    fn next_large(&mut self) -> Option<BatchItem> {
        while let Some((number, found, name)) = self.large.next() {
            let level = self.level_ahead(number, &found.folder);
            let copy = match level {
                Some(CopyLevel::Into(copy)) => Some(copy),
                Some(CopyLevel::Nothing) => None,
                Some(CopyLevel::Failed) | None => continue,
            };
            let path = join(&self.plan.roots[number].input, &found.relative);
            let item = self.found_file(number, copy.as_ref(), found, path, name);
            if item.is_some() {
                return item;
            }
        }
        None
    }

    /// The next file of the walks, or named file.
    fn next_other(&mut self) -> Option<BatchItem> {
        loop {
            if let Some(found) = self.tree.as_mut().and_then(Iterator::next) {
                let item = match found {
                    Ok(found) => self.process(self.root - 1, found),
                    Err(failure) => {
                        self.existing.emit(Event::Failed(failure));
                        None
                    }
                };
                if item.is_some() {
                    return item;
                }
                continue;
            }
            let number = self.root;
            while let Some((_, failure)) = self.unusable.pop_if(|(place, _)| *place <= number) {
                self.existing.emit(Event::Failed(failure));
            }
            let root = self.plan.roots.get(number)?;
            self.root += 1;
            self.tree = None;
            self.levels = vec![self.root_level(number)];
            let item = match &root.folder {
                Some(folder) => {
                    match self.plan.rules.walk(folder, &root.input) {
                        Ok(tree) => self.tree = Some(tree),
                        Err(failure) => self.existing.emit(Event::Failed(failure)),
                    }
                    None
                }
                None => self.named_file(number),
            };
            if item.is_some() {
                return item;
            }
        }
    }

    /// A file that the user has named.
    fn named_file(&mut self, number: usize) -> Option<BatchItem> {
        let root = &self.plan.roots[number];
        let name = root.output.file_name().map(OsStr::to_owned);
        match name {
            // A pipe or a device too, as the user has named it.
            Some(name) => {
                let copy = self.roots.get(number).cloned().flatten();
                let input = SourceFile { path: root.input.clone(), entry: None, stat: root.stat };
                self.file(input, copy.as_ref(), name, root.output.clone())
            }
            None => {
                self.existing.emit(Event::Special(root.input.clone()));
                None
            }
        }
    }
}

impl Iterator for WorkItems<'_> {
    type Item = BatchItem;

    fn next(&mut self) -> Option<BatchItem> {
        self.report();
        let item = self.next_large();
        if item.is_some() { item } else { self.next_other() }
    }
}
