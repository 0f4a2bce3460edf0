//! Everything below a directory, each thing as it will be used.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::{Folder, ReadDir};

/// Directories that are listed bit by bit at the same time. Of those above them the
/// rest of the names is read into memory, so that deep trees need no more descriptors.
const LISTED_AT_ONCE: usize = 16;
/// The longest relative path that is gone into (`PATH_MAX`): no program could be told
/// of a longer one.
const MAX_PATH_LEN: usize = 4096;

/// Something below the root of a walk.
#[derive(Debug)]
pub struct WalkEntry {
    /// The directory that it is in.
    pub folder: Arc<Folder>,
    /// Its name there.
    pub name: OsString,
    /// Its path from the root.
    pub relative: PathBuf,
    /// What it is; of a link, the link itself.
    pub stat: Stat,
    /// The directory, if it is one.
    pub opened: Option<Arc<Folder>>,
    /// How many directories it is in; 1 in the root.
    pub depth: usize,
}

impl WalkEntry {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Why something could not be looked at.
#[derive(Debug)]
pub struct WalkError {
    /// Its path from the root; empty for the root.
    pub relative: PathBuf,
    /// `ESTALE` for what became something else at that moment.
    pub error: Errno,
}

/// Goes through a directory, directories before what is in them.
///
/// A directory is opened before it is reported, without following a link, and what is
/// said of it is said of what was opened. Of other things it is said what was seen under
/// the name, device and inode included; [`FileEntry::open`](crate::FileEntry::open) compares.
pub struct Walk<F> {
    levels: VecDeque<Level>,
    /// How many levels above are not kept, as their names were used up.
    depth: usize,
    relative: PathBuf,
    is_sorted: bool,
    is_wanted: F,
}

struct Level {
    folder: Arc<Folder>,
    names: Names,
}

/// The names in a directory that are still to come.
enum Names {
    Unread,
    Listed(ReadDir),
    Read(std::vec::IntoIter<Name>),
}

type Name = Result<(OsString, FileType), Errno>;

impl<F: FnMut(&Arc<Folder>, &Path, bool) -> bool> Walk<F> {
    /// Goes through `root`. `is_wanted` is asked about each name, with the directory
    /// that it is in, its path from the root, and whether it is a directory; what is not
    /// wanted is not opened. With `is_sorted` names come in the order of their bytes.
    pub fn new(root: Arc<Folder>, is_sorted: bool, is_wanted: F) -> Self {
        let levels = VecDeque::from([Level { folder: root, names: Names::Unread }]);
        Self { levels, depth: 0, relative: PathBuf::new(), is_sorted, is_wanted }
    }

    /// Whether something beside or below what was reported last would be reported too: its
    /// path from the root is `relative`, and it is in `folder`.
    pub fn wants(&mut self, folder: &Arc<Folder>, relative: &Path, is_folder: bool) -> bool {
        (self.is_wanted)(folder, relative, is_folder)
    }

    /// Does not go into the directory that was reported last.
    pub fn skip_folder(&mut self) {
        if self.levels.back().is_some_and(|level| matches!(level.names, Names::Unread)) {
            self.ascend();
        }
    }

    fn ascend(&mut self) {
        self.levels.pop_back();
        self.relative.pop();
        self.depth = self.depth.saturating_sub(1);
    }

    fn failed(&self, name: Option<&OsString>, error: Errno) -> WalkError {
        let relative = match name {
            Some(name) => self.relative.join(name),
            None => self.relative.clone(),
        };
        WalkError { relative, error }
    }

    /// The next name of the innermost directory.
    fn next_name(&mut self) -> Option<Name> {
        if self.levels.back().is_some_and(|level| matches!(level.names, Names::Unread)) {
            let is_sorted = self.is_sorted;
            if let Some(above) = self.levels.len().checked_sub(LISTED_AT_ONCE + 1) {
                self.levels.get_mut(above)?.read_all(false);
            }
            let level = self.levels.back_mut()?;
            match level.folder.dir().and_then(|dir| dir.entries()) {
                Ok(entries) => level.names = Names::Listed(entries),
                Err(error) => {
                    level.names = Names::Read(Vec::new().into_iter());
                    return Some(Err(error));
                }
            }
            if is_sorted {
                level.read_all(true);
            }
        }
        match &mut self.levels.back_mut()?.names {
            Names::Unread => None,
            Names::Listed(entries) => entries.next(),
            Names::Read(names) => names.next(),
        }
    }

    /// What stands under a name; `None` where it is not wanted.
    fn look(&mut self, name: OsString, told: FileType) -> Result<Option<WalkEntry>, WalkError> {
        let Some(folder) = self.levels.back().map(|level| Arc::clone(&level.folder)) else {
            return Ok(None);
        };
        let relative = self.relative.join(&name);
        let stat = |this: &Self| {
            let stat = folder.dir().and_then(|dir| dir.stat(&name));
            stat.map_err(|error| this.failed(Some(&name), error))
        };
        let (told, known) = match told {
            // Not every file system tells.
            FileType::Unknown => {
                let stat = stat(self)?;
                (FileType::from_raw_mode(stat.st_mode), Some(stat))
            }
            told => (told, None),
        };
        let is_folder = told == FileType::Directory;
        if !(self.is_wanted)(&folder, &relative, is_folder) {
            return Ok(None);
        }
        let depth = self.depth + 1;
        if !is_folder {
            let stat = match known {
                Some(stat) => stat,
                None => stat(self)?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                return Err(self.failed(Some(&name), Errno::STALE));
            }
            return Ok(Some(WalkEntry { folder, name, relative, stat, opened: None, depth }));
        }
        if relative.as_os_str().len() >= MAX_PATH_LEN {
            return Err(self.failed(Some(&name), Errno::NAMETOOLONG));
        }
        let (opened, stat) = match folder.open_child(&name) {
            Ok(opened) => opened,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(self.failed(Some(&name), Errno::STALE));
            }
            Err(error) => return Err(self.failed(Some(&name), error)),
        };
        let level = Level { folder: Arc::clone(&opened), names: Names::Unread };
        self.levels.push_back(level);
        self.relative.push(&name);
        self.depth = depth;
        Ok(Some(WalkEntry { folder, name, relative, stat, opened: Some(opened), depth }))
    }
}

impl Level {
    /// Reads the names that are still to come.
    fn read_all(&mut self, is_sorted: bool) {
        if let Names::Listed(entries) = &mut self.names {
            let mut names: Vec<Name> = entries.collect();
            if is_sorted {
                names.sort_by(|one, other| match (one, other) {
                    (Ok((one, _)), Ok((other, _))) => one.cmp(other),
                    // What could not be read comes last.
                    (one, other) => one.is_err().cmp(&other.is_err()),
                });
            }
            self.names = Names::Read(names.into_iter());
        }
    }
}

impl<F: FnMut(&Arc<Folder>, &Path, bool) -> bool> Iterator for Walk<F> {
    type Item = Result<WalkEntry, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.levels.is_empty() {
                return None;
            }
            match self.next_name() {
                None => self.ascend(),
                Some(Err(error)) => {
                    let failed = self.failed(None, error);
                    // Not asked again: it might fail for ever.
                    if let Some(level) = self.levels.back_mut() {
                        level.names = Names::Read(Vec::new().into_iter());
                    }
                    return Some(Err(failed));
                }
                Some(Ok((name, told))) => match self.look(name, told) {
                    Ok(None) => {}
                    Ok(Some(found)) => return Some(Ok(found)),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
