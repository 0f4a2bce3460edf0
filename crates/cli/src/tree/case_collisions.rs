//! Names that differ in upper and lower case only.

use std::collections::HashMap;
use std::ffi::OsStr;

use cryptstream_beneath::{Dir, FileId};
use rustix::fs::Stat;

/// Finds names that collide. On a case-insensitive file system, another file's output may appear
/// under this file's name and be taken for it.
#[derive(Default)]
pub(super) struct CaseCollisions {
    /// How often each name occurs in the last folder, in lower case.
    folder: Option<FileId>,
    names: HashMap<String, usize>,
}

impl CaseCollisions {
    /// Whether `output` in `copy` may belong to another file than `name` in `folder`. Where files
    /// vanish, as with `--remove-source`, the other file may be gone already: then the output
    /// must have exactly this name.
    pub(super) fn has(
        &mut self,
        folder: &Dir,
        name: &OsStr,
        copy: &Dir,
        output: &OsStr,
        may_vanish: bool,
    ) -> bool {
        if !has_either_case(copy, output) {
            return false;
        }
        if may_vanish && !is_listed(copy, output) {
            return true;
        }
        let Ok(folder_id) = folder.own_stat().map(|stat| FileId::of(&stat)) else { return false };
        if self.folder != Some(folder_id) {
            self.names.clear();
            self.folder = Some(folder_id);
            for (name, _) in folder.entries().into_iter().flatten().flatten() {
                *self.names.entry(lower(&name)).or_default() += 1;
            }
        }
        self.names.get(&lower(name)).is_some_and(|count| *count > 1)
    }
}

/// Whether `output` in `copy` is a file with a name that differs in upper and lower case.
pub(super) fn is_other_name(copy: &Dir, output: &OsStr) -> bool {
    has_either_case(copy, output) && !is_listed(copy, output)
}

/// Whether the file system takes `output` for the same name in the other case.
fn has_either_case(copy: &Dir, output: &OsStr) -> bool {
    let text = output.to_string_lossy();
    let swap = |c: char| {
        if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
    };
    let swapped: String = text.chars().map(swap).collect();
    swapped != text
        && copy
            .stat(OsStr::new(&swapped))
            .is_ok_and(|other| copy.stat(output).is_ok_and(|own| state(&own) == state(&other)))
}

fn is_listed(copy: &Dir, output: &OsStr) -> bool {
    copy.entries().into_iter().flatten().flatten().any(|(name, _)| name == output)
}

/// Identifies a file. The inode number alone is not enough: some file systems give all files the
/// same one.
fn state(stat: &Stat) -> impl PartialEq + use<> {
    let changed = (stat.st_ctime, stat.st_ctime_nsec);
    (FileId::of(stat), stat.st_size, (stat.st_mtime, stat.st_mtime_nsec), changed)
}

pub(super) fn lower(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A hard link on a case-sensitive file system looks like a case-insensitive one.
    #[test]
    fn another_files_output_is_not_taken_for_its_own() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(root.path().join(name), name).unwrap();
        ["readme", "README", "other", "readme.enc", "other.enc"]
            .iter()
            .for_each(|name| write(name));
        let dir = Dir::open(root.path()).unwrap();
        let mut case_collisions = CaseCollisions::default();
        let mut has = |name: &str, output: &str| {
            case_collisions.has(&dir, OsStr::new(name), &dir, OsStr::new(output), false)
        };
        assert!(!has("readme", "readme.enc") && !has("other", "other.enc"));
        for (name, other) in [("readme.enc", "README.ENC"), ("other.enc", "OTHER.ENC")] {
            fs::hard_link(root.path().join(name), root.path().join(other)).unwrap();
        }
        assert!(has("readme", "readme.enc") && has("README", "readme.enc"));
        assert!(!has("other", "other.enc"), "there is no other file of this name");
    }
}
