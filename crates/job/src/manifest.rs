//! What is to be done: the description of the job, and the objects of each shard.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lines::{LineReader, LineWriter};
use crate::name::EncodedPath;
use crate::pin::{Pinned, Time};

/// The version of all files of a job. It changes when a field is removed or changes its meaning.
pub const VERSION: u64 = 1;

/// The description of a job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Job {
    /// Tells this job from all others: 32 hexadecimal digits.
    pub job: String,
    /// When it was planned, by the clock of that machine.
    pub planned: Time,
    /// The version of the program that has planned it.
    pub program: String,
    /// What is done with each object.
    pub operation: Operation,
    /// Where the objects are: an absolute path, which is the same on all machines.
    pub source: EncodedPath,
    /// Where the outputs go.
    pub target: EncodedPath,
    /// The format that is written.
    pub format: String,
    /// Whom to encrypt to.
    pub recipients: Vec<String>,
    /// What happens to existing outputs.
    pub replace: Replace,
    /// The number of folders and links, which the end of the job completes.
    pub folders: u64,
    /// The number of links.
    pub links: u64,
    /// How much is in each shard.
    pub shards: Vec<ShardTotals>,
}

/// What is done with each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is encrypted.
    Encrypt,
    /// It is decrypted.
    Decrypt,
}

/// What happens to existing outputs that differ from their source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replace {
    /// They are refused.
    Never,
    /// They are replaced if their time or their length differs.
    Different,
    /// They are replaced, unless this job has written them.
    All,
}

/// How much is in a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ShardTotals {
    /// The number of objects.
    pub objects: u64,
    /// The bytes of their sources.
    pub bytes: u64,
}

impl Job {
    /// All objects.
    #[must_use]
    pub fn totals(&self) -> ShardTotals {
        self.shards.iter().fold(ShardTotals::default(), |sum, shard| ShardTotals {
            objects: sum.objects + shard.objects,
            bytes: sum.bytes + shard.bytes,
        })
    }
}

/// An object of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Object {
    /// Its number in the shard, from 0.
    pub object: u64,
    /// Its path below the source.
    pub path: EncodedPath,
    /// The path of its output below the target.
    pub output: EncodedPath,
    /// Its length in bytes.
    pub size: u64,
    /// What else must be unchanged.
    #[serde(flatten)]
    pub pinned: Pinned,
}

/// What the first line of a file says.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Head {
    pub(crate) version: u64,
    pub(crate) job: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) shard: Option<u32>,
}

impl Head {
    pub(crate) fn check(&self, job: &str, shard: Option<u32>, path: &Path) -> Result<(), Error> {
        if self.version != VERSION {
            return Err(Error::Version { path: path.to_owned(), found: self.version });
        }
        if self.job != job || self.shard != shard {
            return Err(Error::Foreign { path: path.to_owned() });
        }
        Ok(())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Shard(Head),
    Object(Object),
    End(ShardTotals),
}

/// Writes the objects of a shard.
pub struct ShardWriter {
    lines: LineWriter,
    totals: ShardTotals,
}

impl ShardWriter {
    pub(crate) fn new(file: File, path: PathBuf, job: &str, shard: u32) -> Result<Self, Error> {
        let mut lines = LineWriter::new(file, path);
        lines.write(&Line::Shard(Head {
            version: VERSION,
            job: job.into(),
            shard: Some(shard),
        }))?;
        Ok(Self { lines, totals: ShardTotals::default() })
    }

    /// Adds an object, which gets the next number.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn add(&mut self, mut object: Object) -> Result<(), Error> {
        object.object = self.totals.objects;
        self.totals.objects += 1;
        self.totals.bytes = self.totals.bytes.saturating_add(object.size);
        self.lines.write(&Line::Object(object))
    }

    /// Ends the shard, and makes it durable.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn end(mut self) -> Result<ShardTotals, Error> {
        self.lines.write(&Line::End(self.totals))?;
        self.lines.sync()?;
        Ok(self.totals)
    }
}

/// Reads the objects of a shard.
pub struct ShardReader {
    lines: LineReader<Line>,
    expected: ShardTotals,
    found: ShardTotals,
    is_over: bool,
}

impl ShardReader {
    pub(crate) fn new(
        file: File,
        path: PathBuf,
        job: &str,
        shard: u32,
        expected: ShardTotals,
    ) -> Result<Self, Error> {
        let mut lines = LineReader::new(file, path, false);
        match lines.next_line()? {
            Some(Line::Shard(head)) => head.check(job, Some(shard), lines.path())?,
            _ => return Err(lines.damaged("not the beginning of a shard")),
        }
        Ok(Self { lines, expected, found: ShardTotals::default(), is_over: false })
    }

    fn read(&mut self) -> Result<Option<Object>, Error> {
        match self.lines.next_line()? {
            Some(Line::Object(object)) => {
                if object.object != self.found.objects {
                    return Err(self.lines.damaged("an object with a wrong number"));
                }
                if !object.path.is_below() || !object.output.is_below() {
                    return Err(self.lines.damaged("a path that leads out of its folder"));
                }
                self.found.objects += 1;
                self.found.bytes = self.found.bytes.saturating_add(object.size);
                Ok(Some(object))
            }
            Some(Line::End(totals)) if totals == self.found && totals == self.expected => {
                match self.lines.next_line()? {
                    None => Ok(None),
                    Some(_) => Err(self.lines.damaged("more after the end")),
                }
            }
            Some(Line::End(_)) => Err(self.lines.damaged("a wrong number of objects or bytes")),
            Some(Line::Shard(_)) => Err(self.lines.damaged("the beginning of another shard")),
            None => Err(self.lines.damaged("the end is missing")),
        }
    }
}

impl Iterator for ShardReader {
    type Item = Result<Object, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        self.is_over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}
