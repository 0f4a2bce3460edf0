//! The worker processes and the memory that is shared with them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_shm::{Channel, FutexTokens, Producer, Region, RegionWords, Shape, WorkerId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::protocol::{decode_ready, encode_start};
use super::{SandboxLevel, SandboxMode, WORKER_ARGUMENT, WorkerOptions};
use crate::work::Work;

/// After as many workers that never came up, none is tried any more.
const MAX_FAILED_STARTS: u32 = 3;

/// Where everything lies in the region: two semaphores, the queue, then a
/// buffer of one segment for each slot.
#[derive(Clone, Copy)]
pub(super) struct Places {
    shape: Shape,
}

impl Places {
    const TASKS: usize = 0;
    const DONE: usize = 128;
    pub(super) const QUEUE: usize = 256;
    const PAGE: usize = 4096;

    pub(super) fn new(shape: Shape) -> Self {
        Self { shape }
    }

    /// Where the buffer of slot `slot` begins.
    pub(super) fn buffer(self, slot: usize) -> usize {
        let buffers = (Self::QUEUE + 8 * self.shape.words()).next_multiple_of(Self::PAGE);
        buffers + slot * SEGMENT_LEN
    }

    /// Bytes of the whole region.
    pub(super) fn len(self) -> usize {
        self.buffer(self.shape.capacity())
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
    /// `None` until it has said that it is locked in.
    level: Option<SandboxLevel>,
}

/// The workers of one file.
pub(super) struct Pool<'a> {
    options: &'a WorkerOptions,
    work: &'a Work,
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

impl<'a> Pool<'a> {
    /// The memory, and no worker yet.
    pub(super) fn new(
        options: &'a WorkerOptions,
        work: &'a Work,
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
            work,
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

    /// Copies what a dead worker has loaded into slot `slot`.
    pub(super) fn copy_loaded(&self, slot: usize, offset: usize, to: &mut [u8]) {
        self.region.copy_out(self.places.buffer(slot) + offset, to);
    }

    /// Workers that are alive as far as is known, ready or not.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Workers that are at work.
    pub(super) fn ready(&self) -> usize {
        self.workers.iter().filter(|worker| worker.level.is_some()).count()
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
                Some(level) => level < SandboxLevel::Full,
                None => !self.may_start(),
            }
    }

    /// Starts one worker; it comes up by itself. Returns whether it started.
    pub(super) fn start(&mut self) -> bool {
        self.last_id += 1;
        match self.try_start(self.last_id) {
            Ok(worker) => {
                self.workers.push(worker);
                true
            }
            Err(_) => {
                self.failed_starts += 1;
                false
            }
        }
    }

    fn try_start(&self, id: u16) -> io::Result<Worker> {
        let (channel, theirs) = Channel::pair()?;
        // No `pre_exec`, so that the standard library may use posix_spawn. An
        // empty environment: a passphrase may be in ours.
        let child = Command::new(&self.options.program)
            .arg0("cryptstream")
            .arg(WORKER_ARGUMENT)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let worker = Worker { id: WorkerId::new(id), child, channel, level: None };
        let start = encode_start(
            std::process::id(),
            id,
            self.places.shape,
            self.options.sandbox,
            self.work,
        );
        let fds = [self.region.as_fd(), self.work.input.as_fd(), self.work.output.as_fd()];
        // If it has died already, that is found out like any other death.
        let _ = worker.channel.send(&start, &fds);
        Ok(worker)
    }

    /// Takes the answers of workers that have come up; then the ids of those
    /// that have certainly died: they are reaped.
    pub(super) fn look_after(&mut self) -> Vec<WorkerId> {
        for worker in self.workers.iter_mut().filter(|worker| worker.level.is_none()) {
            if is_readable(&worker.channel)
                && let Ok(Some(answer)) = worker.channel.receive()
                && let Ok(level) = decode_ready(&answer)
            {
                worker.level = Some(level);
                self.level = Some(self.level.map_or(level, |least| least.min(level)));
            }
        }
        let mut dead = Vec::new();
        let failed_starts = &mut self.failed_starts;
        self.workers.retain_mut(|worker| match worker.child.try_wait() {
            Ok(None) => true,
            Ok(Some(_)) | Err(_) => {
                *failed_starts += u32::from(worker.level.is_none());
                dead.push(worker.id);
                false
            }
        });
        dead
    }

    /// Kills all workers, such as those that hang, and waits until they are
    /// certainly dead; gives their ids.
    pub(super) fn kill_all(&mut self) -> Vec<WorkerId> {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
        }
        let kill = |mut worker: Worker| {
            let _ = worker.child.wait();
            worker.id
        };
        self.workers.drain(..).map(kill).collect()
    }
}

impl Drop for Pool<'_> {
    /// Workers hold nothing that would be lost: a signal is the quickest way.
    fn drop(&mut self) {
        self.kill_all();
    }
}

fn is_readable(channel: &Channel) -> bool {
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
