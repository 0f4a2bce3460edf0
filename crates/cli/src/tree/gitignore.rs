//! The `.gitignore` files of a folder. They are content like any other: none is read
//! through a link, and none that is not a plain file of a sensible length.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{CWD, Mode, OFlags};

use crate::messages::{self, tree as words};

const NAME: &str = ".gitignore";
/// The longest file of patterns: 1 MiB.
const MAX_LEN: u64 = 1 << 20;

/// The rules of the folders that a walk is in.
pub(super) struct Nested {
    root: PathBuf,
    /// From the root on, each in the one before it.
    levels: Vec<(PathBuf, Gitignore)>,
    /// What was complained about already, in another walk too.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Nested {
    pub(super) fn new(root: &Path, told: Arc<Mutex<BTreeSet<PathBuf>>>) -> Self {
        Self { root: root.to_owned(), levels: Vec::new(), told }
    }

    /// Whether something below the root is to be left out. To be asked in the order
    /// of a walk, of folders before what is in them.
    pub(super) fn is_ignored(&mut self, path: &Path, is_folder: bool) -> bool {
        let Some(parent) = path.parent().filter(|_| path != self.root) else { return false };
        while self.levels.pop_if(|(folder, _)| !parent.starts_with(folder)).is_some() {}
        let known = self.levels.last().map(|(folder, _)| folder.clone());
        let is_new = |folder: &&Path| known.as_deref() != Some(*folder);
        let mut entered: Vec<_> = parent.ancestors().take_while(is_new).collect();
        entered.retain(|folder| folder.starts_with(&self.root));
        for folder in entered.into_iter().rev() {
            let rules = self.rules(folder);
            self.levels.push((folder.to_owned(), rules));
        }
        // The nearest that says anything decides.
        let mut answers = self.levels.iter().rev().map(|(_, rules)| rules.matched(path, is_folder));
        matches!(answers.find(|answer| !answer.is_none()), Some(Match::Ignore(_)))
    }

    /// The rules of a folder; none where there are none, or none that are taken.
    fn rules(&self, folder: &Path) -> Gitignore {
        let path = folder.join(NAME);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, &path, flags, Mode::empty());
        let text = opened.map_err(io::Error::from).map(File::from).and_then(|file| {
            if !file.metadata()?.is_file() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            read(file)
        });
        match text {
            Ok(text) => {
                let mut builder = GitignoreBuilder::new(folder);
                for line in text.lines() {
                    // Git passes over what it does not understand, too.
                    let _ = builder.add_line(None, line);
                }
                builder.build().unwrap_or_else(|_| Gitignore::empty())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.complain(path);
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
