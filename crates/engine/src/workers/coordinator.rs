//! Main's part of the work: it publishes segments, processes some itself, starts workers, collects
//! results, and requeues the segments of workers that have exited.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use cryptstream_format::Segment;
use cryptstream_format::payload::{MAX_SEALED_SEGMENT_LEN, SEGMENT_LEN};
use cryptstream_protection::Protection;
use cryptstream_shm::{
    Bytes, Completed, Consumer, PostMortemReader, Producer, RegionWords, Semaphore, WorkerId,
};

use super::options::{EngineOptions, WORTH, WorkerNote, WorkerStats};
use super::pool::{ExitedWorker, Pool};
use super::pool_scaling::PoolScaling;
use super::protocol::{decode_result, job_of, segment_of, task_of};
use super::stop::{NO_MEMORY, Stop};
use super::task::{TaskInput, perform};
use crate::Progress;
use crate::failure::{Failure, read_exact_at};
use crate::job::{Job, Output, SlotBuffers};
use crate::memory::zeroed;
use crate::part_io::Buffers;
use crate::transform::Operation;

/// How often main checks its workers while it has nothing else to do.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// The shortest and longest time that main sleeps while the workers have enough to do. Waking it
/// for each segment would be worse: on a virtual processor waking another process can take 50 µs,
/// and encrypting a segment takes 300.
const SLEEP: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_micros(500);
/// More bytes than a worker processes in a nanosecond, so that main wakes up in time.
const MAX_BYTES_PER_NS: u64 = 8;
/// Tasks that each worker must have before main sleeps, and twice as many must be queued for
/// the time of its sleep.
const QUEUED_PER_WORKER: usize = 2;
/// If nothing is finished for this long, workers are considered stuck and killed, and main
/// goes on alone. A stalled disk costs no more than that.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a worker that holds no segment, whose death costs nothing.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often main, while it waits, wakes workers that must drop a job.
const WAKE_INTERVAL: Duration = Duration::from_millis(1);
/// The most time between two checks that counts towards a timeout. If more has passed, main
/// itself was stopped or waited for something else, which is not the workers' fault.
const MAX_ELAPSED: Duration = Duration::from_millis(100);
/// A segment that has killed this many workers is not given to another one.
const MAX_ATTEMPTS: u8 = 3;

/// A segment that is done. Its slot stays taken until it is
/// [retired](Coordinator::retire).
pub(crate) struct Finished {
    completed: Completed,
    pub(crate) job: u32,
    pub(crate) segment: Segment,
    pub(crate) result: Result<(), Failure>,
}

/// The workers of a run and their queue. They are kept from job to job.
pub(crate) struct Coordinator {
    pool: Pool,
    producer: Producer<RegionWords>,
    /// Used by main to take tasks from the queue itself.
    consumer: Consumer<RegionWords>,
    /// The number of workers without those that are started because storage is slow.
    allowed: usize,
    scaling: PoolScaling,
    /// The unfinished jobs, by number.
    jobs: VecDeque<(u32, Job)>,
    next_job: u32,
    /// Bytes of plaintext in published segments.
    bytes: u64,
    /// For each slot, whether its buffer holds the input of its task.
    has_input: Vec<bool>,
    buffers: Buffers,
    /// Whether only sandboxed processes may handle untrusted input.
    must_not_decrypt: bool,
    stats: WorkerStats,
    /// Notes about workers that are not reported yet.
    notes: Vec<WorkerNote>,
    /// Whether an incomplete sandbox was reported.
    warned: bool,
    /// Workers that were ended while the engine goes on.
    ended: u32,
    /// For how long nothing was finished although there was work.
    idle: Duration,
    /// When main last checked the workers.
    last_check: Instant,
    /// Whether the last wait ended early although nothing was finished.
    woke_spuriously: bool,
}

impl Coordinator {
    /// How many segments are on their way at a time with this number of workers.
    pub(crate) fn slots(workers: usize) -> usize {
        2 * QUEUED_PER_WORKER * workers + 2
    }

    /// Creates the queue for the workers on `cores` cores. None of them is started yet.
    pub(crate) fn new(options: &EngineOptions, cores: usize) -> std::io::Result<Self> {
        let allowed = options.allowed(cores);
        // With fewer slots if the address space is limited.
        let new = |workers| Pool::new(options.clone(), Self::slots(workers));
        let (pool, producer) = new(options.allowed_waiting(cores)).or_else(|_| new(allowed))?;
        let slots = producer.layout().capacity();
        let may_scale = slots > Self::slots(allowed);
        let consumer = Consumer::new(pool.words(), producer.layout(), WorkerId::MAIN)
            .expect("the memory was large enough for the producer");
        Ok(Self {
            pool,
            producer,
            consumer,
            allowed,
            scaling: PoolScaling::new(cores, may_scale),
            jobs: VecDeque::new(),
            next_job: 0,
            bytes: 0,
            has_input: vec![false; slots],
            buffers: Buffers::new(MAX_SEALED_SEGMENT_LEN)?,
            must_not_decrypt: options.is_sandbox_required() && Protection::RequireMeansAll.is_on(),
            stats: WorkerStats::default(),
            notes: Vec::new(),
            warned: false,
            ended: 0,
            idle: Duration::ZERO,
            last_check: Instant::now(),
            woke_spuriously: false,
        })
    }

    /// Adds a job, whose segments can then be published.
    pub(crate) fn add(&mut self, job: Job) -> u32 {
        let number = self.next_job;
        self.next_job += 1;
        self.pool.tell(number, &job);
        self.jobs.push_back((number, job));
        number
    }

    /// Forgets a job of which no segment is left, and tells the workers to drop its key and
    /// descriptors.
    pub(crate) fn remove(&mut self, number: u32) {
        self.jobs.retain(|(other, _)| *other != number);
        if Protection::JobRevoked.is_on() {
            self.pool.release(number);
            self.wake_unreleased();
        }
    }

    /// Whether every worker has dropped a job that was [removed](Self::remove),
    /// or has exited.
    pub(crate) fn is_released(&self, number: u32) -> bool {
        !Protection::JobRevoked.is_on() || !self.pool.holds(number)
    }

    /// Waits briefly for workers that must drop a job.
    pub(crate) fn wait_for_release(&mut self, longest: Duration) -> Result<(), Stop> {
        self.pool.wait_for_reply(longest.min(WAKE_INTERVAL));
        self.check_workers()
    }

    /// Wakes the workers that owe an answer if they are asleep. A token is for no one in
    /// particular, so another worker may take it: post again until all have answered.
    fn wake_unreleased(&self) {
        let unreleased = self.pool.unreleased();
        if unreleased > 0 {
            let _ = self.pool.tasks.post(unreleased);
        }
    }

    /// Has every worker drop a job that was removed, or kills it.
    pub(crate) fn enforce_release(&mut self, number: u32) -> Result<(), Stop> {
        let start = Instant::now();
        while !self.is_released(number) && start.elapsed() < RELEASE_TIMEOUT {
            self.wait_for_release(CHECK_INTERVAL)?;
        }
        if !self.is_released(number) {
            self.end_workers();
        }
        Ok(())
    }

    /// Kills all workers, and requeues their segments.
    pub(crate) fn replace_workers(&mut self) -> Result<(), Stop> {
        for exited in self.pool.kill_all() {
            self.recover(&exited, true)?;
        }
        Ok(())
    }

    /// Ends all workers. No segment may be published.
    pub(crate) fn end_workers(&mut self) {
        self.ended += self.pool.end_all();
    }

    pub(crate) fn job(&self, number: u32) -> Option<&Job> {
        self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job)
    }

    /// What happened to the workers since the last call.
    pub(crate) fn take_stats(&mut self) -> WorkerStats {
        let stats = std::mem::take(&mut self.stats);
        let workers = self.pool.len() as u32 + std::mem::take(&mut self.ended) + stats.died;
        WorkerStats { workers, sandbox: self.pool.level, ..stats }
    }

    /// Reports how many workers there are, and what happened to them.
    pub(crate) fn report(&mut self, progress: &dyn Progress) {
        progress.workers(self.ready());
        for note in self.notes.drain(..) {
            progress.worker_note(&note);
        }
    }

    /// Workers that are alive and at work.
    pub(crate) fn ready(&self) -> usize {
        self.pool.ready()
    }

    /// How many segments may be on their way.
    pub(crate) fn capacity(&self) -> usize {
        Self::slots(self.allowed.max(self.pool.len())).min(self.has_input.len())
    }

    /// A slot for the next segment, unless too many are on their way.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        if self.outstanding() < self.capacity() { self.producer.free_slot() } else { None }
    }

    /// The same for a segment that needs the slot's buffers: always one of the
    /// same few, so that they take no more memory than is needed.
    pub(crate) fn free_buffers(&self, workers: usize) -> Option<usize> {
        // One for each worker, and two that main fills or empties.
        let few = (workers + 2).min(self.has_input.len());
        (0..few).find(|slot| self.producer.task(*slot).is_none())
    }

    /// Number of published segments.
    pub(crate) fn outstanding(&self) -> usize {
        self.producer.outstanding()
    }

    /// The buffers of a slot.
    pub(crate) fn slot_buffers(&self, slot: usize) -> SlotBuffers<'_> {
        self.pool.slot_buffers(slot)
    }

    /// Publishes a segment of a job in a free slot.
    pub(crate) fn publish(&mut self, slot: usize, job: u32, segment: &Segment, input: Bytes) {
        if self.outstanding() == 0 {
            self.idle = Duration::ZERO;
        }
        self.has_input[slot] = input == Bytes::Present;
        self.bytes += segment.plaintext_len() as u64;
        self.producer.publish(slot, &task_of(job, segment), input);
        let _ = self.pool.tasks.post(1);
    }

    /// Starts workers, up to `target`, without regard to what they cost, and
    /// waits until they are ready.
    pub(crate) fn warm_up(&mut self, target: usize) -> Result<(), Stop> {
        while self.pool.len() < target && self.start_worker() {}
        while self.pool.ready() < self.pool.len() {
            self.check_workers()?;
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Moves the work on: starts a worker, if the `left` bytes that are not
    /// published yet are worth another and there are fewer than `target`, or more if storage is
    /// slow; then does a segment here, while workers are still missing, or sleeps until
    /// something is done, at most for `longest`.
    pub(crate) fn step(&mut self, left: u64, target: usize, longest: Duration) -> Result<(), Stop> {
        // If main may process nothing itself, any work is worth a worker.
        let target = target.max(usize::from(self.must_not_decrypt));
        if self.pool.len() < target && left >= WORTH * self.pool.len() as u64 {
            self.start_worker();
        }
        if self.pool.len() >= target {
            let segments = usize::try_from(left / SEGMENT_LEN as u64).unwrap_or(usize::MAX);
            let wanted = self.scaling.wanted().min(segments);
            while self.pool.len() < wanted && self.start_worker() {}
        }
        if self.pool.ready() >= target.max(1) || !self.run_one_here()? {
            self.wait(longest);
        }
        self.check_workers()?;
        self.measure();
        Ok(())
    }

    /// Measures whether storage makes the workers wait, where they read and write themselves.
    fn measure(&mut self) {
        let is_by_workers = |job: &Job| job.input.is_some() && !matches!(job.output, Output::Slot);
        let ready = self.pool.ready();
        let is_fed = self.outstanding() > QUEUED_PER_WORKER * ready
            && self.jobs.iter().all(|(_, job)| is_by_workers(job));
        self.scaling.update(ready, is_fed, || self.pool.busy_time());
    }

    /// Starts a worker if that makes sense. Returns whether it did.
    fn start_worker(&mut self) -> bool {
        self.pool.may_start() && self.pool.start(&self.jobs)
    }

    /// Sleeps briefly, or until something is done.
    fn wait(&mut self, longest: Duration) {
        let ready = self.pool.ready().max(1);
        let enough = Duration::from_nanos(self.bytes / (MAX_BYTES_PER_NS * ready as u64));
        if self.outstanding() > QUEUED_PER_WORKER * ready && enough >= *SLEEP.start() {
            std::thread::sleep(enough.min(*SLEEP.end()));
        } else if self.woke_spuriously {
            // Tokens without a finished segment must not keep main busy, whoever
            // posts them.
            std::thread::sleep(*SLEEP.start());
            self.woke_spuriously = false;
        } else {
            // Only a system without futexes gives an error, and then the queue must be
            // checked too.
            self.woke_spuriously = self.pool.done.wait(Some(longest)).unwrap_or(false);
            // One check finds everything that is done.
            self.pool.done.take_all();
            if self.woke_spuriously && !Protection::WorkerDeadline.is_on() {
                self.idle = Duration::ZERO;
            }
        }
    }

    /// Processes one segment in this process, if there is one.
    fn run_one_here(&mut self) -> Result<bool, Stop> {
        if self.must_not_decrypt
            && self.jobs.iter().any(|(_, job)| job.operation == Operation::Decrypt)
        {
            return Ok(false);
        }
        let Some(claim) = self.consumer.claim_once() else { return Ok(false) };
        let slot = claim.slot();
        // From main's own table, not from shared memory.
        let mut task = *self.producer.task(slot).ok_or(Stop::Misbehaved)?;
        let mut has_input = self.has_input[slot];
        if !Protection::OwnTable.is_on() {
            task = *claim.task();
            has_input = claim.is_loaded();
        }
        let number = job_of(&task);
        let job = self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job);
        let work = job.and_then(|job| Some((job, segment_of(&task, job)?)));
        let source = if has_input { TaskInput::Slot } else { TaskInput::File };
        perform(claim, work, self.pool.slot_buffers(slot), source, &mut self.buffers)
            .map_err(|_| Stop::Misbehaved)?;
        Ok(true)
    }

    /// The first finished segment in the order of publication; with `in_order` only the oldest.
    pub(crate) fn finished(&self, in_order: bool) -> Result<Option<Finished>, Stop> {
        let completed = if in_order {
            self.producer.oldest().map_or(Ok(None), |slot| self.producer.done(slot))
        } else {
            self.producer.first_done()
        };
        let Some(completed) = completed.map_err(|_| Stop::Misbehaved)? else { return Ok(None) };
        let (number, segment) = self.task_in(completed.slot())?;
        let job = self.job(number).ok_or(Stop::Misbehaved)?;
        let result = decode_result(completed.result(), job, &segment).ok_or(Stop::Misbehaved)?;
        Ok(Some(Finished { completed, job: number, segment, result }))
    }

    /// The buffers of a finished segment.
    pub(crate) fn buffers_of(&self, finished: &Finished) -> SlotBuffers<'_> {
        self.slot_buffers(finished.completed.slot())
    }

    /// Frees the slot of a finished segment.
    pub(crate) fn retire(&mut self, finished: Finished) {
        self.idle = Duration::ZERO;
        self.woke_spuriously = false;
        self.scaling.count();
        self.bytes -= finished.segment.plaintext_len() as u64;
        self.producer.retire(finished.completed);
    }

    /// The segment in a slot and its job's number, from main's own table.
    fn task_in(&self, slot: usize) -> Result<(u32, Segment), Stop> {
        let task = self.producer.task(slot).ok_or(Stop::Misbehaved)?;
        let number = job_of(task);
        let segment = self.job(number).and_then(|job| segment_of(task, job));
        Ok((number, segment.ok_or(Stop::Misbehaved)?))
    }

    /// Checks the workers, and requeues the segments of those that have exited.
    fn check_workers(&mut self) -> Result<(), Stop> {
        let elapsed = self.last_check.elapsed().min(MAX_ELAPSED);
        self.last_check = Instant::now();
        if self.outstanding() > 0 {
            self.idle += elapsed;
        }
        let mut exited = self.pool.check(elapsed, STALL_TIMEOUT);
        if let Some(lack) = self.pool.shortage() {
            return Err(lack);
        }
        if let Some(level) = self.pool.level_to_warn_of().filter(|_| !self.warned) {
            self.warned = true;
            self.notes.push(WorkerNote::Sandbox { level });
        }
        self.wake_unreleased();
        let is_stuck = self.idle > STALL_TIMEOUT;
        if is_stuck {
            exited.extend(self.pool.kill_all());
            self.pool.give_up();
        }
        for worker in exited {
            self.recover(&worker, is_stuck)?;
        }
        if is_stuck {
            // No worker is left to hold a segment.
            if self.producer.is_any_held().map_err(|_| Stop::Misbehaved)? {
                return Err(Stop::Misbehaved);
            }
            self.idle = Duration::ZERO;
        }
        Ok(())
    }

    fn recover(&mut self, exited: &ExitedWorker, is_stuck: bool) -> Result<(), Stop> {
        self.stats.died += 1;
        if !exited.stderr.is_empty() {
            let words = String::from_utf8_lossy(&exited.stderr).into_owned();
            self.notes.push(WorkerNote::Died { words });
        }
        for held in self.producer.held(exited.id).map_err(|_| Stop::Misbehaved)? {
            if held.bytes == Bytes::Present {
                self.restore_input(held.slot, exited.reader.as_ref())?;
            }
        }
        let held = self.producer.recover(exited.id).map_err(|_| Stop::Misbehaved)?;
        for task in &held {
            self.stats.redone += 1;
            if task.attempt >= MAX_ATTEMPTS && !is_stuck {
                return Err(Stop::Deadly(self.task_in(task.slot)?.1.index()));
            }
        }
        // One for each task, and one for the token that may have died too.
        let _ = self.pool.tasks.post(held.len() as u32 + 1);
        Ok(())
    }

    /// Puts the bytes that a dead worker may have encrypted into the slot's buffer, from which the
    /// segment is done again. Bytes that the worker had not loaded cannot have been encrypted, so
    /// they are read from the file again.
    fn restore_input(
        &mut self,
        slot: usize,
        reader: Option<&PostMortemReader>,
    ) -> Result<(), Stop> {
        let (number, segment) = self.task_in(slot)?;
        let job = self.job(number).ok_or(Stop::Misbehaved)?;
        let (Operation::Encrypt, Some(file), false) =
            (job.operation, &job.input, self.has_input[slot])
        else {
            return Ok(());
        };
        let (offset, len) = job.input_of(&segment);
        let reader = reader.ok_or(Stop::Misbehaved)?;
        let progress = reader.progress().map_err(|_| Stop::Misbehaved)?;
        let loaded = usize::try_from(progress).unwrap_or(len).min(len);
        let mut bytes = zeroed(len).map_err(|_| Failure::Read { errno: NO_MEMORY, offset })?;
        reader.read_exact_at(&mut bytes[..loaded], 0).map_err(|_| Stop::Misbehaved)?;
        read_exact_at(file, &mut bytes[loaded..], offset + loaded as u64)?;
        let buffers = self.slot_buffers(slot);
        buffers.region.copy_in(buffers.input, &bytes);
        self.has_input[slot] = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
