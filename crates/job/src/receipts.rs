//! What was done: each attempt at a shard appends to a file of its own.

use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lines::{LineReader, LineWriter};
use crate::manifest::{Head, VERSION};
use crate::pin::Time;

/// An object whose output is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Done {
    /// Its number in the shard.
    pub object: u64,
    /// The length of the output in bytes.
    pub size: u64,
    /// The time of its last modification.
    pub modified: Time,
    /// Whether it was up to date already, so that nothing was written.
    pub kept: bool,
    /// When it was found to be durable, by the clock of this machine.
    pub at: Time,
}

/// An object that could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Failed {
    /// Its number in the shard.
    pub object: u64,
    /// The exit status for this failure.
    pub code: u8,
    /// A stable word for what has happened.
    pub kind: String,
    /// When, by the clock of this machine.
    pub at: Time,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Attempt {
        #[serde(flatten)]
        head: Head,
        host: String,
        process: u32,
        started: Time,
    },
    Done(Done),
    Failed(Failed),
    End {
        at: Time,
        status: u8,
    },
}

/// The receipts of one attempt at a shard.
pub struct Attempt {
    lines: LineWriter,
}

impl Attempt {
    pub(crate) fn new(file: File, path: PathBuf, job: &str, shard: u32) -> Result<Self, Error> {
        let mut lines = LineWriter::new(file, path);
        lines.write(&Line::Attempt {
            head: Head { version: VERSION, job: job.to_owned(), shard: Some(shard) },
            host: host(),
            process: std::process::id(),
            started: Time::now(),
        })?;
        lines.sync()?;
        Ok(Self { lines })
    }

    /// Adds an object whose output is durable.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn done(&mut self, done: Done) -> Result<(), Error> {
        self.lines.write(&Line::Done(done))
    }

    /// Adds an object that could not be done.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn failed(&mut self, failed: Failed) -> Result<(), Error> {
        self.lines.write(&Line::Failed(failed))
    }

    /// Makes durable what was added.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn sync(&mut self) -> Result<(), Error> {
        self.lines.sync()
    }

    /// Ends the attempt with this exit status.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn end(mut self, status: u8) -> Result<(), Error> {
        self.lines.write(&Line::End { at: Time::now(), status })?;
        self.lines.sync()
    }
}

/// The receipts of all attempts at a shard.
#[derive(Debug)]
pub struct Receipts {
    states: Vec<ObjectState>,
    /// The number of attempts.
    pub attempts: u64,
}

#[derive(Clone, Debug, Default)]
enum ObjectState {
    #[default]
    Open,
    Failed(u8, Time),
    Done(u64, Time),
}

impl Receipts {
    pub(crate) fn new(objects: u64) -> Self {
        let states = vec![ObjectState::Open; usize::try_from(objects).unwrap_or(0)];
        Self { states, attempts: 0 }
    }

    /// Adds the receipts of an attempt. Of several about one object, one that says that it is done
    /// counts, and otherwise the latest.
    pub(crate) fn add(
        &mut self,
        file: File,
        path: PathBuf,
        job: &str,
        shard: u32,
    ) -> Result<(), Error> {
        let mut lines = LineReader::new(file, path, true);
        match lines.next_line()? {
            Some(Line::Attempt { head, .. }) => head.check(job, Some(shard), lines.path())?,
            // Its writer was killed before it could write the first line.
            None => return Ok(()),
            Some(_) => return Err(lines.damaged("not the beginning of receipts")),
        }
        self.attempts += 1;
        while let Some(line) = lines.next_line()? {
            let (object, state) = match line {
                Line::Done(done) => (done.object, ObjectState::Done(done.size, done.modified)),
                Line::Failed(failed) => {
                    (failed.object, ObjectState::Failed(failed.code, failed.at))
                }
                Line::End { .. } => continue,
                Line::Attempt { .. } => return Err(lines.damaged("another beginning")),
            };
            let at = usize::try_from(object).ok();
            let Some(present) = at.and_then(|at| self.states.get_mut(at)) else {
                return Err(lines.damaged("an object that the shard does not have"));
            };
            let is_older = match (&*present, &state) {
                (ObjectState::Done(..), ObjectState::Failed(..)) => true,
                (ObjectState::Failed(_, then), ObjectState::Failed(_, now)) => then > now,
                _ => false,
            };
            if !is_older {
                *present = state;
            }
        }
        Ok(())
    }

    /// The length and the time of an object's output, if it is done.
    #[must_use]
    pub fn done(&self, object: u64) -> Option<(u64, Time)> {
        match self.state(object) {
            ObjectState::Done(size, modified) => Some((*size, *modified)),
            _ => None,
        }
    }

    /// The exit status of an object that was tried in vain, and is not done.
    #[must_use]
    pub fn failed(&self, object: u64) -> Option<u8> {
        match self.state(object) {
            ObjectState::Failed(code, _) => Some(*code),
            _ => None,
        }
    }

    /// The number of objects that are done, and of those that were tried in vain.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.states.iter().fold((0, 0), |(done, failed), state| match state {
            ObjectState::Done(..) => (done + 1, failed),
            ObjectState::Failed(..) => (done, failed + 1),
            ObjectState::Open => (done, failed),
        })
    }

    fn state(&self, object: u64) -> &ObjectState {
        let at = usize::try_from(object).ok();
        at.and_then(|at| self.states.get(at)).unwrap_or(&ObjectState::Open)
    }
}

/// The name of this machine; empty if the system does not tell it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
