//! The `.gitignore` files of a folder. They are content like any other: none is read
//! through a link, and none that is not a plain file of a sensible length.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_beneath::Folder;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use crate::messages::{self, tree as words};

const NAME: &str = ".gitignore";
/// The longest file of patterns: 1 MiB.
const MAX_LEN: u64 = 1 << 20;

/// The rules of the folders that a walk is in.
pub(super) struct Nested {
    root: PathBuf,
    /// From the root on, each in the one before it, by the path from the root.
    levels: Vec<(PathBuf, Gitignore)>,
    /// What was complained about already, in another walk too.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Nested {
    pub(super) fn new(root: &Path, told: Arc<Mutex<BTreeSet<PathBuf>>>) -> Self {
        Self { root: root.to_owned(), levels: Vec::new(), told }
    }

    /// Whether something in `folder` is to be left out. To be asked in the order of a
    /// walk, of folders before what is in them.
    pub(super) fn is_ignored(&mut self, folder: &Folder, relative: &Path, is_folder: bool) -> bool {
        let Some(parent) = relative.parent() else { return false };
        while self.levels.pop_if(|(level, _)| !parent.starts_with(level)).is_some() {}
        if self.levels.last().is_none_or(|(level, _)| level != parent) {
            let rules = self.rules(folder, parent);
            self.levels.push((parent.to_owned(), rules));
        }
        // The nearest that says anything decides.
        let path = self.root.join(relative);
        let answers = self.levels.iter().rev();
        let mut answers = answers.map(|(_, rules)| rules.matched(&path, is_folder));
        matches!(answers.find(|answer| !answer.is_none()), Some(Match::Ignore(_)))
    }

    /// The rules of a folder; none where there are none, or none that are taken.
    fn rules(&self, folder: &Folder, relative: &Path) -> Gitignore {
        let opened = folder.dir().and_then(|dir| dir.open_file(NAME));
        let text = opened.map_err(io::Error::from).and_then(|file| {
            let mode = rustix::fs::fstat(&file)?.st_mode;
            if FileType::from_raw_mode(mode) != FileType::RegularFile {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            read(file)
        });
        let path = self.root.join(relative);
        match text {
            Ok(text) => {
                let mut builder = GitignoreBuilder::new(path);
                for line in text.lines() {
                    // Git passes over what it does not understand, too.
                    let _ = builder.add_line(None, line);
                }
                builder.build().unwrap_or_else(|_| Gitignore::empty())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complain(path.join(NAME));
                }
                Gitignore::empty()
            }
        }
    }

    fn complain(&self, path: PathBuf) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < 100 && !told.contains(&path) {
            messages::warn(&words::skipped(&path, words::NO_PATTERNS));
            told.insert(path);
        }
    }
}

/// All of a file of patterns.
pub(super) fn read(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_LEN {
        true => Err(io::Error::other("it has more than 1 MiB")),
        // What is not UTF-8 is in a line that matches nothing.
        false => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
