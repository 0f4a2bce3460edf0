//! The worker processes and the memory that is shared with them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cryptstream_shm::{Channel, FutexTokens, Heir, Producer, Region, RegionWords, Shape, WorkerId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::protocol::{Start, decode_ready, send_job};
use super::{SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerOptions};
use crate::job::{Job, Room};

/// After as many workers that never came up, none is tried any more.
const MAX_FAILED_STARTS: u32 = 3;

/// A worker that does not take a message for so long is stuck.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Where everything lies in the region: two semaphores, the queue, then two
/// buffers for each slot.
#[derive(Clone, Copy)]
pub(super) struct Places {
    shape: Shape,
}

impl Places {
    const TASKS: usize = 0;
    const DONE: usize = 128;
    pub(super) const QUEUE: usize = 256;
    const PAGE: usize = 4096;
    /// Bytes from one buffer to the next.
    const STRIDE: usize = Room::LEN.next_multiple_of(Self::PAGE);

    pub(super) fn new(shape: Shape) -> Self {
        Self { shape }
    }

    /// Where buffer `number` begins.
    fn buffer(self, number: usize) -> usize {
        let buffers = (Self::QUEUE + 8 * self.shape.words()).next_multiple_of(Self::PAGE);
        buffers + number * Self::STRIDE
    }

    /// The buffers of slot `slot`.
    pub(super) fn room(self, region: &Region, slot: usize) -> Room<'_> {
        Room { region, input: self.buffer(2 * slot), output: self.buffer(2 * slot + 1) }
    }

    /// Bytes of the whole region.
    pub(super) fn len(self) -> usize {
        self.buffer(2 * self.shape.capacity())
    }

    /// The semaphores: tasks that are ready, and tasks that are done.
    pub(super) fn tokens(self, region: &Arc<Region>) -> io::Result<(FutexTokens, FutexTokens)> {
        let tokens = |place| FutexTokens::new(Arc::clone(region), place);
        Ok((tokens(Self::TASKS)?, tokens(Self::DONE)?))
    }
}

/// A worker process, from its start to its certain end.
struct Worker {
    id: WorkerId,
    child: Child,
    channel: Channel,
    /// How well it is locked in, and what it will leave behind; `None` until
    /// it has said so.
    ready: Option<(SandboxLevel, Heir)>,
}

/// A worker that has certainly died.
pub(super) struct Dead {
    pub(super) id: WorkerId,
    /// What it has left behind, if it had come up.
    pub(super) heir: Option<Heir>,
}

/// The workers of a run.
pub(super) struct Pool {
    options: WorkerOptions,
    region: Arc<Region>,
    places: Places,
    workers: Vec<Worker>,
    last_id: u16,
    failed_starts: u32,
    /// The least level that any worker has reached.
    pub(super) level: Option<SandboxLevel>,
    pub(super) tasks: FutexTokens,
    pub(super) done: FutexTokens,
}

impl Pool {
    /// The memory, and no worker yet.
    pub(super) fn new(
        options: WorkerOptions,
        slots: usize,
    ) -> io::Result<(Self, Producer<RegionWords>)> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let shape = Shape::new(slots).map_err(invalid)?;
        let places = Places::new(shape);
        let region = Arc::new(Region::create(places.len())?);
        let (tasks, done) = places.tokens(&region)?;
        let words = RegionWords::new(Arc::clone(&region), Places::QUEUE, shape.words());
        let producer = Producer::new(words, shape).map_err(invalid)?;
        let pool = Self {
            options,
            region,
            places,
            workers: Vec::new(),
            last_id: 0,
            failed_starts: 0,
            level: None,
            tasks,
            done,
        };
        Ok((pool, producer))
    }

    /// The queue's memory, for main to take segments from it itself.
    pub(super) fn words(&self) -> RegionWords {
        let shape = self.places.shape;
        RegionWords::new(Arc::clone(&self.region), Places::QUEUE, shape.words())
    }

    /// The buffers of slot `slot`.
    pub(super) fn room(&self, slot: usize) -> Room<'_> {
        self.places.room(&self.region, slot)
    }

    /// Workers that are alive as far as is known, ready or not.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Workers that are at work.
    pub(super) fn ready(&self) -> usize {
        self.workers.iter().filter(|worker| worker.ready.is_some()).count()
    }

    /// Whether it makes sense to start another worker.
    pub(super) fn may_start(&self) -> bool {
        self.failed_starts < MAX_FAILED_STARTS && self.last_id < u16::MAX
    }

    /// Starts no worker any more.
    pub(super) fn give_up(&mut self) {
        self.failed_starts = MAX_FAILED_STARTS;
    }

    /// Whether workers had to be locked in fully, and are not or do not come up.
    pub(super) fn is_sandbox_missing(&self) -> bool {
        self.options.sandbox == SandboxMode::Require
            && match self.level {
                // Where none is left, nobody may open anything.
                Some(level) => {
                    level < SandboxLevel::Full || (self.workers.is_empty() && !self.may_start())
                }
                None => !self.may_start(),
            }
    }

    /// Starts one worker, which comes up by itself, and tells it of `jobs`:
    /// number, oldest number, job. Returns whether it started.
    pub(super) fn start<'j>(&mut self, jobs: impl Iterator<Item = (u32, u32, &'j Job)>) -> bool {
        self.last_id += 1;
        let Ok(worker) = self.try_start(self.last_id) else {
            self.failed_starts += 1;
            return false;
        };
        for (number, oldest, job) in jobs {
            // If it has died already, that is found out like any other death.
            let _ = send_job(&worker.channel, number, oldest, job);
        }
        self.workers.push(worker);
        true
    }

    fn try_start(&self, id: u16) -> io::Result<Worker> {
        let (channel, theirs) = Channel::pair()?;
        channel.set_timeout(Some(SEND_TIMEOUT))?;
        // No `pre_exec`, so that the standard library may use posix_spawn. An
        // empty environment: a passphrase may be in ours.
        let child = Command::new(&self.options.program)
            .arg0("cryptstream")
            .arg(WORKER_ARGUMENT)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let worker = Worker { id: WorkerId::new(id), child, channel, ready: None };
        let start = Start {
            parent: std::process::id(),
            worker: id,
            shape: self.places.shape,
            sandbox: self.options.sandbox,
        };
        let _ = start.send(&worker.channel, self.region.as_fd());
        Ok(worker)
    }

    /// Tells every worker of a job. One that does not take it is stuck, and
    /// killed; its death is found out like any other.
    pub(super) fn tell(&mut self, number: u32, oldest: u32, job: &Job) {
        for worker in &mut self.workers {
            if send_job(&worker.channel, number, oldest, job).is_err() {
                let _ = worker.child.kill();
            }
        }
    }

    /// Takes the answers of workers that have come up; then those that have
    /// certainly died: they are reaped.
    pub(super) fn look_after(&mut self) -> Vec<Dead> {
        for worker in self.workers.iter_mut().filter(|worker| worker.ready.is_none()) {
            if let Some(level) = worker.greet() {
                self.level = Some(self.level.map_or(level, |least| least.min(level)));
            }
        }
        let is_dead = |worker: &mut Worker| !matches!(worker.child.try_wait(), Ok(None));
        let dead: Vec<_> = self.workers.extract_if(.., is_dead).collect();
        dead.into_iter().map(|worker| self.bury(worker)).collect()
    }

    /// Kills all workers, such as those that hang, and waits until they are
    /// certainly dead.
    pub(super) fn kill_all(&mut self) -> Vec<Dead> {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
        }
        let workers: Vec<_> = self.workers.drain(..).collect();
        let reap = |mut worker: Worker| {
            let _ = worker.child.wait();
            self.bury(worker)
        };
        workers.into_iter().map(reap).collect()
    }

    /// Whether a worker has died that is not reaped yet.
    #[cfg(test)]
    pub(super) fn has_zombie(&self) -> bool {
        self.workers.iter().any(|worker| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", worker.child.id()));
            stat.is_ok_and(|stat| stat.contains(") Z"))
        })
    }

    fn bury(&mut self, mut worker: Worker) -> Dead {
        // Its answer may have come between the last look and its death.
        let _ = worker.greet();
        self.failed_starts += u32::from(worker.ready.is_none());
        Dead { id: worker.id, heir: worker.ready.map(|(_, heir)| heir) }
    }
}

impl Worker {
    /// Takes its answer, if it has come: how well it is locked in.
    fn greet(&mut self) -> Option<SandboxLevel> {
        if self.ready.is_none() && is_readable(&self.channel) {
            self.ready = decode_ready(self.channel.receive().ok()??).ok();
            return self.ready.as_ref().map(|(level, _)| *level);
        }
        None
    }
}

impl Drop for Pool {
    /// Workers hold nothing that would be lost: a signal is the quickest way.
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn is_readable(channel: &Channel) -> bool {
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
