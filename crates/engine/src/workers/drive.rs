//! Main's part: plan, work along, start workers, collect, and take back what
//! the dead have held.

use std::time::{Duration, Instant};

use cryptstream_format::Segment;
use cryptstream_shm::{Bytes, Consumer, Producer, RegionWords, Tokens, WorkerId};

use super::pool::Pool;
use super::protocol::{decode_result, encode_result, task_of};
use super::{SandboxMode, WORTH, WorkerOptions, WorkerStats};
use crate::Progress;
use crate::work::{Buffers, Failure, Operation, Work};

/// How often main looks after its workers while it has nothing else to do.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// When nothing at all was done for so long, workers are taken for stuck and
/// killed, and main goes on alone. A stalled disk costs no more than that.
const PATIENCE: Duration = Duration::from_secs(10);
/// A segment over which as many workers have died is not given to another.
const MAX_ATTEMPTS: u8 = 3;

/// Why a run stopped.
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

/// Does all segments of `work`, with workers where they pay.
pub(crate) fn run(
    work: &Work,
    options: &WorkerOptions,
    cores: usize,
    progress: &dyn Progress,
) -> Result<WorkerStats, Stop> {
    let target = options.target(work.layout.plaintext_len(), cores);
    if target > 0 {
        match Pool::new(options, work, target + 2) {
            Ok((pool, producer)) => return Run::new(work, target, pool, producer, progress).run(),
            Err(_) if options.sandbox == SandboxMode::Require => return Err(Stop::NoSandbox),
            // Without shared memory main works alone.
            Err(_) => {}
        }
    }
    let mut buffers = Buffers::new();
    for segment in work.layout.segments() {
        work.run(&segment, &mut buffers)?;
        progress.advance(work.input_of(&segment).1 as u64);
    }
    Ok(WorkerStats::default())
}

/// One file with workers.
struct Run<'a> {
    work: &'a Work,
    target: usize,
    pool: Pool<'a>,
    producer: Producer<RegionWords>,
    /// Main's own way to the queue's tasks.
    consumer: Consumer<RegionWords>,
    progress: &'a dyn Progress,
    buffers: Buffers,
    stats: WorkerStats,
    next_segment: u64,
    last_done: Instant,
}

impl<'a> Run<'a> {
    fn new(
        work: &'a Work,
        target: usize,
        pool: Pool<'a>,
        producer: Producer<RegionWords>,
        progress: &'a dyn Progress,
    ) -> Self {
        let consumer = Consumer::new(pool.words(), producer.shape(), WorkerId::MAIN)
            .expect("the memory was large enough for the producer");
        Self {
            work,
            target,
            pool,
            producer,
            consumer,
            progress,
            buffers: Buffers::new(),
            stats: WorkerStats::default(),
            next_segment: 0,
            last_done: Instant::now(),
        }
    }

    fn run(mut self) -> Result<WorkerStats, Stop> {
        while self.next_segment < self.work.layout.segment_count()
            || self.producer.outstanding() > 0
        {
            self.publish();
            self.start_workers();
            if self.pool.ready() < self.target {
                self.work_along()?;
            } else {
                // Errors would be those of a system without futexes; looking
                // at the queue in any case is the answer to them too.
                let _ = self.pool.done.wait(Some(LOOK_EVERY));
            }
            self.collect()?;
            self.bury()?;
        }
        // No worker may hold the output any more when it is given its name.
        self.pool.kill_all();
        self.stats.sandbox = self.pool.level;
        Ok(self.stats)
    }

    /// Fills the queue.
    fn publish(&mut self) {
        let mut published = 0;
        while self.next_segment < self.work.layout.segment_count()
            && let Some(slot) = self.producer.free_slot()
        {
            self.producer.publish(slot, &task_of(self.next_segment), Bytes::Absent);
            self.next_segment += 1;
            published += 1;
        }
        if published > 0 {
            let _ = self.pool.tasks.post(published);
        }
    }

    /// Starts the next worker, if what is left is worth it.
    fn start_workers(&mut self) {
        let left = self.work.layout.segment_count() - self.next_segment;
        let workers = self.pool.len();
        let is_worth = left * (1 << 20) >= WORTH * workers as u64;
        if workers < self.target && is_worth && self.pool.may_start() && self.pool.start() {
            self.stats.started += 1;
        }
    }

    /// Does one segment here, or sleeps a moment when there is none.
    fn work_along(&mut self) -> Result<(), Stop> {
        let Some(mut claim) = self.consumer.claim_once() else {
            let _ = self.pool.done.wait(Some(LOOK_EVERY));
            return Ok(());
        };
        let slot = claim.slot();
        let segment = self.segment_in(slot)?;
        // Sealing other bytes than a dead worker may have sealed and written
        // would use a nonce twice: see the nonce rule in docs/format.md.
        let result = if claim.is_loaded() && self.work.operation == Operation::Seal {
            let pool = &self.pool;
            self.work.run_from(&segment, &mut self.buffers, |part, input| {
                let offset = (part.plaintext_offset() - segment.plaintext_offset()) as usize;
                pool.copy_loaded(slot, offset, input);
                Ok(())
            })
        } else {
            self.work.run(&segment, &mut self.buffers)
        };
        let internal = |_| Stop::Failed(Failure::Internal);
        claim.mark_loaded().map_err(internal)?;
        claim.complete(&encode_result(result)).map_err(internal)
    }

    /// Takes what is done off the queue.
    fn collect(&mut self) -> Result<(), Stop> {
        while let Some(completed) = self.producer.first_done().map_err(|_| Failure::Internal)? {
            let segment = self.segment_in(completed.slot())?;
            decode_result(completed.result())?;
            self.producer.retire(completed);
            self.progress.advance(self.work.input_of(&segment).1 as u64);
            self.last_done = Instant::now();
        }
        Ok(())
    }

    /// Looks after the workers, and makes ready again what the dead have held.
    fn bury(&mut self) -> Result<(), Stop> {
        let mut dead = self.pool.look_after();
        if self.pool.is_sandbox_missing() {
            return Err(Stop::NoSandbox);
        }
        let is_stuck = self.last_done.elapsed() > PATIENCE && self.pool.len() > 0;
        if is_stuck {
            dead.extend(self.pool.kill_all());
            self.pool.give_up();
        }
        for worker in dead {
            self.stats.died += 1;
            let held = self.producer.recover(worker).map_err(|_| Failure::Internal)?;
            for task in &held {
                self.stats.redone += 1;
                if task.attempt >= MAX_ATTEMPTS && !is_stuck {
                    return Err(Stop::Deadly(self.segment_in(task.slot)?.index()));
                }
            }
            // One for each task, and one for the token that may have died too.
            let _ = self.pool.tasks.post(held.len() as u32 + 1);
            self.last_done = Instant::now();
        }
        Ok(())
    }

    /// The segment in a slot, from main's own table.
    fn segment_in(&self, slot: usize) -> Result<Segment, Stop> {
        let task = self.producer.task(slot).ok_or(Failure::Internal)?;
        self.work.layout.segment(task[0]).ok_or(Stop::Failed(Failure::Internal))
    }
}
