//! The folder of a job.
//!
//! ```text
//! job.json                  the description; the job exists once it is there
//! plan-JOB/00000.jsonl      the objects of shard 0
//! plan-JOB/tree.jsonl       folders and links
//! receipts/00000-RANDOM.jsonl   what an attempt at shard 0 has done
//! finished.json             the job is complete
//! aborted.json              the job was given up
//! ```
//!
//! Nothing is ever changed under its name: a file is created once, and receipts are appended to by
//! one process.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use cryptstream_beneath::Dir;
use rustix::fs::{Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::manifest::{Job, ShardReader, ShardTotals, ShardWriter, VERSION};
use crate::pin::Time;
use crate::receipts::{Attempt, Receipts};
use crate::tree::{TreeReader, TreeWriter};

const JOB: &str = "job.json";
const FINISHED: &str = "finished.json";
const ABORTED: &str = "aborted.json";
const RECEIPTS: &str = "receipts";
const TREE: &str = "tree.jsonl";

/// The largest description that is read: of some 100,000 shards.
const MAX_JOB_LEN: u64 = 16 << 20;
/// Only for the owner.
const PRIVATE_FOLDER: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::from_raw_mode(0o600);
/// The bits of all other users.
const OTHERS: u32 = 0o077;

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is planned, and perhaps under way.
    Open,
    /// It is complete.
    Finished,
    /// It was given up.
    Aborted,
}

/// The folder of a job.
#[derive(Debug)]
pub struct JobFolder {
    dir: Dir,
    path: PathBuf,
}

/// A file that marks the end of a job.
#[derive(Deserialize, Serialize)]
struct Mark {
    version: u64,
    job: String,
    at: Time,
}

/// The description in its file.
#[derive(Deserialize, Serialize)]
struct JobFile {
    #[serde(rename = "type")]
    kind: String,
    version: u64,
    #[serde(flatten)]
    job: Job,
}

/// What every version of the file has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u64,
}

const KIND: &str = "cryptstream-job";

impl JobFolder {
    /// Creates the folder for a new job, or opens an existing one in which there is none.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NotPrivate`], [`Error::Write`].
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = |error: Errno| Error::Write { path: path.to_owned(), source: error.into() };
        let (above, name) = Dir::open_parent(path).map_err(failed)?;
        match above.create_dir(&name, PRIVATE_FOLDER) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        let folder = Self::open_folder(path)?;
        match folder.dir.stat(JOB) {
            Ok(_) => return Err(Error::Exists { path: path.to_owned() }),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
        match folder.dir.create_dir(RECEIPTS, PRIVATE_FOLDER) {
            Ok(()) | Err(Errno::EXIST) => Ok(folder),
            Err(error) => Err(failed(error)),
        }
    }

    /// Opens the folder of a job, and returns it with the description.
    ///
    /// # Errors
    /// [`Error::NoJob`], [`Error::NotPrivate`], [`Error::Version`], [`Error::Damaged`],
    /// [`Error::Read`].
    pub fn open(path: &Path) -> Result<(Self, Job), Error> {
        let folder = Self::open_folder(path)?;
        let Some(text) = folder.read_small(JOB)? else {
            return Err(Error::NoJob { path: path.to_owned() });
        };
        let file = folder.path(JOB);
        let damaged = |error: serde_json::Error| {
            Error::damaged(&file, error.line() as u64, error.to_string())
        };
        let AnyVersion { version } = serde_json::from_slice(&text).map_err(damaged)?;
        if version != VERSION {
            return Err(Error::Version { path: file, found: version });
        }
        let found: JobFile = serde_json::from_slice(&text).map_err(damaged)?;
        let is_id =
            found.job.job.len() == 32 && found.job.job.bytes().all(|byte| byte.is_ascii_hexdigit());
        if found.kind != KIND || !is_id || found.job.shards.is_empty() {
            return Err(Error::damaged(&file, 1, "not the description of a job"));
        }
        Ok((folder, found.job))
    }

    fn open_folder(path: &Path) -> Result<Self, Error> {
        let failed = |error: Errno| Error::Read { path: path.to_owned(), source: error.into() };
        let dir = Dir::open(path).map_err(failed)?;
        let stat = dir.own_stat().map_err(failed)?;
        if stat.st_uid != geteuid().as_raw() || stat.st_mode & OTHERS != 0 {
            return Err(Error::NotPrivate { path: path.to_owned() });
        }
        Ok(Self { dir, path: path.to_owned() })
    }

    /// A number that tells a job or an attempt from all others, as 32 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Write`] if the system has no random numbers.
    pub fn new_id(&self) -> Result<String, Error> {
        let number = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?)));
        let (high, low) = number.map_err(|error| Error::Write {
            path: self.path.clone(),
            source: std::io::Error::other(error.to_string()),
        })?;
        Ok(format!("{high:016x}{low:016x}"))
    }

    /// Where the manifest of the job `id` goes, which must be new.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn begin_plan(&self, id: &str) -> Result<(), Error> {
        let name = plan_name(id);
        self.dir.create_dir(&name, PRIVATE_FOLDER).map_err(|error| self.not_written(&name, error))
    }

    /// Removes the manifest of a job that is not planned after all. What cannot be removed does no
    /// harm.
    pub fn drop_plan(&self, id: &str) {
        let Ok(plan) = self.dir.open_dir(plan_name(id)) else { return };
        for (name, _) in plan.entries().into_iter().flatten().flatten() {
            let _ = plan.remove_file(&name);
        }
        let _ = self.dir.remove_dir(plan_name(id));
    }

    /// Begins to write a shard.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_shard(&self, id: &str, shard: u32) -> Result<ShardWriter, Error> {
        let name = shard_name(id, shard);
        ShardWriter::new(self.create_file(&name)?, self.path(&name), id, shard)
    }

    /// Begins to write the folders and links.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write_tree(&self, id: &str) -> Result<TreeWriter, Error> {
        let name = format!("{}/{TREE}", plan_name(id));
        TreeWriter::new(self.create_file(&name)?, self.path(&name), id)
    }

    /// Writes the description, after everything else.
    ///
    /// # Errors
    /// [`Error::Exists`] if another job was planned here meanwhile, [`Error::Write`].
    pub fn end_plan(&self, job: Job) -> Result<(), Error> {
        let plan = self.dir.open_dir(plan_name(&job.job)).and_then(|plan| plan.open_self());
        plan.and_then(rustix::fs::fsync).map_err(|error| self.not_written(JOB, error))?;
        let file = JobFile { kind: KIND.into(), version: VERSION, job };
        match self.write_once(JOB, &file)? {
            true => Ok(()),
            false => Err(Error::Exists { path: self.path.clone() }),
        }
    }

    /// Reads a shard of the job.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`], [`Error::Foreign`].
    pub fn shard(&self, job: &Job, shard: u32) -> Result<ShardReader, Error> {
        let name = shard_name(&job.job, shard);
        let totals = job.shards.get(shard as usize).copied().unwrap_or(ShardTotals::default());
        ShardReader::new(self.open_file(&name)?, self.path(&name), &job.job, shard, totals)
    }

    /// Reads the folders and links of the job.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`], [`Error::Foreign`].
    pub fn tree(&self, job: &Job) -> Result<TreeReader, Error> {
        let name = format!("{}/{TREE}", plan_name(&job.job));
        TreeReader::new(self.open_file(&name)?, self.path(&name), &job.job)
    }

    /// Begins an attempt at a shard.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn begin_attempt(&self, job: &Job, shard: u32) -> Result<Attempt, Error> {
        let name = format!("{RECEIPTS}/{shard:05}-{}.jsonl", &self.new_id()?[..16]);
        Attempt::new(self.create_file(&name)?, self.path(&name), &job.job, shard)
    }

    /// Reads the receipts of all attempts at a shard.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`], [`Error::Foreign`].
    pub fn receipts(&self, job: &Job, shard: u32) -> Result<Receipts, Error> {
        let mut receipts =
            Receipts::new(job.shards.get(shard as usize).map_or(0, |totals| totals.objects));
        for name in self.attempts()?.get(&shard).into_iter().flatten() {
            let name = format!("{RECEIPTS}/{}", name.to_string_lossy());
            receipts.add(self.open_file(&name)?, self.path(&name), &job.job, shard)?;
        }
        Ok(receipts)
    }

    /// The names of the receipts, by shard.
    fn attempts(&self) -> Result<std::collections::BTreeMap<u32, Vec<OsString>>, Error> {
        let failed = |error: Errno| Error::Read { path: self.path(RECEIPTS), source: error.into() };
        let folder = self.dir.open_dir(RECEIPTS).map_err(failed)?;
        let mut found = std::collections::BTreeMap::<u32, Vec<OsString>>::new();
        for entry in folder.entries().map_err(failed)? {
            let (name, _) = entry.map_err(failed)?;
            if let Some(shard) = shard_of(&name) {
                found.entry(shard).or_default().push(name);
            }
        }
        Ok(found)
    }

    /// The attributes of the folder.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn stat(&self) -> Result<Stat, Error> {
        let stat = self.dir.own_stat();
        stat.map_err(|error| Error::Read { path: self.path.clone(), source: error.into() })
    }

    /// How far the job is.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Foreign`], [`Error::Damaged`].
    pub fn state(&self, job: &Job) -> Result<State, Error> {
        for (name, state) in [(FINISHED, State::Finished), (ABORTED, State::Aborted)] {
            let Some(text) = self.read_small(name)? else { continue };
            let mark: Mark = serde_json::from_slice(&text)
                .map_err(|error| Error::damaged(&self.path(name), 1, error.to_string()))?;
            if mark.version != VERSION {
                return Err(Error::Version { path: self.path(name), found: mark.version });
            }
            if mark.job != job.job {
                return Err(Error::Foreign { path: self.path(name) });
            }
            return Ok(state);
        }
        Ok(State::Open)
    }

    /// Marks the job as complete. Returns whether this process was the first.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(&self, job: &Job) -> Result<bool, Error> {
        self.write_once(FINISHED, &Mark::new(job))
    }

    /// Marks the job as given up. Returns whether this process was the first.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn abort(&self, job: &Job) -> Result<bool, Error> {
        self.write_once(ABORTED, &Mark::new(job))
    }

    /// Writes a file that appears complete, or not at all if there is one. Returns whether it was
    /// written.
    fn write_once(&self, name: &str, content: &impl Serialize) -> Result<bool, Error> {
        let failed = |error: Errno| self.not_written(name, error);
        let temporary = format!(".{name}-{}", self.new_id()?);
        let text = serde_json::to_vec(content)
            .map_err(|error| Error::Write { path: self.path(name), source: error.into() })?;
        let mut file = self.create_file(&temporary)?;
        let written = file.write_all(&text).and_then(|()| file.write_all(b"\n"));
        let named = match written.and_then(|()| file.sync_all()) {
            Ok(()) => self.name(&temporary, name),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        };
        let _ = self.dir.remove_file(&temporary);
        let is_first = match named {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(failed(error)),
        };
        self.dir.open_self().and_then(rustix::fs::fsync).map_err(failed)?;
        Ok(is_first)
    }

    /// Gives a file its name, unless that is taken. Network file systems have only one of the two
    /// ways.
    fn name(&self, temporary: &str, name: &str) -> Result<(), Errno> {
        match self.dir.hard_link(temporary, &self.dir, name) {
            Err(Errno::EXIST) => Err(Errno::EXIST),
            Err(_) => self.dir.rename_with(temporary, &self.dir, name, RenameFlags::NOREPLACE),
            Ok(()) => Ok(()),
        }
    }

    fn create_file(&self, name: &str) -> Result<File, Error> {
        let created = self.dir.create_file(name, PRIVATE_FILE);
        created.map_err(|error| self.not_written(name, error))
    }

    fn open_file(&self, name: &str) -> Result<File, Error> {
        let opened = self.dir.open_with(name, OFlags::RDONLY, Mode::empty());
        opened.map_err(|error| Error::Read { path: self.path(name), source: error.into() })
    }

    /// Reads a small file; `None` if there is none.
    fn read_small(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let file = match self.open_file(name) {
            Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            file => file?,
        };
        let mut text = Vec::new();
        let read = file.take(MAX_JOB_LEN).read_to_end(&mut text);
        read.map_err(|source| Error::Read { path: self.path(name), source })?;
        Ok(Some(text))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn not_written(&self, name: &str, error: Errno) -> Error {
        Error::Write { path: self.path(name), source: error.into() }
    }
}

impl Mark {
    fn new(job: &Job) -> Self {
        Self { version: VERSION, job: job.job.clone(), at: Time::now() }
    }
}

fn plan_name(id: &str) -> String {
    format!("plan-{id}")
}

fn shard_name(id: &str, shard: u32) -> String {
    format!("{}/{shard:05}.jsonl", plan_name(id))
}

/// The shard that the name of a file of receipts begins with.
fn shard_of(name: &OsStr) -> Option<u32> {
    let name = name.to_str()?.strip_suffix(".jsonl")?;
    name.split_once('-')?.0.parse().ok()
}
