//! The folders and links of a job, which are completed when all objects are done.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lines::{LineReader, LineWriter};
use crate::manifest::{Head, VERSION};
use crate::name::EncodedPath;
use crate::pin::Time;

/// A folder or a link, before the content of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum TreeEntry {
    /// A folder.
    Folder {
        /// Its path below the source; empty for the source itself.
        path: EncodedPath,
        /// Its permission bits.
        mode: u32,
        /// When it was last accessed.
        accessed: Time,
        /// When it was last modified.
        modified: Time,
    },
    /// A symbolic link.
    Link {
        /// Its path below the source.
        path: EncodedPath,
        /// What it leads to.
        target: EncodedPath,
        /// When it was last accessed.
        accessed: Time,
        /// When it was last modified.
        modified: Time,
    },
}

impl TreeEntry {
    /// The path below the source.
    #[must_use]
    pub fn path(&self) -> &EncodedPath {
        match self {
            Self::Folder { path, .. } | Self::Link { path, .. } => path,
        }
    }

    /// Puts its times and, for a folder, its permission bits into `stat`.
    #[must_use]
    pub fn applied_to(&self, mut stat: Stat) -> Stat {
        let (Self::Folder { accessed, modified, .. } | Self::Link { accessed, modified, .. }) =
            self;
        (stat.st_atime, stat.st_atime_nsec) = (accessed.0, accessed.1.into());
        (stat.st_mtime, stat.st_mtime_nsec) = (modified.0, modified.1.into());
        if let Self::Folder { mode, .. } = self {
            stat.st_mode = stat.st_mode & !0o7777 | mode & 0o7777;
        }
        stat
    }
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Tree(Head),
    Folder { path: EncodedPath, mode: u32, accessed: Time, modified: Time },
    Link { path: EncodedPath, target: EncodedPath, accessed: Time, modified: Time },
    End { entries: u64 },
}

/// Writes folders and links.
pub struct TreeWriter {
    lines: LineWriter,
    entries: u64,
}

impl TreeWriter {
    pub(crate) fn new(file: File, path: PathBuf, job: &str) -> Result<Self, Error> {
        let mut lines = LineWriter::new(file, path);
        lines.write(&Line::Tree(Head { version: VERSION, job: job.into(), shard: None }))?;
        Ok(Self { lines, entries: 0 })
    }

    /// Adds a folder or a link.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn add(&mut self, entry: &TreeEntry) -> Result<(), Error> {
        self.entries += 1;
        self.lines.write(entry)
    }

    /// Ends the list, and makes it durable.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn end(mut self) -> Result<(), Error> {
        self.lines.write(&Line::End { entries: self.entries })?;
        self.lines.sync()
    }
}

/// Reads folders and links.
pub struct TreeReader {
    lines: LineReader<Line>,
    entries: u64,
    is_over: bool,
}

impl TreeReader {
    pub(crate) fn new(file: File, path: PathBuf, job: &str) -> Result<Self, Error> {
        let mut lines = LineReader::new(file, path, false);
        match lines.next_line()? {
            Some(Line::Tree(head)) => head.check(job, None, lines.path())?,
            _ => return Err(lines.damaged("not the beginning of the folders")),
        }
        Ok(Self { lines, entries: 0, is_over: false })
    }

    fn read(&mut self) -> Result<Option<TreeEntry>, Error> {
        let entry = match self.lines.next_line()? {
            Some(Line::Folder { path, mode, accessed, modified }) => {
                TreeEntry::Folder { path, mode, accessed, modified }
            }
            Some(Line::Link { path, target, accessed, modified }) => {
                TreeEntry::Link { path, target, accessed, modified }
            }
            Some(Line::End { entries }) if entries == self.entries => return Ok(None),
            Some(Line::End { .. }) => return Err(self.lines.damaged("a wrong number of entries")),
            Some(Line::Tree(_)) => return Err(self.lines.damaged("another beginning")),
            None => return Err(self.lines.damaged("the end is missing")),
        };
        let is_root = entry.path().0.as_os_str().is_empty();
        // The first one is the source itself.
        if is_root != (self.entries == 0) || !(is_root || entry.path().is_below()) {
            return Err(self.lines.damaged("a path that leads out of its folder"));
        }
        self.entries += 1;
        Ok(Some(entry))
    }
}

impl Iterator for TreeReader {
    type Item = Result<TreeEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        self.is_over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}
