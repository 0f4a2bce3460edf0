//! The first time through: how much there is, and what cannot be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use cryptstream_beneath::{FileId, Folder, WalkEntry};

use super::plan::{Action, Plan};
use super::root::{Root, nearest};
use super::walk::{join, len};
use crate::messages::{self, Failure};

/// Files from this length on come first, the largest of all before the others,
/// so that none is left at the end that keeps one core busy.
const LARGE: u64 = 1 << 20;
/// As many as are looked for; others come in the order of the folders.
const MAX_LARGE: usize = 4096;

/// How much there is.
#[derive(Debug, Default)]
pub(crate) struct TreeScan {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files to be opened whose names are not those of sealed ones.
    pub(crate) not_encrypted: u64,
    /// The largest files, by root, with the names of their outputs: the largest first.
    pub(super) large: Vec<(usize, WalkEntry, OsString)>,
    /// The same: for each root their paths from there on.
    pub(super) named: Vec<HashSet<PathBuf>>,
    /// What would become the same as something beside it, by root and path; one of each
    /// pair has the words for both.
    pub(super) clashes: HashMap<(usize, PathBuf), Option<Failure>>,
}

impl TreeScan {
    /// Goes through everything. What cannot be read is left to the second time, and so is
    /// telling of what would become one.
    pub(crate) fn of(plan: &Plan) -> Result<Self, Failure> {
        let mut scan = Self::default();
        let mut largest: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
        let mut large = BTreeMap::new();
        let outputs: HashMap<_, _> = plan.roots.iter().filter_map(existing_output).collect();
        for (number, root) in plan.roots.iter().enumerate() {
            let Some(folder) = &root.folder else {
                scan.files += 1;
                scan.bytes += len(root.stat.st_size);
                continue;
            };
            let mut tree = plan.rules.walk(folder, &root.input)?;
            while let Some(found) = tree.next() {
                let Ok(found) = found else { continue };
                // By the path this was not to be seen: it may be mounted elsewhere too.
                if let Some(folder) = &found.opened
                    && let Some((output, there)) = outputs.get(&folder.id())
                    && folder.is(there)
                {
                    return Err(messages::tree::output_in_input(&root.input, output));
                }
                let is_wanted = |name: &OsStr| {
                    tree.wants(&found.folder, &found.relative.with_file_name(name), false)
                };
                if let Some(rival) = plan.rival(&found, is_wanted) {
                    let path = join(&root.input, &found.relative);
                    let failure = messages::tree::same_output(&path.with_file_name(&rival), &path);
                    let rival = found.relative.with_file_name(rival);
                    scan.clashes.insert((number, rival), None);
                    scan.clashes.insert((number, found.relative), Some(failure));
                    if found.opened.is_some() {
                        tree.skip_folder();
                    }
                    continue;
                }
                let output = match plan.action(&found) {
                    Action::File(output) => output,
                    action => {
                        scan.not_encrypted += u64::from(action == Action::NotEncrypted);
                        continue;
                    }
                };
                let len = len(found.stat.st_size);
                scan.files += 1;
                scan.bytes += len;
                if len < LARGE {
                    continue;
                }
                let key = (len, scan.files);
                largest.push(Reverse(key));
                large.insert(key, (number, found, output));
                if largest.len() > MAX_LARGE
                    && let Some(Reverse(least)) = largest.pop()
                {
                    large.remove(&least);
                }
            }
        }
        // One of a pair may have been counted before the other was found.
        let clashes = &scan.clashes;
        large.retain(|_, (number, found, _): &mut (usize, WalkEntry, OsString)| {
            !clashes.contains_key(&(*number, found.relative.clone()))
        });
        scan.large = large.into_values().rev().collect();
        scan.named = vec![HashSet::new(); plan.roots.len()];
        for (number, found, _) in &scan.large {
            scan.named[*number].insert(found.relative.clone());
        }
        Ok(scan)
    }
}

/// The folder that a root's output is or will be in, as far as there is one; and that
/// output.
fn existing_output(root: &Root) -> Option<(FileId, (PathBuf, Arc<Folder>))> {
    let folder = Folder::root(nearest(&root.output)?).ok()?;
    Some((folder.id(), (root.output.clone(), folder)))
}
