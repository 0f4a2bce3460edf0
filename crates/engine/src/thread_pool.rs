//! Threads of main for many small files, each of which one thread does whole.
//!
//! Not the worker processes: of a small file nearly all the time goes into its
//! key and its name. To unwrap a key one needs the identity, and to name a file
//! the file system, neither of which a worker may have.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

use crate::batch_item::BatchItem;
use crate::{Error, Summary};

/// Files that are handed over at a time: waking a thread can take 50 µs where the
/// processor is a virtual one, and a small file takes 100.
const BATCH: usize = 16;
/// Batches for each thread that are on their way at the most.
const AHEAD: usize = 3;

/// An item and its number, and how it went with it.
type Batch = Vec<(usize, BatchItem)>;
type Results = Vec<(usize, Result<Summary, Error>)>;

/// What is to be done by the threads.
#[derive(Default)]
pub(crate) struct Pile {
    state: Mutex<State>,
    /// Something was put there, or nothing will be any more.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    is_closed: bool,
}

impl Pile {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic is done under the lock.
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
pub(crate) struct Hands<'a> {
    pile: &'a Pile,
    results: Receiver<Results>,
    count: usize,
    filling: Batch,
    /// Batches of which nothing is known yet.
    outstanding: usize,
}

impl<'a> Hands<'a> {
    /// Starts up to `count` threads that do `work` to each item.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        pile: &'a Pile,
        work: &'scope (dyn Fn(&BatchItem) -> Result<Summary, Error> + Sync),
    ) -> Self
    where
        'a: 'scope,
    {
        let (sender, results) = channel();
        let started = (0..count).take_while(|_| {
            let sender: Sender<Results> = sender.clone();
            let labour = move || {
                while let Some(batch) = pile.take() {
                    let done = batch.iter().map(|(number, item)| (*number, work(item)));
                    // Main waits for every batch, so it is there.
                    let _ = sender.send(done.collect());
                }
            };
            Builder::new().name("hand".into()).spawn_scoped(scope, labour).is_ok()
        });
        let count = started.count();
        Self { pile, results, count, filling: Vec::new(), outstanding: 0 }
    }

    /// Whether there is any thread.
    pub(crate) fn is_any(&self) -> bool {
        self.count > 0
    }

    /// Whether more can be handed over without much having to wait.
    pub(crate) fn have_room(&self) -> bool {
        self.outstanding < AHEAD * self.count
    }

    /// Whether nothing is on its way.
    pub(crate) fn are_idle(&self) -> bool {
        self.outstanding == 0 && self.filling.is_empty()
    }

    /// Hands an item over, sooner or later.
    pub(crate) fn give(&mut self, number: usize, item: BatchItem) {
        self.filling.push((number, item));
        if self.filling.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what is still here.
    pub(crate) fn flush(&mut self) {
        if !self.filling.is_empty() {
            self.pile.lock().batches.push_back(std::mem::take(&mut self.filling));
            self.pile.changed.notify_one();
            self.outstanding += 1;
        }
    }

    /// The results of a batch, if there are any already; or, where one may wait
    /// and something is on its way, as soon as there are.
    pub(crate) fn results(&mut self, may_wait: bool) -> Option<Results> {
        let results = match may_wait && self.outstanding > 0 {
            true => self.results.recv().ok(),
            false => self.results.try_recv().ok(),
        };
        self.outstanding -= usize::from(results.is_some());
        results
    }
}

impl Drop for Hands<'_> {
    fn drop(&mut self) {
        self.pile.lock().is_closed = true;
        self.pile.changed.notify_all();
    }
}
