//! Makes outputs durable, and writes receipts for them.
//!
//! Making each output durable by itself would take longer than encrypting a small file. So a thread
//! collects what is done for a few seconds, makes all of it durable at once (`syncfs`), and writes
//! the receipts afterwards. What is lost when the process is killed meanwhile has no receipt, and is
//! looked at again by the next attempt.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cryptstream_beneath::Dir;
use cryptstream_job::{Attempt, Done, Failed, Time};
use rustix::fs::{FileType, Stat, syncfs};

use crate::messages::{self, Failure};

/// How long outputs are collected.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many are collected at most.
const MAX_BATCH: usize = 16 << 10;

/// What became of an object.
pub(super) enum Note {
    /// Its output is complete, at this path below the target.
    Done { object: u64, output: PathBuf, kept: bool },
    /// It has failed.
    Failed { object: u64, code: u8, kind: String },
}

/// The thread that writes receipts.
pub(super) struct ReceiptWriter {
    thread: JoinHandle<Result<Attempt, Failure>>,
}

impl ReceiptWriter {
    /// Starts the thread. It ends when the sender is dropped. `path` is the name of the target.
    pub(super) fn start(
        attempt: Attempt,
        target: Dir,
        path: &Path,
    ) -> Result<(Self, SyncSender<Note>), Failure> {
        let (sender, notes) = sync_channel(MAX_BATCH);
        let path = path.to_owned();
        // From here on it tells what could not be written.
        let file = target.open_self().map_err(|error| not_durable(&path, error.into()))?;
        let mut state = State { attempt, target, file, path };
        let thread = std::thread::Builder::new().name("receipts".to_owned());
        let thread = thread.spawn(move || {
            state.collect(&notes)?;
            Ok(state.attempt)
        });
        let thread = thread.map_err(|error| messages::cannot_start("a thread", &error))?;
        Ok((Self { thread }, sender))
    }

    /// Waits until all receipts are written.
    pub(super) fn join(self) -> Result<Attempt, Failure> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(messages::internal("the thread of the receipts has ended")))
    }
}

struct State {
    attempt: Attempt,
    target: Dir,
    /// The target, open since before the first output.
    file: File,
    path: PathBuf,
}

impl State {
    fn collect(&mut self, notes: &Receiver<Note>) -> Result<(), Failure> {
        let mut is_over = false;
        while !is_over {
            let Ok(first) = notes.recv() else { return Ok(()) };
            let mut batch = vec![first];
            let deadline = Instant::now() + INTERVAL;
            while batch.len() < MAX_BATCH {
                match notes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(note) => batch.push(note),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        is_over = true;
                        break;
                    }
                }
            }
            self.write(batch)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: Vec<Note>) -> Result<(), Failure> {
        let mut others = HashMap::new();
        let mut complete = Vec::new();
        let own = self.target.own_stat().map_err(|error| not_durable(&self.path, error.into()))?;
        for note in batch {
            match note {
                Note::Failed { object, code, kind } => {
                    let failed = Failed { object, code, kind, at: Time::now() };
                    self.attempt.failed(failed).map_err(messages::job::folder)?;
                }
                Note::Done { object, output, kept } => {
                    // What has vanished has no receipt.
                    let Ok(stat) = self.target.stat(&output) else { continue };
                    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                        continue;
                    }
                    if stat.st_dev != own.st_dev {
                        others.entry(stat.st_dev).or_insert(output);
                    }
                    complete.push((object, stat, kept));
                }
            }
        }
        self.make_durable(others.into_values())?;
        for (object, stat, kept) in complete {
            let (size, modified) = output_state(&stat);
            let done = Done { object, size, modified, kept, at: Time::now() };
            self.attempt.done(done).map_err(messages::job::folder)?;
        }
        self.attempt.sync().map_err(messages::job::folder)
    }

    /// Makes all outputs durable, also on other file systems, on which `others` are.
    fn make_durable(&self, others: impl Iterator<Item = PathBuf>) -> Result<(), Failure> {
        let failed = |error: rustix::io::Errno| not_durable(&self.path, error.into());
        syncfs(&self.file).map_err(failed)?;
        for output in others {
            let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
            let Some(parent) = parent else { continue };
            let folder = self.target.open_dir(parent).and_then(|folder| folder.open_self());
            folder.and_then(syncfs).map_err(failed)?;
        }
        Ok(())
    }
}

/// What a receipt says of an output.
pub(super) fn output_state(stat: &Stat) -> (u64, Time) {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    (size, Time::new(stat.st_mtime, stat.st_mtime_nsec))
}

/// Whether an output is as a receipt says.
pub(super) fn is_as_written(target: &Dir, output: &Path, written: (u64, Time)) -> bool {
    target.stat(output).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && output_state(&stat) == written
    })
}

fn not_durable(path: &Path, error: io::Error) -> Failure {
    messages::job::not_durable(path, &error)
}
