//! Threads of main that encrypt or decrypt small files, each as a whole, and objects in stores.
//!
//! Worker processes would not help: a small file takes most of its time for its key and its
//! name. That needs the identity and the file system, and a worker may have neither. With an object
//! it takes most of its time for waiting, so there are many threads then.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use crate::batch_item::{BatchItem, SMALL};
use crate::busy_time::BusyTime;
use crate::scaling::{MIN_INTERVAL, Scaling, Usage};
use crate::{Error, Processes, Summary};

/// Files per batch. On a virtual processor waking a thread can take 50 µs, and a small file
/// takes 100.
const BATCH: usize = 16;
/// More threads would only wait for each other in the file system.
const MAX_THREADS: usize = 16;
/// The most batches per thread that are queued or under way.
const MAX_BATCHES_PER_THREAD: usize = 3;

/// How long results of objects are waited for at a time.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// Objects that are under way together have so many bytes, 256 MiB,
const MAX_OBJECT_BYTES: u64 = 256 << 20;
/// of each of which so many count, since not more of it is in memory at once.
const MAX_BYTES_PER_OBJECT: u64 = 128 << 20;

/// How many threads there are, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) threads: usize,
    /// For objects of any length, instead of small files.
    pub(crate) is_for_objects: bool,
}

impl Capacity {
    /// As many threads for small files as there are cores, or for as many objects at once as
    /// `in_flight` says.
    pub(crate) fn new(
        processes: Processes,
        cores: impl FnOnce() -> usize,
        may_prompt: bool,
        in_flight: Option<usize>,
    ) -> Self {
        let threads = match processes {
            // Nobody can answer several questions at a time.
            _ if may_prompt => 0,
            Processes::Exactly(0) => 0,
            processes => in_flight.unwrap_or_else(|| match (processes, cores()) {
                (Processes::Exactly(count), cores) => usize::from(count).min(cores),
                // On a single one nothing would be gained.
                (Processes::Auto, 0 | 1) => 0,
                (Processes::Auto, cores) => cores.min(MAX_THREADS),
            }),
        };
        Self { threads, is_for_objects: in_flight.is_some() }
    }
}

/// Items and their numbers.
type Batch = Vec<(usize, BatchItem)>;
/// The same with their results.
type Results = Vec<(usize, BatchItem, Result<Summary, Error>)>;
/// Processes an item.
type Work<'a> = dyn Fn(&BatchItem) -> Result<Summary, Error> + Sync + 'a;

/// The batches that wait for a thread.
#[derive(Default)]
pub(crate) struct WorkQueue {
    state: Mutex<State>,
    /// Signals that there is a batch, or that there will be no more.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    is_closed: bool,
}

impl WorkQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            match state.batches.pop_front() {
                None if !state.is_closed => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                batch => return batch,
            }
        }
    }
}

/// What a thread has made of a batch.
struct Done {
    results: Results,
    /// How long it took, and how much of that the thread was busy.
    elapsed: Duration,
    busy: Option<Duration>,
}

/// The threads, from main's side. They end when this is dropped.
pub(crate) struct SmallFilePool<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    queue: &'scope WorkQueue,
    work: &'scope Work<'scope>,
    sender: Sender<Done>,
    done: Receiver<Done>,
    count: usize,
    is_for_objects: bool,
    /// Bytes of the objects without a result yet.
    object_bytes: u64,
    filling: Batch,
    /// Number of batches without a result yet.
    outstanding: usize,
    scaling: Scaling,
    interval: Interval,
}

/// What is measured to find out whether storage makes the threads wait.
struct Interval {
    start: Instant,
    batches: usize,
    files: usize,
    occupied: Duration,
    busy: Option<Duration>,
}

impl Interval {
    fn begin() -> Self {
        let (occupied, busy) = (Duration::ZERO, Some(Duration::ZERO));
        Self { start: Instant::now(), batches: 0, files: 0, occupied, busy }
    }
}

impl<'scope, 'env> SmallFilePool<'scope, 'env> {
    /// Starts up to `capacity.threads` threads that call `work` for each item, and more if `scaling` finds
    /// that storage makes them wait.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, 'env>,
        capacity: Capacity,
        scaling: Scaling,
        queue: &'scope WorkQueue,
        work: &'scope Work<'scope>,
    ) -> Self {
        let (sender, done) = channel();
        let (filling, interval) = (Vec::new(), Interval::begin());
        let (started, outstanding) = (0, 0);
        let mut pool = Self {
            scope,
            queue,
            work,
            sender,
            done,
            count: started,
            is_for_objects: capacity.is_for_objects,
            object_bytes: 0,
            filling,
            outstanding,
            scaling,
            interval,
        };
        pool.grow(capacity.threads);
        pool
    }

    /// Starts threads until there are `count`, or as many as the system allows.
    fn grow(&mut self, count: usize) {
        while self.count < count {
            let (queue, work, sender) = (self.queue, self.work, self.sender.clone());
            let run = move || {
                let clock = BusyTime::of_this_thread();
                while let Some(batch) = queue.take() {
                    let (start, before) = (Instant::now(), clock.read());
                    let results = batch.into_iter().map(|(number, item)| {
                        let result = work(&item);
                        (number, item, result)
                    });
                    let results = results.collect();
                    let busy =
                        clock.read().zip(before).map(|(now, before)| now.saturating_sub(before));
                    // The receiver waits for every batch.
                    let _ = sender.send(Done { results, elapsed: start.elapsed(), busy });
                }
            };
            if Builder::new().name("small-files".into()).spawn_scoped(self.scope, run).is_err() {
                break;
            }
            self.count += 1;
        }
    }

    /// Whether there is any thread.
    pub(crate) fn has_threads(&self) -> bool {
        self.count > 0
    }

    /// Whether its items are objects.
    pub(crate) fn is_for_objects(&self) -> bool {
        self.is_for_objects
    }

    /// Whether a thread does this item.
    pub(crate) fn takes(&self, item: &BatchItem) -> bool {
        self.has_threads() && (self.is_for_objects || item.len <= SMALL)
    }

    /// Whether the queue has room for more.
    pub(crate) fn has_capacity(&self) -> bool {
        self.outstanding < MAX_BATCHES_PER_THREAD * self.count
            && self.object_bytes < MAX_OBJECT_BYTES
    }

    /// What an item counts of [`MAX_OBJECT_BYTES`].
    fn object_bytes(&self, item: &BatchItem) -> u64 {
        if self.is_for_objects { item.len.min(MAX_BYTES_PER_OBJECT) } else { 0 }
    }

    /// Whether nothing is queued or under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.filling.is_empty()
    }

    /// Submits an item, as soon as its batch is full.
    pub(crate) fn submit(&mut self, number: usize, item: BatchItem) {
        self.object_bytes += self.object_bytes(&item);
        self.filling.push((number, item));
        if self.is_for_objects || self.filling.len() >= BATCH {
            self.flush();
        }
    }

    /// Submits the batch that is not full yet.
    pub(crate) fn flush(&mut self) {
        if !self.filling.is_empty() {
            self.queue.lock().batches.push_back(std::mem::take(&mut self.filling));
            self.queue.changed.notify_one();
            self.outstanding += 1;
        }
    }

    /// The results of a batch, if there are any already. With `may_wait`, waits for those of
    /// a batch under way, with objects only for a moment.
    pub(crate) fn results(&mut self, may_wait: bool) -> Option<Results> {
        let done = match may_wait && self.outstanding > 0 {
            // The progress of large objects is shown meanwhile.
            true if self.is_for_objects => self.done.recv_timeout(PROGRESS_INTERVAL).ok(),
            true => self.done.recv().ok(),
            false => self.done.try_recv().ok(),
        }?;
        self.outstanding -= 1;
        for (_, item, _) in &done.results {
            self.object_bytes -= self.object_bytes(item);
        }
        self.measure(&done);
        Some(done.results)
    }

    /// Measures whether storage makes the threads wait, and starts more if it does.
    fn measure(&mut self, done: &Done) {
        if self.scaling.is_decided() {
            return;
        }
        let interval = &mut self.interval;
        interval.batches += 1;
        interval.files += done.results.len();
        interval.occupied += done.elapsed;
        interval.busy = interval.busy.zip(done.busy).map(|(all, more)| all + more);
        let elapsed = interval.start.elapsed();
        if elapsed < MIN_INTERVAL || interval.batches < 2 * self.count {
            return;
        }
        let Interval { files, occupied, busy, .. } = std::mem::replace(interval, Interval::begin());
        let busy = busy.unwrap_or_default();
        self.scaling.observe(Usage { workers: self.count, elapsed, occupied, busy, done: files });
        self.grow(self.scaling.wanted());
    }
}

impl Drop for SmallFilePool<'_, '_> {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
    }
}
