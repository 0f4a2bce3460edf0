//! Walks a directory tree.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::{Folder, ReadDir};

/// The number of nested directories that are listed incrementally. The remaining names of those
/// above them are read into memory, so that deep trees need no more descriptors.
const LISTED_AT_ONCE: usize = 16;
/// Directories with longer relative paths are not entered, since no program can open such a path
/// (`PATH_MAX`).
const MAX_PATH_LEN: usize = 4096;

/// A file, directory or link below the root of a walk.
#[derive(Debug)]
pub struct WalkEntry {
    /// The parent directory.
    pub folder: Arc<Folder>,
    /// Its name.
    pub name: OsString,
    /// Its path, relative to the root.
    pub relative: PathBuf,
    /// Its attributes, or those of the link itself.
    pub stat: Stat,
    /// The open directory, if it is one.
    pub opened: Option<Arc<Folder>>,
    /// The number of directories above it, the root included: 1 for what is in the root.
    pub depth: usize,
}

impl WalkEntry {
    /// The file type.
    #[must_use]
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// A file or directory that could not be read.
#[derive(Debug)]
pub struct WalkError {
    /// Its path, relative to the root; empty for the root.
    pub relative: PathBuf,
    /// The error; `ESTALE` if it was replaced meanwhile.
    pub error: Errno,
}

/// Iterates over everything below a directory. A directory comes before its content.
///
/// A directory is opened before it is reported, without following a link, and its attributes are
/// those of the open directory. Other files are not opened;
/// [`FileEntry::open`](crate::FileEntry::open) compares their device and inode later.
pub struct Walk<F> {
    levels: VecDeque<Level>,
    /// The depth of the innermost directory.
    depth: usize,
    relative: PathBuf,
    is_sorted: bool,
    is_wanted: F,
}

struct Level {
    folder: Arc<Folder>,
    names: Names,
}

/// The remaining names in a directory.
enum Names {
    Unread,
    Listed(ReadDir),
    Read(std::vec::IntoIter<Name>),
}

type Name = Result<(OsString, FileType), Errno>;

impl<F: FnMut(&Arc<Folder>, &Path, bool) -> bool> Walk<F> {
    /// Walks `root`. `is_wanted` is called for each name with its parent directory, its path
    /// relative to the root, and whether it is a directory; unwanted names are skipped and not
    /// opened. With `is_sorted`, names are sorted by their bytes.
    pub fn new(root: Arc<Folder>, is_sorted: bool, is_wanted: F) -> Self {
        let levels = VecDeque::from([Level { folder: root, names: Names::Unread }]);
        Self { levels, depth: 0, relative: PathBuf::new(), is_sorted, is_wanted }
    }

    /// Whether the walk would report this path. Calls `is_wanted`.
    pub fn wants(&mut self, folder: &Arc<Folder>, relative: &Path, is_folder: bool) -> bool {
        (self.is_wanted)(folder, relative, is_folder)
    }

    /// Skips the content of the directory that was reported last.
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

    /// The entry of this name; `None` if it is not wanted.
    fn visit(
        &mut self,
        name: OsString,
        reported: FileType,
    ) -> Result<Option<WalkEntry>, WalkError> {
        let Some(folder) = self.levels.back().map(|level| Arc::clone(&level.folder)) else {
            return Ok(None);
        };
        let relative = self.relative.join(&name);
        let stat = |this: &Self| {
            let stat = folder.dir().and_then(|dir| dir.stat(&name));
            stat.map_err(|error| this.failed(Some(&name), error))
        };
        let (reported, known) = match reported {
            // Not every file system reports types.
            FileType::Unknown => {
                let stat = stat(self)?;
                (FileType::from_raw_mode(stat.st_mode), Some(stat))
            }
            reported => (reported, None),
        };
        let is_folder = reported == FileType::Directory;
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
    /// Reads the remaining names into memory.
    fn read_all(&mut self, is_sorted: bool) {
        if let Names::Listed(entries) = &mut self.names {
            let mut names: Vec<Name> = entries.collect();
            if is_sorted {
                names.sort_by(|one, other| match (one, other) {
                    (Ok((one, _)), Ok((other, _))) => one.cmp(other),
                    // Errors come last.
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
                    // Reading on might fail forever.
                    if let Some(level) = self.levels.back_mut() {
                        level.names = Names::Read(Vec::new().into_iter());
                    }
                    return Some(Err(failed));
                }
                Some(Ok((name, reported))) => match self.visit(name, reported) {
                    Ok(None) => {}
                    Ok(Some(found)) => return Some(Ok(found)),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}
