//! Names that differ in upper and lower case only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// On a file system that does not tell upper from lower case, another file's
/// output may be found under this one's name, and be taken for it.
#[derive(Default)]
pub(super) struct Twins {
    /// Of the folder that was looked at last, how often each name occurs.
    folder: PathBuf,
    names: HashMap<String, usize>,
}

impl Twins {
    /// Whether what stands at `output` may belong to another file beside `input`.
    pub(super) fn has(&mut self, input: &Path, output: &Path) -> bool {
        let (Some(name), Some(folder)) = (output.file_name(), input.parent()) else { return false };
        let text = name.to_string_lossy();
        let swap = |c: char| {
            if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
        };
        let swapped: String = text.chars().map(swap).collect();
        if swapped == text {
            return false;
        }
        let id =
            |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
        let other = id(&output.with_file_name(&swapped));
        if other.is_none() || other != id(output) {
            return false;
        }
        if self.folder != folder {
            self.names.clear();
            folder.clone_into(&mut self.folder);
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                *self.names.entry(lower(&entry.file_name())).or_default() += 1;
            }
        }
        input.file_name().is_some_and(|name| self.names.get(&lower(name)).is_some_and(|n| *n > 1))
    }
}

fn lower(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system that tells them apart shows one that does not by two links to
    /// one file.
    #[test]
    fn another_files_output_is_not_taken_for_its_own() {
        let root = std::env::temp_dir().join(format!("cryptstream-twins-{}", std::process::id()));
        let file = |name: &str| {
            let path = root.join(name);
            fs::write(&path, name).unwrap();
            path
        };
        fs::create_dir(&root).unwrap();
        let [first, second, other] = ["readme", "README", "other"].map(file);
        let [sealed, of_other] = ["readme.enc", "other.enc"].map(file);
        let mut twins = Twins::default();
        let told_apart = [twins.has(&first, &sealed), twins.has(&other, &of_other)];
        fs::hard_link(&sealed, root.join("README.ENC")).unwrap();
        fs::hard_link(&of_other, root.join("OTHER.ENC")).unwrap();
        let not_told_apart = [&first, &second].map(|input| twins.has(input, &sealed));
        let alone = twins.has(&other, &of_other);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((told_apart, not_told_apart, alone), ([false; 2], [true; 2], false));
    }
}
