//! Main's part of the work: publish, work along, start workers, collect, and
//! take back what the dead have held.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use cryptstream_format::Segment;
use cryptstream_format::payload::MAX_SEALED_SEGMENT_LEN;
use cryptstream_protection::Protection;
use cryptstream_shm::{Bytes, Completed, Consumer, Heir, Producer, RegionWords, Tokens, WorkerId};

use super::options::{WORTH, WorkerNote, WorkerOptions, WorkerStats};
use super::pool::{Dead, Pool};
use super::protocol::{decode_result, job_of, segment_of, task_of};
use super::stop::{NO_MEMORY, Stop};
use super::task::{Source, perform};
use crate::Progress;
use crate::job::{Buffers, Failure, Job, Operation, Room, read_exact_at};
use crate::memory::zeroed;

/// How often main looks after its workers while it has nothing else to do.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest and the shortest that main sleeps while the workers have enough
/// to do. To be woken for each segment would be worse: where the processor is
/// a virtual one, waking another process can take 50 µs, and sealing a segment
/// takes 300.
const NAP: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_micros(500);
/// Bytes that no worker does in a nanosecond, so that main is back in time.
const FASTEST: u64 = 8;
/// Tasks for each worker that are enough for a nap, and then twice as many for
/// the time of the nap.
const PLENTY: usize = 2;
/// When nothing was finished for so long, workers are taken for stuck and killed,
/// and main goes on alone. A stalled disk costs no more than that.
const PATIENCE: Duration = Duration::from_secs(10);
/// A worker whose death costs nothing gets less time to answer.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// How often workers that are to drop a job are woken while main waits for them.
const WAKE_EVERY: Duration = Duration::from_millis(1);
/// The most time between two looks at the workers that is counted. More has
/// passed when main itself was stopped or waited for something else: no fault
/// of theirs.
const MAX_TICK: Duration = Duration::from_millis(100);
/// A segment over which as many workers have died is not given to another.
const MAX_ATTEMPTS: u8 = 3;

/// A segment that is done. Its slot stays taken until it is
/// [retired](Coordinator::retire).
pub(crate) struct Finished {
    completed: Completed,
    pub(crate) job: u32,
    pub(crate) segment: Segment,
    pub(crate) result: Result<(), Failure>,
}

/// The workers of a run and their queue; they stay from job to job.
pub(crate) struct Coordinator {
    pool: Pool,
    producer: Producer<RegionWords>,
    /// Main's own way to the queue's tasks.
    consumer: Consumer<RegionWords>,
    /// The jobs that are not over, by number.
    jobs: VecDeque<(u32, Job)>,
    next_job: u32,
    /// Bytes of plaintext on their way.
    bytes: u64,
    /// Of each slot, whether its buffer has the input of its task.
    has_input: Vec<bool>,
    buffers: Buffers,
    /// What strangers wrote is for processes that are locked in.
    must_not_open: bool,
    stats: WorkerStats,
    /// What is to be told of workers, and was not yet.
    notes: Vec<WorkerNote>,
    /// Whether it was told that the sandbox is not full.
    has_warned: bool,
    /// Workers that were ended while the engine goes on.
    ended: u32,
    /// How long nothing was finished though there was work, whatever the
    /// semaphores say.
    idle: Duration,
    /// When main last looked after the workers.
    looked: Instant,
    /// Whether the last wait ended early and nothing was finished.
    woken_for_nothing: bool,
}

impl Coordinator {
    /// How many segments can be on their way.
    pub(crate) fn slots(workers: usize) -> usize {
        2 * PLENTY * workers + 2
    }

    /// The queue for at most `workers` workers, none of which is started yet.
    pub(crate) fn new(options: &WorkerOptions, workers: usize) -> std::io::Result<Self> {
        let slots = Self::slots(workers);
        let (pool, producer) = Pool::new(options.clone(), slots)?;
        let consumer = Consumer::new(pool.words(), producer.shape(), WorkerId::MAIN)
            .expect("the memory was large enough for the producer");
        Ok(Self {
            pool,
            producer,
            consumer,
            jobs: VecDeque::new(),
            next_job: 0,
            bytes: 0,
            has_input: vec![false; slots],
            buffers: Buffers::new(MAX_SEALED_SEGMENT_LEN)?,
            must_not_open: options.is_sandbox_required() && Protection::RequireMeansAll.is_on(),
            stats: WorkerStats::default(),
            notes: Vec::new(),
            has_warned: false,
            ended: 0,
            idle: Duration::ZERO,
            looked: Instant::now(),
            woken_for_nothing: false,
        })
    }

    /// Adds a job, of which segments can then be published.
    pub(crate) fn add(&mut self, job: Job) -> u32 {
        let number = self.next_job;
        self.next_job += 1;
        self.pool.tell(number, &job);
        self.jobs.push_back((number, job));
        number
    }

    /// Forgets a job of which no segment is left, and has the workers drop its
    /// key and its descriptors.
    pub(crate) fn remove(&mut self, number: u32) {
        self.jobs.retain(|(other, _)| *other != number);
        if Protection::JobRevoked.is_on() {
            self.pool.release(number);
            self.wake_owing();
        }
    }

    /// Whether every worker has dropped a job that was [removed](Self::remove),
    /// or is dead.
    pub(crate) fn is_released(&self, number: u32) -> bool {
        !Protection::JobRevoked.is_on() || !self.pool.holds(number)
    }

    /// Waits a moment for workers that are to drop a job.
    pub(crate) fn wait_for_release(&mut self, longest: Duration) -> Result<(), Stop> {
        self.pool.wait_for_reply(longest.min(WAKE_EVERY));
        self.look()
    }

    /// Wakes the workers that owe an answer, if they are asleep. A token is for no one
    /// in particular, so another worker may take it: post again until all have answered.
    fn wake_owing(&self) {
        let owing = self.pool.owing();
        if owing > 0 {
            let _ = self.pool.tasks.post(owing);
        }
    }

    /// Has every worker drop a job that was removed, or kills it.
    pub(crate) fn enforce_release(&mut self, number: u32) -> Result<(), Stop> {
        let start = Instant::now();
        while !self.is_released(number) && start.elapsed() < SHORT_PATIENCE {
            self.wait_for_release(LOOK_EVERY)?;
        }
        if !self.is_released(number) {
            self.end_workers();
        }
        Ok(())
    }

    /// Kills all workers, and has others do what they were at.
    pub(crate) fn replace_workers(&mut self) -> Result<(), Stop> {
        for dead in self.pool.kill_all() {
            self.recover(&dead, true)?;
        }
        Ok(())
    }

    /// Ends all workers. Nothing may be on its way.
    pub(crate) fn end_workers(&mut self) {
        self.ended += self.pool.end_all();
    }

    pub(crate) fn job(&self, number: u32) -> Option<&Job> {
        self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job)
    }

    /// What has become of the workers since this was last asked.
    pub(crate) fn take_stats(&mut self) -> WorkerStats {
        let stats = std::mem::take(&mut self.stats);
        let workers = self.pool.len() as u32 + std::mem::take(&mut self.ended) + stats.died;
        WorkerStats { workers, sandbox: self.pool.level, ..stats }
    }

    /// Tells how many workers there are, and what has become of them.
    pub(crate) fn tell(&mut self, progress: &dyn Progress) {
        progress.workers(self.ready());
        for note in self.notes.drain(..) {
            progress.worker_note(&note);
        }
    }

    /// Workers that are alive and at work.
    pub(crate) fn ready(&self) -> usize {
        self.pool.ready()
    }

    /// A slot for the next segment, unless too many are on their way.
    pub(crate) fn free_slot(&self) -> Option<usize> {
        self.producer.free_slot()
    }

    /// The same for a segment that needs the slot's buffers: always one of the
    /// same few, so that they take no more memory than is needed.
    pub(crate) fn free_buffers(&self, workers: usize) -> Option<usize> {
        // One for each worker, and two that main fills or empties.
        let few = (workers + 2).min(self.has_input.len());
        (0..few).find(|slot| self.producer.task(*slot).is_none())
    }

    /// Segments that are on their way.
    pub(crate) fn outstanding(&self) -> usize {
        self.producer.outstanding()
    }

    /// The buffers of a slot.
    pub(crate) fn room(&self, slot: usize) -> Room<'_> {
        self.pool.room(slot)
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
            self.look()?;
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Moves the work on: starts a worker, if the `left` bytes that are not
    /// published yet are worth another and there are fewer than `target`; then
    /// does a segment here, while workers are still missing, or sleeps until
    /// something is done, at most for `longest`.
    pub(crate) fn step(&mut self, left: u64, target: usize, longest: Duration) -> Result<(), Stop> {
        // Where main may do nothing itself, one is worth it for any work.
        let target = target.max(usize::from(self.must_not_open));
        if self.pool.len() < target && left >= WORTH * self.pool.len() as u64 {
            self.start_worker();
        }
        if self.pool.ready() >= target.max(1) || !self.work_along()? {
            self.wait(longest);
        }
        self.look()
    }

    /// Starts a worker, if that makes sense; whether it has.
    fn start_worker(&mut self) -> bool {
        let jobs = self.jobs.iter().map(|(number, job)| (*number, job));
        self.pool.may_start() && self.pool.start(jobs)
    }

    /// Sleeps a moment, or until something is done.
    fn wait(&mut self, longest: Duration) {
        let ready = self.pool.ready().max(1);
        let enough = Duration::from_nanos(self.bytes / (FASTEST * ready as u64));
        if self.outstanding() > PLENTY * ready && enough >= *NAP.start() {
            std::thread::sleep(enough.min(*NAP.end()));
        } else if self.woken_for_nothing {
            // Tokens without a finished segment must not keep main busy, whoever
            // posts them.
            std::thread::sleep(*NAP.start());
            self.woken_for_nothing = false;
        } else {
            // Errors would be those of a system without futexes; looking at the
            // queue in any case is the answer to them too.
            self.woken_for_nothing = self.pool.done.wait(Some(longest)).unwrap_or(false);
            // One look finds all that is done.
            self.pool.done.take_all();
            if self.woken_for_nothing && !Protection::WorkerDeadline.is_on() {
                self.idle = Duration::ZERO;
            }
        }
    }

    /// Does one segment here, if there is any to be done.
    fn work_along(&mut self) -> Result<bool, Stop> {
        if self.must_not_open && self.jobs.iter().any(|(_, job)| job.operation == Operation::Open) {
            return Ok(false);
        }
        let Some(claim) = self.consumer.claim_once() else { return Ok(false) };
        let slot = claim.slot();
        // From main's own table, whatever lies in shared memory.
        let mut task = *self.producer.task(slot).ok_or(Stop::Misbehaved)?;
        let mut has_input = self.has_input[slot];
        if !Protection::OwnTable.is_on() {
            task = *claim.task();
            has_input = claim.is_loaded();
        }
        let number = job_of(&task);
        let job = self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job);
        let work = job.and_then(|job| Some((job, segment_of(&task, job)?)));
        let source = if has_input { Source::Slot } else { Source::File };
        perform(claim, work, self.pool.room(slot), source, &mut self.buffers)
            .map_err(|_| Stop::Misbehaved)?;
        Ok(true)
    }

    /// The first segment that is done, in the order of publication; with
    /// `in_order` none that is not the oldest.
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
    pub(crate) fn room_of(&self, finished: &Finished) -> Room<'_> {
        self.room(finished.completed.slot())
    }

    /// Frees the slot of a finished segment.
    pub(crate) fn retire(&mut self, finished: Finished) {
        self.idle = Duration::ZERO;
        self.woken_for_nothing = false;
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

    /// Looks after the workers, and makes ready again what the dead have held.
    fn look(&mut self) -> Result<(), Stop> {
        let elapsed = self.looked.elapsed().min(MAX_TICK);
        self.looked = Instant::now();
        if self.outstanding() > 0 {
            self.idle += elapsed;
        }
        let mut dead = self.pool.look_after(elapsed, PATIENCE);
        if let Some(lack) = self.pool.lack() {
            return Err(lack);
        }
        if let Some(level) = self.pool.level_to_warn_of().filter(|_| !self.has_warned) {
            self.has_warned = true;
            self.notes.push(WorkerNote::Sandbox { level });
        }
        self.wake_owing();
        let is_stuck = self.idle > PATIENCE;
        if is_stuck {
            dead.extend(self.pool.kill_all());
            self.pool.give_up();
        }
        for dead in dead {
            self.recover(&dead, is_stuck)?;
        }
        if is_stuck {
            // Nobody is left who could hold a segment.
            if self.producer.is_any_held().map_err(|_| Stop::Misbehaved)? {
                return Err(Stop::Misbehaved);
            }
            self.idle = Duration::ZERO;
        }
        Ok(())
    }

    fn recover(&mut self, dead: &Dead, is_stuck: bool) -> Result<(), Stop> {
        self.stats.died += 1;
        if !dead.words.is_empty() {
            let words = String::from_utf8_lossy(&dead.words).into_owned();
            self.notes.push(WorkerNote::Died { words });
        }
        for held in self.producer.held(dead.id).map_err(|_| Stop::Misbehaved)? {
            if held.bytes == Bytes::Present {
                self.inherit(held.slot, dead.heir.as_ref())?;
            }
        }
        let held = self.producer.recover(dead.id).map_err(|_| Stop::Misbehaved)?;
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

    /// Puts the bytes that a dead worker may have sealed where its successor
    /// finds them: in the slot's buffer. What it had not loaded it cannot have
    /// sealed, and that is read again.
    fn inherit(&mut self, slot: usize, heir: Option<&Heir>) -> Result<(), Stop> {
        let (number, segment) = self.task_in(slot)?;
        let job = self.job(number).ok_or(Stop::Misbehaved)?;
        let (Operation::Seal, Some(file), false) =
            (job.operation, &job.input, self.has_input[slot])
        else {
            return Ok(());
        };
        let (offset, len) = job.input_of(&segment);
        let heir = heir.ok_or(Stop::Misbehaved)?;
        let noted = heir.note().map_err(|_| Stop::Misbehaved)?;
        let loaded = usize::try_from(noted).unwrap_or(len).min(len);
        let mut bytes = zeroed(len).map_err(|_| Failure::Read { errno: NO_MEMORY, offset })?;
        heir.read_exact_at(&mut bytes[..loaded], 0).map_err(|_| Stop::Misbehaved)?;
        read_exact_at(file, &mut bytes[loaded..], offset + loaded as u64)?;
        let room = self.room(slot);
        room.region.copy_in(room.input, &bytes);
        self.has_input[slot] = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
