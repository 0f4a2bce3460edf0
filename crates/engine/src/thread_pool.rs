//! Threads of main that encrypt or decrypt small files, each as a whole.
//!
//! Worker processes would not help: a small file takes most of its time for its key and its
//! name. That needs the identity and the file system, and a worker may have neither.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

use crate::batch_item::BatchItem;
use crate::{Error, Summary};

/// Files per batch. On a virtual processor waking a thread can take 50 µs, and a small file
/// takes 100.
const BATCH: usize = 16;
/// The most batches per thread that are queued or under way.
const MAX_BATCHES_PER_THREAD: usize = 3;

/// An item, its number, and its result.
type Batch = Vec<(usize, BatchItem)>;
type Results = Vec<(usize, Result<Summary, Error>)>;

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

/// The threads, from main's side. They end when this is dropped.
pub(crate) struct SmallFilePool<'a> {
    queue: &'a WorkQueue,
    results: Receiver<Results>,
    count: usize,
    filling: Batch,
    /// Number of batches without a result yet.
    outstanding: usize,
}

impl<'a> SmallFilePool<'a> {
    /// Starts up to `count` threads that call `work` for each item.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        queue: &'a WorkQueue,
        work: &'scope (dyn Fn(&BatchItem) -> Result<Summary, Error> + Sync),
    ) -> Self
    where
        'a: 'scope,
    {
        let (sender, results) = channel();
        let started = (0..count).take_while(|_| {
            let sender: Sender<Results> = sender.clone();
            let run = move || {
                while let Some(batch) = queue.take() {
                    let done = batch.iter().map(|(number, item)| (*number, work(item)));
                    // The receiver waits for every batch.
                    let _ = sender.send(done.collect());
                }
            };
            Builder::new().name("small-files".into()).spawn_scoped(scope, run).is_ok()
        });
        let count = started.count();
        Self { queue, results, count, filling: Vec::new(), outstanding: 0 }
    }

    /// Whether there is any thread.
    pub(crate) fn has_threads(&self) -> bool {
        self.count > 0
    }

    /// Whether the queue has room for more.
    pub(crate) fn has_capacity(&self) -> bool {
        self.outstanding < MAX_BATCHES_PER_THREAD * self.count
    }

    /// Whether nothing is queued or under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding == 0 && self.filling.is_empty()
    }

    /// Submits an item, as soon as its batch is full.
    pub(crate) fn submit(&mut self, number: usize, item: BatchItem) {
        self.filling.push((number, item));
        if self.filling.len() >= BATCH {
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
    /// a batch under way.
    pub(crate) fn results(&mut self, may_wait: bool) -> Option<Results> {
        let results = match may_wait && self.outstanding > 0 {
            true => self.results.recv().ok(),
            false => self.results.try_recv().ok(),
        };
        self.outstanding -= usize::from(results.is_some());
        results
    }
}

impl Drop for SmallFilePool<'_> {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
    }
}
