//! Main's part of the work: publish, work along, start workers, collect, and
//! take back what the dead have held.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use cryptstream_format::Segment;
use cryptstream_format::payload::MAX_SEALED_SEGMENT_LEN;
use cryptstream_protection::Protection;
use cryptstream_shm::{Bytes, Completed, Consumer, Heir, Producer, RegionWords, Tokens, WorkerId};

use super::pool::{Dead, Pool};
use super::protocol::{decode_result, job_of, segment_of, task_of};
use super::task::perform;
use super::{WORTH, WorkerOptions, WorkerStats};
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
/// When main has slept for so long in a row and found nothing done, workers are
/// taken for stuck and killed, and main goes on alone. A stalled disk costs no
/// more than that.
const PATIENCE: Duration = Duration::from_secs(10);
/// A segment over which as many workers have died is not given to another.
const MAX_ATTEMPTS: u8 = 3;

const NO_MEMORY: i32 = rustix::io::Errno::NOMEM.raw_os_error();

/// Why all work stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A segment could not be done.
    Failed(Failure),
    /// This segment has killed every worker that tried it.
    Deadly(u64),
    /// Workers could not be locked in as was required.
    NoSandbox,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A segment that is done. Its slot stays taken until it is
/// [retired](Crew::retire).
pub(crate) struct Finished {
    completed: Completed,
    pub(crate) job: u32,
    pub(crate) segment: Segment,
    pub(crate) result: Result<(), Failure>,
}

/// The workers of a run and their queue; they stay from job to job.
pub(crate) struct Crew {
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
    /// How long main has slept since something was last done.
    fruitless: Duration,
}

impl Crew {
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
            fruitless: Duration::ZERO,
        })
    }

    /// Adds a job, of which segments can then be published.
    pub(crate) fn add(&mut self, job: Job) -> u32 {
        let number = self.next_job;
        self.next_job += 1;
        self.jobs.push_back((number, job));
        let (oldest, job) = (self.oldest(), &self.jobs[self.jobs.len() - 1].1);
        self.pool.tell(number, oldest, job);
        number
    }

    /// Forgets a job of which no segment is left.
    pub(crate) fn remove(&mut self, number: u32) {
        self.jobs.retain(|(other, _)| *other != number);
    }

    pub(crate) fn job(&self, number: u32) -> Option<&Job> {
        self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job)
    }

    fn oldest(&self) -> u32 {
        self.jobs.front().map_or(self.next_job, |(number, _)| *number)
    }

    /// What has become of the workers since this was last asked.
    pub(crate) fn take_stats(&mut self) -> WorkerStats {
        let stats = std::mem::take(&mut self.stats);
        let workers = self.pool.len() as u32 + stats.died;
        WorkerStats { workers, sandbox: self.pool.level, ..stats }
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
        let oldest = self.oldest();
        let jobs = self.jobs.iter().map(|(number, job)| (*number, oldest, job));
        self.pool.may_start() && self.pool.start(jobs)
    }

    /// Sleeps a moment, or until something is done.
    fn wait(&mut self, longest: Duration) {
        let ready = self.pool.ready().max(1);
        let enough = Duration::from_nanos(self.bytes / (FASTEST * ready as u64));
        if self.outstanding() > PLENTY * ready && enough >= *NAP.start() {
            let nap = enough.min(*NAP.end());
            std::thread::sleep(nap);
            self.fruitless += nap;
        } else if !self.pool.done.wait(Some(longest)).unwrap_or(false) {
            // Errors would be those of a system without futexes; looking at the
            // queue in any case is the answer to them too.
            self.fruitless += longest;
        }
    }

    /// Does one segment here, if there is any to be done.
    fn work_along(&mut self) -> Result<bool, Stop> {
        if self.must_not_open && self.jobs.iter().any(|(_, job)| job.operation == Operation::Open) {
            return Ok(false);
        }
        let Some(claim) = self.consumer.claim_once() else { return Ok(false) };
        let slot = claim.slot();
        let number = job_of(self.producer.task(slot).ok_or(Failure::Internal)?);
        let job = self.jobs.iter().find(|(other, _)| *other == number).map(|(_, job)| job);
        perform(claim, job, self.pool.room(slot), None, &mut self.buffers)
            .map_err(|_| Failure::Internal)?;
        self.fruitless = Duration::ZERO;
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
        let Some(completed) = completed.map_err(|_| Failure::Internal)? else { return Ok(None) };
        let (job, segment) = self.task_in(completed.slot())?;
        let result = decode_result(completed.result());
        Ok(Some(Finished { completed, job, segment, result }))
    }

    /// The buffers of a finished segment.
    pub(crate) fn room_of(&self, finished: &Finished) -> Room<'_> {
        self.room(finished.completed.slot())
    }

    /// Frees the slot of a finished segment.
    pub(crate) fn retire(&mut self, finished: Finished) {
        self.fruitless = Duration::ZERO;
        self.bytes -= finished.segment.plaintext_len() as u64;
        self.producer.retire(finished.completed);
    }

    /// The segment in a slot and its job's number, from main's own table.
    fn task_in(&self, slot: usize) -> Result<(u32, Segment), Stop> {
        let task = self.producer.task(slot).ok_or(Failure::Internal)?;
        let number = job_of(task);
        let segment = self.job(number).and_then(|job| segment_of(task, job));
        Ok((number, segment.ok_or(Failure::Internal)?))
    }

    /// Looks after the workers, and makes ready again what the dead have held.
    fn look(&mut self) -> Result<(), Stop> {
        let mut dead = self.pool.look_after();
        if self.pool.is_sandbox_missing() {
            return Err(Stop::NoSandbox);
        }
        let is_stuck = self.fruitless > PATIENCE && self.outstanding() > 0 && self.pool.len() > 0;
        if is_stuck {
            dead.extend(self.pool.kill_all());
            self.pool.give_up();
        }
        for dead in dead {
            self.recover(&dead, is_stuck)?;
        }
        Ok(())
    }

    fn recover(&mut self, dead: &Dead, is_stuck: bool) -> Result<(), Stop> {
        self.stats.died += 1;
        self.fruitless = Duration::ZERO;
        for held in self.producer.held(dead.id).map_err(|_| Failure::Internal)? {
            if held.bytes == Bytes::Present {
                self.inherit(held.slot, dead.heir.as_ref())?;
            }
        }
        let held = self.producer.recover(dead.id).map_err(|_| Failure::Internal)?;
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
        let job = self.job(number).ok_or(Failure::Internal)?;
        let (Operation::Seal, Some(file), false) =
            (job.operation, &job.input, self.has_input[slot])
        else {
            return Ok(());
        };
        let (offset, len) = job.input_of(&segment);
        let heir = heir.ok_or(Failure::Internal)?;
        let noted = heir.note().map_err(|_| Failure::Internal)?;
        let loaded = usize::try_from(noted).unwrap_or(len).min(len);
        let mut bytes = zeroed(len).map_err(|_| Failure::Read { errno: NO_MEMORY, offset })?;
        heir.read_exact_at(&mut bytes[..loaded], 0).map_err(|_| Failure::Internal)?;
        read_exact_at(file, &mut bytes[loaded..], offset + loaded as u64)?;
        let room = self.room(slot);
        room.region.copy_in(room.input, &bytes);
        self.has_input[slot] = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
