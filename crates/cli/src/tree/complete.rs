//! Completes the folders and links of a copy that several processes have filled.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use cryptstream_beneath::Dir;
use cryptstream_engine::Parser;
use cryptstream_job::{Replace, TreeEntry};
use rustix::fs::Stat;

use super::compare::{Comparison, nanoseconds};
use super::copy_structure::{CopyContext, CopyFolder, Linked};
use super::event::Event;
use super::named_folders;
use super::plan::Naming;
use crate::messages::Failure;

/// Creates the folder of a copy that several processes are going to fill, unless it exists.
pub(crate) fn prepare_target(target: &Path, like: Stat, encrypts: bool) -> Result<(), Failure> {
    // Here it must still be empty if it is new.
    let context = CopyContext { follows: encrypts, ..CopyContext::default() };
    named_folders::copied_root(target, like, &context).map(CopyFolder::leave_unfinished)
}

/// The copy of a tree, of which only folders and links are missing.
pub(crate) struct Completion {
    context: CopyContext,
    target: PathBuf,
    naming: Naming,
    replace: Replace,
    parser: Parser,
    /// What is not in a [`TreeEntry`].
    base: Stat,
    /// The folders on the way to the last entry.
    levels: Vec<Arc<CopyFolder>>,
}

impl Completion {
    /// The copy at `target`. `base` is the status of any folder.
    pub(crate) fn new(target: &Path, naming: Naming, replace: Replace, base: Stat) -> Self {
        let follows = matches!(naming, Naming::Add(_));
        let context = CopyContext { follows, ..CopyContext::default() };
        let (target, parser, levels) = (target.to_owned(), Parser::default(), Vec::new());
        Self { context, target, naming, replace, parser, base, levels }
    }

    /// Completes an entry; folders must come before their content. Returns what is to be reported:
    /// nothing of what is in a folder that was reported as a failure.
    pub(crate) fn add(&mut self, entry: &TreeEntry) -> Option<Event> {
        let depth = entry.path().path().components().count();
        // Those that are complete are finished when they are dropped.
        self.levels.truncate(depth);
        let is_reachable = self.levels.len() == depth;
        is_reachable.then(|| self.try_add(entry).unwrap_or_else(Event::Failed))
    }

    fn try_add(&mut self, entry: &TreeEntry) -> Result<Event, Failure> {
        let like = entry.applied_to(self.base);
        let path = entry.path().path();
        let (Some(above), Some(name)) = (self.levels.last(), path.file_name()) else {
            self.levels = vec![named_folders::copied_root(&self.target, like, &self.context)?];
            return Ok(Event::Folder);
        };
        match entry {
            TreeEntry::Folder { .. } => {
                let folder = above.make(name, like)?;
                self.levels.push(folder);
                Ok(Event::Folder)
            }
            TreeEntry::Link { target, .. } => {
                let mut comparison = Comparison::new(self.naming, &self.parser, false);
                let compare = |dir: &Dir, there: &Stat| {
                    comparison.compare_times(dir, there, nanoseconds(&like))
                };
                let encrypts = matches!(self.naming, Naming::Add(_));
                let may_replace = |order: std::cmp::Ordering| match self.replace {
                    Replace::All => true,
                    Replace::Different => encrypts || order.is_le(),
                    Replace::Never => false,
                };
                match above.link_to(target.path(), name, &like, false, compare, may_replace)? {
                    Linked::Made | Linked::Kept => Ok(Event::Link),
                    Linked::Updated => Ok(Event::Relinked(above.path(name))),
                }
            }
        }
    }

    /// Finishes the last folders. Returns what is to be reported.
    pub(crate) fn end(mut self) -> Vec<Event> {
        self.levels.clear();
        let late = &self.context.late;
        std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
