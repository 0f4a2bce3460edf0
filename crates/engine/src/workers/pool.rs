//! The worker processes and the memory that they share with main.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cryptstream_protection::Protection;
use cryptstream_shm::{
    Channel, FutexSemaphore, PostMortemReader, Producer, QueueLayout, Region, RegionWords,
    WorkerId, descriptors,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::options::{EngineOptions, WORKER_ARGUMENT};
use super::protocol::{Reply, Start, send_job, send_release};
use super::region_layout::RegionLayout;
use super::sandbox::{SandboxLevel, SandboxMode};
use super::start::sandboxed;
use super::stop::Stop;
use crate::busy_time::BusyTime;
use crate::job::{Job, SlotBuffers};

/// After this many workers that failed to start, no more are started.
const MAX_FAILED_STARTS: u32 = 3;

/// A worker that takes longer to receive or to send a message is considered stuck.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes of a dead worker's standard error are read.
const MAX_STDERR: usize = 1024;

/// How many replies of one worker are read in a row, so that it cannot keep main busy.
const MAX_REPLIES: usize = 16;

/// A worker process, from its start until it has been waited for.
struct Worker {
    id: WorkerId,
    child: Child,
    channel: Channel,
    /// Its standard error, which is read after it has exited.
    stderr: Option<OwnedFd>,
    /// Its sandbox level and its private buffer; `None` until it has reported them.
    ready: Option<(SandboxLevel, PostMortemReader)>,
    /// Jobs that it was sent.
    jobs: Vec<u32>,
    /// Jobs that it was told to drop and has not confirmed.
    releasing: Vec<u32>,
    /// How long the confirmation is overdue.
    unanswered: Duration,
}

/// A worker that has exited and has been waited for.
pub(super) struct ExitedWorker {
    pub(super) id: WorkerId,
    /// The private buffer with the bytes that it had loaded, if it had started.
    pub(super) reader: Option<PostMortemReader>,
    /// The beginning of what it has written to standard error. It is untrusted.
    pub(super) stderr: Vec<u8>,
}

/// The workers of a run.
pub(super) struct Pool {
    options: EngineOptions,
    region: Arc<Region>,
    layout: RegionLayout,
    workers: Vec<Worker>,
    last_id: u16,
    failed_starts: u32,
    /// Why the last worker that failed to start did so.
    refusal: Option<i32>,
    /// The weakest sandbox of any worker.
    pub(super) level: Option<SandboxLevel>,
    pub(super) tasks: FutexSemaphore,
    pub(super) done: FutexSemaphore,
}

impl Pool {
    /// A pool without workers.
    pub(super) fn new(
        options: EngineOptions,
        slots: usize,
    ) -> io::Result<(Self, Producer<RegionWords>)> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let queue = QueueLayout::new(slots).map_err(invalid)?;
        let layout = RegionLayout::new(queue);
        let region = Arc::new(Region::create(layout.len())?);
        let (tasks, done) = layout.semaphores(&region)?;
        let words = RegionWords::new(Arc::clone(&region), RegionLayout::QUEUE, queue.words());
        let producer = Producer::new(words, queue).map_err(invalid)?;
        let pool = Self {
            options,
            region,
            layout,
            workers: Vec::new(),
            last_id: 0,
            failed_starts: 0,
            refusal: None,
            level: None,
            tasks,
            done,
        };
        Ok((pool, producer))
    }

    /// The queue's memory, for main to take segments from it itself.
    pub(super) fn words(&self) -> RegionWords {
        let queue = self.layout.queue;
        RegionWords::new(Arc::clone(&self.region), RegionLayout::QUEUE, queue.words())
    }

    /// The buffers of slot `slot`.
    pub(super) fn slot_buffers(&self, slot: usize) -> SlotBuffers<'_> {
        self.layout.slot_buffers(&self.region, slot)
    }

    /// Number of workers that are believed to be alive, ready or not.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Number of workers that are ready.
    pub(super) fn ready(&self) -> usize {
        self.workers.iter().filter(|worker| worker.ready.is_some()).count()
    }

    /// For how long all that are ready were busy since they were started; `None` where the system
    /// does not tell.
    pub(super) fn busy_time(&self) -> Option<Duration> {
        let ready = self.workers.iter().filter(|worker| worker.ready.is_some());
        ready.map(|worker| BusyTime::of_process(worker.child.id()).read()).sum()
    }

    /// Whether it makes sense to start another worker.
    pub(super) fn may_start(&self) -> bool {
        self.failed_starts < MAX_FAILED_STARTS && self.last_id < u16::MAX
    }

    /// Makes sure that no more workers are started.
    pub(super) fn give_up(&mut self) {
        self.failed_starts = MAX_FAILED_STARTS;
    }

    /// Why there are no fully sandboxed workers although they are required.
    pub(super) fn shortage(&self) -> Option<Stop> {
        if self.options.sandbox != SandboxMode::Require {
            return None;
        }
        match (self.level, self.refusal) {
            (Some(level), _) if level < SandboxLevel::Full => Some(Stop::NoSandbox),
            // Without workers nothing may be decrypted.
            _ if !self.workers.is_empty() || self.may_start() => None,
            (_, Some(errno)) => Some(Stop::refused(errno)),
            (_, None) => Some(Stop::NoWorkers),
        }
    }

    /// How well workers are sandboxed, if that is less than requested.
    pub(super) fn level_to_warn_of(&self) -> Option<SandboxLevel> {
        let is_tried = self.options.sandbox != SandboxMode::Off;
        self.level.filter(|level| is_tried && *level < SandboxLevel::Full)
    }

    /// Starts one worker and sends it `jobs` with their numbers, without waiting until it is
    /// ready. Returns whether it started.
    pub(super) fn start(&mut self, jobs: &VecDeque<(u32, Job)>) -> bool {
        self.last_id += 1;
        let loads_openssl = jobs.iter().any(|(_, job)| job.pays_for_openssl());
        let mut worker = match self.try_start(self.last_id, loads_openssl) {
            Ok(worker) => worker,
            Err(error) => {
                self.failed_starts += 1;
                self.refusal = error.raw_os_error();
                return false;
            }
        };
        for (number, job) in jobs {
            worker.tell(*number, job);
        }
        self.workers.push(worker);
        true
    }

    fn try_start(&self, id: u16, loads_openssl: bool) -> io::Result<Worker> {
        let (mut channel, theirs) = Channel::pair()?;
        channel.set_timeout(Some(SEND_TIMEOUT))?;
        // Not to the terminal. The pipe never blocks, so output that does not fit is lost.
        let (stderr, child_stderr) = match descriptors::pipe() {
            _ if !Protection::WorkerStderr.is_on() => (None, Stdio::inherit()),
            Ok((stderr, child_stderr)) => (Some(stderr), Stdio::from(child_stderr)),
            Err(_) => (None, Stdio::null()),
        };
        let program = self.options.program.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut command = sandboxed(program.path(), WORKER_ARGUMENT, theirs);
        let child = command.stderr(child_stderr).spawn()?;
        let worker = Worker {
            id: WorkerId::new(id),
            child,
            channel,
            stderr,
            ready: None,
            jobs: Vec::new(),
            releasing: Vec::new(),
            unanswered: Duration::ZERO,
        };
        let start = Start {
            parent: std::process::id(),
            worker: id,
            queue: self.layout.queue,
            sandbox: self.options.sandbox,
            loads_openssl,
        };
        let _ = start.send(&worker.channel, self.region.as_fd());
        Ok(worker)
    }

    /// Sends a job to every worker.
    pub(super) fn tell(&mut self, number: u32, job: &Job) {
        for worker in &mut self.workers {
            worker.tell(number, job);
        }
    }

    /// Tells every worker that has a job to drop it.
    pub(super) fn release(&mut self, number: u32) {
        for worker in &mut self.workers {
            worker.release(number);
        }
    }

    /// Number of workers that still have to confirm that they have dropped a job.
    pub(super) fn unreleased(&self) -> u32 {
        self.workers.iter().filter(|worker| !worker.releasing.is_empty()).count() as u32
    }

    /// Whether a living worker has not confirmed yet that it has dropped this job.
    pub(super) fn holds(&self, number: u32) -> bool {
        let mut held =
            self.workers.iter().flat_map(|worker| worker.jobs.iter().chain(&worker.releasing));
        held.any(|job| *job == number)
    }

    /// Waits until a worker that owes an answer gives one or ends, at most for
    /// `longest`.
    pub(super) fn wait_for_reply(&self, longest: Duration) {
        let unreleased = self.workers.iter().filter(|worker| !worker.releasing.is_empty());
        let mut fds: Vec<_> =
            unreleased.map(|worker| PollFd::new(&worker.channel, PollFlags::IN)).collect();
        if fds.is_empty() {
            return;
        }
        let longest = Timespec::try_from(longest).unwrap_or_default();
        let _ = poll(&mut fds, Some(&longest));
    }

    /// Reads the workers' answers, then reaps those that have died. A worker whose answer
    /// is overdue for `timeout` is killed. `elapsed` has passed since the last call.
    pub(super) fn check(&mut self, elapsed: Duration, timeout: Duration) -> Vec<ExitedWorker> {
        for worker in &mut self.workers {
            if let Some(level) = worker.listen() {
                self.level = Some(self.level.map_or(level, |least| least.min(level)));
            }
            if worker.unanswered_for(elapsed) > timeout {
                let _ = worker.child.kill();
            }
        }
        let is_dead = |worker: &mut Worker| !matches!(worker.child.try_wait(), Ok(None));
        let exited: Vec<_> = self.workers.extract_if(.., is_dead).collect();
        exited.into_iter().map(|worker| self.reap(worker)).collect()
    }

    /// Kills all workers, including those that hang, and reaps them.
    pub(super) fn kill_all(&mut self) -> Vec<ExitedWorker> {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
        }
        let workers: Vec<_> = self.workers.drain(..).collect();
        let reap = |mut worker: Worker| {
            let _ = worker.child.wait();
            self.reap(worker)
        };
        workers.into_iter().map(reap).collect()
    }

    /// Kills all workers when none is needed any more, and waits until they are dead. Returns how
    /// many there were.
    pub(super) fn end_all(&mut self) -> u32 {
        for worker in &mut self.workers {
            let _ = worker.child.kill();
        }
        let ended = self.workers.len() as u32;
        for mut worker in self.workers.drain(..) {
            let _ = worker.child.wait();
        }
        ended
    }

    /// Whether a worker has died and is not reaped yet.
    #[cfg(test)]
    pub(super) fn has_zombie(&self) -> bool {
        self.workers.iter().any(|worker| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", worker.child.id()));
            stat.is_ok_and(|stat| stat.contains(") Z"))
        })
    }

    fn reap(&mut self, mut worker: Worker) -> ExitedWorker {
        // Its answer may have arrived between the last check and its death.
        let _ = worker.listen();
        self.failed_starts += u32::from(worker.ready.is_none());
        let stderr = worker.stderr.take().map(|stderr| read_stderr(&stderr)).unwrap_or_default();
        ExitedWorker { id: worker.id, reader: worker.ready.map(|(_, reader)| reader), stderr }
    }
}

impl Worker {
    /// Sends it a job. If it does not receive it, it is stuck and is killed; its death is noticed
    /// like any other.
    fn tell(&mut self, number: u32, job: &Job) {
        self.jobs.push(number);
        if send_job(&self.channel, number, job).is_err() {
            let _ = self.child.kill();
        }
    }

    /// Tells it to drop a job, if it has it.
    fn release(&mut self, number: u32) {
        let Some(at) = self.jobs.iter().position(|job| *job == number) else { return };
        self.releasing.push(self.jobs.swap_remove(at));
        if send_release(&self.channel, number).is_err() {
            let _ = self.child.kill();
        }
    }

    /// Reads its answers. Returns how well it is sandboxed, once.
    fn listen(&mut self) -> Option<SandboxLevel> {
        let mut level = None;
        for _ in 0..MAX_REPLIES {
            let owes = self.ready.is_none() || !self.releasing.is_empty();
            if !owes || !is_readable(&self.channel) {
                break;
            }
            let reply =
                self.channel.receive().and_then(|message| message.map(Reply::decode).transpose());
            match reply {
                // It has ended, which is noticed like any other death.
                Ok(None) => break,
                Ok(Some(Reply::Ready(reached, reader))) if self.ready.is_none() => {
                    self.ready = Some((reached, reader));
                    level = Some(reached);
                }
                Ok(Some(Reply::Released(number))) if self.releasing.contains(&number) => {
                    self.releasing.retain(|job| *job != number);
                    self.unanswered = Duration::ZERO;
                }
                // No intact worker would send this.
                Ok(Some(_)) | Err(_) => {
                    let _ = self.child.kill();
                    break;
                }
            }
        }
        level
    }

    /// How long its answer is overdue, `elapsed` later.
    fn unanswered_for(&mut self, elapsed: Duration) -> Duration {
        let owes = !self.releasing.is_empty();
        self.unanswered = if owes { self.unanswered + elapsed } else { Duration::ZERO };
        self.unanswered
    }
}

impl Drop for Pool {
    /// Kills it. Workers hold nothing that would be lost.
    fn drop(&mut self) {
        self.end_all();
    }
}

/// Reads what is there, at most [`MAX_STDERR`] bytes.
fn read_stderr(stderr: &OwnedFd) -> Vec<u8> {
    let mut read = [0; MAX_STDERR];
    let len = rustix::io::read(stderr, &mut read).unwrap_or_default();
    read[..len].to_vec()
}

fn is_readable(channel: &Channel) -> bool {
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
