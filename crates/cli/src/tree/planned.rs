//! What a job is to do with a tree, in place of doing it.

use std::path::{Path, PathBuf};

use cryptstream_beneath::{
    Dir, FileId, WalkEntry, dir_mode_without_acl, has_stable_inodes, kernel_path,
};
use cryptstream_engine::LostAttributes;
use cryptstream_engine::program::is_leftover;
use cryptstream_job::{EncodedPath, Object, Pinned, Time, TreeEntry};
use rustix::fs::Stat;

use super::event::Event;
use super::plan::{Action, Plan};
use super::prune::IsKey;
use super::scan::TreeScan;
use super::steps::{Step, Steps};
use super::walk::{join, len};
use crate::messages;

/// What a job is to do.
pub(crate) enum Planned {
    /// Encrypt or decrypt a file, whose number is not known yet. The large ones come first.
    Object(Object, IsLarge),
    /// Complete a folder or a link, after all files.
    Entry(TreeEntry),
    /// Nothing; something is to be reported.
    Event(Event),
}

/// Whether a file comes before the order of the tree.
pub(crate) type IsLarge = bool;

/// What is to be done with the only root of a plan, which is a folder.
pub(crate) struct PlannedItems<'a> {
    plan: &'a Plan,
    steps: Steps<'a>,
    is_key: &'a IsKey<'a>,
    /// What comes next, before the next step.
    ready: Vec<Planned>,
}

impl<'a> PlannedItems<'a> {
    pub(crate) fn new(plan: &'a Plan, scan: TreeScan, is_key: &'a IsKey<'a>) -> Self {
        Self { plan, steps: Steps::new(plan, scan, Vec::new()), is_key, ready: Vec::new() }
    }

    fn apply(&mut self, step: Step) -> Option<Planned> {
        let failed = |failure| Some(Planned::Event(Event::Failed(failure)));
        match step {
            Step::LargeFile(number, found, name) => {
                Some(self.object(number, found, Path::new(&name), true))
            }
            Step::Root(number) => {
                let root = &self.plan.roots[number];
                let dir = root.folder.as_ref().and_then(|folder| folder.dir().ok())?;
                let mode = self.mode(&dir, &root.stat);
                Some(Planned::Entry(folder(PathBuf::new(), &root.stat, mode)))
            }
            Step::NamedFile(number) => {
                failed(messages::job::not_a_folder(&self.plan.roots[number].input))
            }
            Step::Entry(number, found, action) => self.entry(number, found, action),
            Step::Kept(_) => None,
            Step::Failed(failure) => failed(failure),
        }
    }

    fn entry(&mut self, number: usize, found: WalkEntry, action: Action) -> Option<Planned> {
        let path = join(&self.plan.roots[number].input, &found.relative);
        let unreadable =
            |error: rustix::io::Errno| Event::Failed(messages::unreadable(&path, &error.into()));
        let event = match action {
            Action::File(name) => return Some(self.object(number, found, Path::new(&name), false)),
            Action::Folder => match found.opened.as_ref()?.dir() {
                Ok(dir) => {
                    let mode = self.mode(&dir, &found.stat);
                    return Some(Planned::Entry(folder(found.relative, &found.stat, mode)));
                }
                Err(error) => unreadable(error),
            },
            Action::Link => match found.folder.dir().and_then(|dir| dir.read_link(&found.name)) {
                Ok(target) => return Some(Planned::Entry(link(found, target))),
                Err(error) => unreadable(error),
            },
            Action::Temporary => Event::Temporary(path),
            Action::NotEncrypted if is_leftover(&found.name) => Event::Leftover(path),
            Action::NotEncrypted => Event::NotEncrypted(path),
            Action::Special => Event::Special(path),
        };
        Some(Planned::Event(event))
    }

    fn object(
        &mut self,
        number: usize,
        found: WalkEntry,
        output: &Path,
        is_large: IsLarge,
    ) -> Planned {
        let path = join(&self.plan.roots[number].input, &found.relative);
        let stat = found.stat;
        let real_path = || kernel_path(&*found.folder.dir().ok()?).map(|dir| dir.join(&found.name));
        if (self.is_key)(&stat, &real_path) {
            return Planned::Event(Event::Key(path));
        }
        let is_stable = match found.folder.dir() {
            Ok(dir) => has_stable_inodes(&dir, FileId::of(&stat).dev),
            Err(error) => {
                let failure = messages::unreadable(&path, &error.into());
                return Planned::Event(Event::Failed(failure));
            }
        };
        let output = found.relative.with_file_name(output);
        let object = Object {
            object: 0,
            path: EncodedPath(found.relative),
            output: EncodedPath(output),
            size: len(stat.st_size),
            pinned: Pinned::of(&stat, is_stable),
        };
        Planned::Object(object, is_large)
    }

    /// The permission bits of a folder's copy, which has no access control list.
    fn mode(&mut self, dir: &Dir, stat: &Stat) -> u32 {
        let (mode, acl) = dir_mode_without_acl(dir, stat.st_mode);
        if acl {
            let lost = LostAttributes { acl, ..LostAttributes::default() };
            self.ready.push(Planned::Event(Event::LostAttributes(lost)));
        }
        mode & 0o7777
    }
}

impl Iterator for PlannedItems<'_> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        if let Some(ready) = self.ready.pop() {
            return Some(ready);
        }
        loop {
            let step = self.steps.next()?;
            if let Some(planned) = self.apply(step) {
                return Some(planned);
            }
        }
    }
}

fn folder(path: PathBuf, stat: &Stat, mode: u32) -> TreeEntry {
    let (accessed, modified) = times(stat);
    TreeEntry::Folder { path: EncodedPath(path), mode, accessed, modified }
}

fn link(found: WalkEntry, target: PathBuf) -> TreeEntry {
    let (accessed, modified) = times(&found.stat);
    let (path, target) = (EncodedPath(found.relative), EncodedPath(target));
    TreeEntry::Link { path, target, accessed, modified }
}

fn times(stat: &Stat) -> (Time, Time) {
    let accessed = Time::new(stat.st_atime, stat.st_atime_nsec);
    (accessed, Time::new(stat.st_mtime, stat.st_mtime_nsec))
}
