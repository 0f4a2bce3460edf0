//! The second walk: what is to be done, in the order in which it is done.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;

use cryptstream_beneath::WalkEntry;

use super::plan::{Action, Plan};
use super::scan::TreeScan;
use super::shard::{ShardStep, ShardSteps};
use super::walk::FilteredWalk;
use crate::messages::Failure;

/// What is to be done next. The number is that of the root.
pub(super) enum Step {
    /// A file with this output name, before the walk reaches its folder: a large one, or an object
    /// of a shard, of which there is no walk.
    LargeFile(usize, WalkEntry, OsString),
    /// A file that is up to date, with its length.
    Kept(u64),
    /// The walk through this root begins.
    Root(usize),
    /// A file that the user has named.
    NamedFile(usize),
    /// An entry of the root, folders before their content.
    Entry(usize, WalkEntry, Action),
    /// Nothing can be done.
    Failed(Failure),
}

/// The steps: the largest files first, then the roots in the order in which they were named.
pub(super) struct Steps<'a> {
    plan: &'a Plan,
    large: std::vec::IntoIter<(usize, WalkEntry, OsString)>,
    /// The paths of the largest files, for each root.
    named: Vec<HashSet<PathBuf>>,
    /// Entries whose output names collide, by root and path.
    clashes: HashMap<(usize, PathBuf), Option<Failure>>,
    /// Why inputs cannot be used, each with the number of roots before it, in reverse order.
    unusable: Vec<(usize, Failure)>,
    /// The number of roots begun, and the walk through the last one.
    begun: usize,
    walk: Option<FilteredWalk>,
    /// What takes the place of the walk.
    shard: Option<ShardSteps<'a>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(plan: &'a Plan, scan: TreeScan, unusable: Vec<(usize, Failure)>) -> Self {
        let TreeScan { large, named, clashes, .. } = scan;
        let (large, unusable) = (large.into_iter(), unusable.into_iter().rev().collect());
        let shard = plan.shard.as_ref().zip(plan.roots.first());
        let shard = shard.map(|(shard, root)| shard.steps(root));
        Self { plan, large, named, clashes, unusable, begun: 0, walk: None, shard }
    }

    /// Skips the content of the last entry, if it is a folder.
    pub(super) fn skip_content(&mut self, last: &WalkEntry) {
        if let Some(walk) = &mut self.walk {
            walk.skip_content(last);
        }
    }

    /// The step for an entry of the present root; `None` if there is nothing to do.
    fn entry(&mut self, found: WalkEntry) -> Option<Step> {
        let root = self.begun - 1;
        let action = self.plan.action(&found);
        if !self.clashes.is_empty()
            && let Some(failure) = self.clashes.remove(&(root, found.relative.clone()))
        {
            self.skip_content(&found);
            return failure.map(Step::Failed);
        }
        if action == Action::Temporary {
            self.skip_content(&found);
        }
        let is_file = matches!(action, Action::File(_));
        let is_large = self.named.get(root).is_some_and(|named| named.contains(&found.relative));
        (!is_file || !is_large).then_some(Step::Entry(root, found, action))
    }

    fn next_root(&mut self) -> Option<Step> {
        if let Some((_, failure)) = self.unusable.pop_if(|(place, _)| *place <= self.begun) {
            return Some(Step::Failed(failure));
        }
        let (number, root) = (self.begun, self.plan.roots.get(self.begun)?);
        self.begun += 1;
        let Some(folder) = &root.folder else { return Some(Step::NamedFile(number)) };
        match self.plan.rules.walk(folder, &root.input) {
            Ok(walk) => self.walk = Some(walk),
            Err(failure) => return Some(Step::Failed(failure)),
        }
        Some(Step::Root(number))
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(shard) = &mut self.shard {
            return shard.next().map(|step| match step {
                ShardStep::File(found, name) => Step::LargeFile(0, found, name),
                ShardStep::Done(len) => Step::Kept(len),
                ShardStep::Failed(failure) => Step::Failed(failure),
            });
        }
        if let Some((root, found, name)) = self.large.next() {
            return Some(Step::LargeFile(root, found, name));
        }
        while let Some(found) = self.walk.as_mut().and_then(Iterator::next) {
            match found {
                Err(failure) => return Some(Step::Failed(failure)),
                Ok(found) => {
                    let step = self.entry(found);
                    if step.is_some() {
                        return step;
                    }
                }
            }
        }
        self.walk = None;
        self.next_root()
    }
}
