//! The first time through: how much there is, and what cannot be.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::plan::{Fate, Plan, Root};
use super::walk::Found;
use crate::messages::{Failure, tree as words};

/// Files from this length on come first, the largest of all before the others,
/// so that none is left at the end that keeps one core busy.
const LARGE: u64 = 1 << 20;
/// As many as are looked for; others come in the order of the folders.
const MAX_LARGE: usize = 4096;

/// How much there is.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// The largest files, by root and name: the largest first.
    pub(super) large: Vec<(usize, Found, PathBuf)>,
    /// The same, by name.
    pub(super) named: HashSet<PathBuf>,
}

impl Survey {
    /// Goes through everything, and fails where two things would become one. What
    /// cannot be read is left to the second time.
    pub(crate) fn of(plan: &Plan) -> Result<Self, Failure> {
        let mut survey = Self::default();
        let mut largest: BinaryHeap<Reverse<(u64, u64)>> = BinaryHeap::new();
        let mut large = std::collections::BTreeMap::new();
        let outputs: HashMap<_, _> = plan.roots.iter().filter_map(existing_output).collect();
        for (number, root) in plan.roots.iter().enumerate() {
            if root.folder.is_none() {
                survey.files += 1;
                survey.bytes += root.metadata.len();
                continue;
            }
            for found in plan.rules.walk(root)?.flatten() {
                // By the path this was not to be seen: it may be mounted elsewhere too.
                let id = (found.metadata.dev(), found.metadata.ino());
                if let Some(output) = outputs.get(&id).filter(|_| found.metadata.is_dir()) {
                    return Err(words::output_in_input(&root.input, output));
                }
                if let Some(rival) = plan.rival(&found) {
                    return Err(words::same_output(&rival, &found.path, &found.path));
                }
                let Fate::File(output) = plan.fate(root, &found) else { continue };
                let len = found.metadata.len();
                survey.files += 1;
                survey.bytes += len;
                if len < LARGE {
                    continue;
                }
                let key = (len, survey.files);
                largest.push(Reverse(key));
                large.insert(key, (number, found, output));
                if largest.len() > MAX_LARGE
                    && let Some(Reverse(least)) = largest.pop()
                {
                    large.remove(&least);
                }
            }
        }
        survey.large = large.into_values().rev().collect();
        survey.named = survey.large.iter().map(|(_, found, _)| found.path.clone()).collect();
        Ok(survey)
    }
}

/// Device and inode of the folder that a root's output is or will be in, as far as there
/// is one; and that output.
fn existing_output(root: &Root) -> Option<((u64, u64), PathBuf)> {
    let folder = root.output.ancestors().find_map(|path| std::fs::metadata(path).ok())?;
    Some(((folder.dev(), folder.ino()), root.output.clone()))
}
