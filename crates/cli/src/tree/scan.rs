//! The first walk: how much there is to do, and what is impossible.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use cryptstream_beneath::{FileId, Folder, WalkEntry};
use cryptstream_remote::is_url;

use super::plan::{Action, Plan};
use super::root::{Root, nearest};
use super::walk::{join, len};
use crate::messages::{self, Failure};

/// Files from this length on come first, the largest before the others, so that none keeps a
/// single core busy at the end.
const LARGE: u64 = 1 << 20;
/// At most this many; others come in the order of the folders.
const MAX_LARGE: usize = 4096;

/// How much there is to do.
#[derive(Debug, Default)]
pub(crate) struct TreeScan {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Files to decrypt whose names are not those of encrypted files.
    pub(crate) not_encrypted: u64,
    /// The largest files, each with its root and output name, the largest first.
    pub(super) large: Vec<(usize, WalkEntry, OsString)>,
    /// The paths of the largest files, for each root.
    pub(super) named: Vec<HashSet<PathBuf>>,
    /// Entries whose output names collide, by root and path; one of each pair has the failure.
    pub(super) clashes: HashMap<(usize, PathBuf), Option<Failure>>,
}

impl TreeScan {
    /// A shard with so much to do.
    pub(crate) fn of_shard(files: u64, bytes: u64) -> Self {
        Self { files, bytes, ..Self::default() }
    }

    /// Walks all roots. Unreadable entries and collisions are reported by the second walk.
    pub(crate) fn of(plan: &Plan) -> Result<Self, Failure> {
        let mut scan = Self::default();
        let mut largest: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
        let mut large = BTreeMap::new();
        let outputs: HashMap<_, _> = plan.roots.iter().filter_map(existing_output).collect();
        for (number, root) in plan.roots.iter().enumerate() {
            let Some(folder) = &root.folder else {
                scan.files += 1;
                scan.bytes = scan.bytes.saturating_add(len(root.stat.st_size));
                continue;
            };
            let mut tree = plan.rules.walk(folder, &root.input)?;
            while let Some(found) = tree.next() {
                let Ok(found) = found else { continue };
                // A path does not show it: the folder may be mounted elsewhere too.
                if let Some(folder) = &found.opened
                    && let Some((output, there)) = outputs.get(&folder.id())
                    && folder.is(there)
                {
                    return Err(messages::tree::output_in_input(&root.input, output, false));
                }
                let action = plan.action(&found);
                if action == Action::Temporary {
                    tree.skip_content(&found);
                    continue;
                }
                let is_wanted = |name: &OsStr| {
                    tree.wants(&found.folder, &found.relative.with_file_name(name), false)
                };
                if let Some(colliding_name) = plan.colliding_name(&found, is_wanted) {
                    let path = join(&root.input, &found.relative);
                    let failure =
                        messages::tree::same_output(&path.with_file_name(&colliding_name), &path);
                    let colliding_name = found.relative.with_file_name(colliding_name);
                    scan.clashes.insert((number, colliding_name), None);
                    tree.skip_content(&found);
                    scan.clashes.insert((number, found.relative), Some(failure));
                    continue;
                }
                let output = match action {
                    Action::File(output) => output,
                    action => {
                        scan.not_encrypted += u64::from(action == Action::NotEncrypted);
                        continue;
                    }
                };
                let len = len(found.stat.st_size);
                scan.files += 1;
                scan.bytes = scan.bytes.saturating_add(len);
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

/// The existing folder that a root's output is or will be in, and that output.
fn existing_output(root: &Root) -> Option<(FileId, (PathBuf, Arc<Folder>))> {
    if is_url(root.output.as_os_str()) {
        return None;
    }
    let folder = Folder::root(nearest(&root.output)?).ok()?;
    Some((folder.id(), (root.output.clone(), folder)))
}
