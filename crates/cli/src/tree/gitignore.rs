//! The `.gitignore` files of a folder. They are content like any other: none is read
//! through a link, and none that is not a regular file of a sensible length.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_beneath::Folder;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use crate::messages;

const NAME: &str = ".gitignore";
/// The maximum length of a pattern file that the user has named: 1 MiB.
const MAX_LEN: usize = 1 << 20;
/// The maximum text of all `.gitignore` files that apply to a folder. Compiled patterns take
/// about 180 times as much memory.
const BUDGET: usize = 256 << 10;

/// The rules that apply to the current folder.
pub(super) struct Nested {
    root: PathBuf,
    /// From the root downwards.
    levels: Vec<Level>,
    /// Files that were warned about, in other walks too.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

struct Level {
    /// Relative to the root.
    path: PathBuf,
    rules: Gitignore,
    /// Length of the text, in bytes.
    len: usize,
}

impl Nested {
    pub(super) fn new(root: &Path, told: Arc<Mutex<BTreeSet<PathBuf>>>) -> Self {
        Self { root: root.to_owned(), levels: Vec::new(), told }
    }

    /// Whether an entry of `folder` is ignored. Must be called in the order of a walk, folders
    /// before their content.
    pub(super) fn is_ignored(&mut self, folder: &Folder, relative: &Path, is_folder: bool) -> bool {
        let Some(parent) = relative.parent() else { return false };
        while self.levels.pop_if(|level| !parent.starts_with(&level.path)).is_some() {}
        if self.levels.last().is_none_or(|level| level.path != parent) {
            let taken: usize = self.levels.iter().map(|level| level.len).sum();
            let (rules, len) = self.rules(folder, parent, BUDGET - taken);
            self.levels.push(Level { path: parent.to_owned(), rules, len });
        }
        // The nearest rule that matches decides.
        let path = self.root.join(relative);
        let answers = self.levels.iter().rev();
        let mut answers = answers.map(|level| level.rules.matched(&path, is_folder));
        matches!(answers.find(|answer| !answer.is_none()), Some(Match::Ignore(_)))
    }

    /// The rules of a folder, and the length of their text, which is limited to `most` bytes;
    /// empty if there are none, or none that are accepted.
    fn rules(&self, folder: &Folder, relative: &Path, most: usize) -> (Gitignore, usize) {
        let opened = folder.dir().and_then(|dir| dir.open_file(NAME));
        let text = opened.map_err(io::Error::from).and_then(|file| {
            let mode = rustix::fs::fstat(&file)?.st_mode;
            if FileType::from_raw_mode(mode) != FileType::RegularFile {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            read_at_most(file, most)
        });
        let path = self.root.join(relative);
        match text {
            Ok(text) => {
                let mut builder = GitignoreBuilder::new(path);
                for line in text.lines() {
                    // Git skips invalid patterns, too.
                    let _ = builder.add_line(None, line);
                }
                (builder.build().unwrap_or_else(|_| Gitignore::empty()), text.len())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complain(path.join(NAME));
                }
                (Gitignore::empty(), 0)
            }
        }
    }

    fn complain(&self, path: PathBuf) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < 100 && !told.contains(&path) {
            messages::warn(&messages::tree::skipped(&path, messages::tree::NO_PATTERNS));
            told.insert(path);
        }
    }
}

/// Reads a pattern file that the user has named.
pub(super) fn read(file: impl Read) -> io::Result<String> {
    read_at_most(file, MAX_LEN)
}

fn read_at_most(file: impl Read, most: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    // A line that is not UTF-8 matches nothing.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match text.len().max(bytes.len()) > most {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(text),
    }
}
