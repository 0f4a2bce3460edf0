//! The queue under the model checker: every order of the steps of two consumers and main (with up
//! to three preemptions), every value that a relaxed load may return, and a consumer that dies
//! after any step.
//!
//! `ci/model.sh` runs it, also with wrong versions of the queue, which it must reject.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use cryptstream_shm::memory::{AtomicU64, Ordering};
use cryptstream_shm::{
    Bytes, Consumer, HeapWords, Memory, Producer, QueueLayout, TaskRevoked, WorkerId,
};
use loom::sync::{Condvar, Mutex};
use loom::thread;

/// The consumer that may die, and the one that does not.
const MORTAL: WorkerId = WorkerId::new(1);
const OTHER: WorkerId = WorkerId::new(2);

/// More accesses than a consumer makes in any execution. With this limit the consumer does not die,
/// which a test checks.
const LONGEST_LIFE: usize = 40;

/// Memory that kills the thread that uses it after a number of accesses: the next one does not
/// happen.
#[derive(Debug)]
struct Mortal {
    memory: Arc<HeapWords>,
    /// The accesses that are left. Not shared between threads, so the model need not know it;
    /// atomic only because `Memory` is used through `&`.
    life: std::sync::atomic::AtomicUsize,
}

/// The panic payload of a dying thread.
struct Death;

impl Memory for Mortal {
    fn word(&self, index: usize) -> &AtomicU64 {
        let order = std::sync::atomic::Ordering::Relaxed;
        if self.life.fetch_update(order, order, |life| life.checked_sub(1)).is_err() {
            // Without the panic hook's message.
            resume_unwind(Box::new(Death));
        }
        self.memory.word(index)
    }

    fn words(&self) -> usize {
        self.memory.words()
    }
}

/// A counting semaphore. The model checker reports a state in which all sleep.
struct Semaphore {
    count: Mutex<usize>,
    more: Condvar,
}

impl Semaphore {
    fn new() -> Self {
        Self { count: Mutex::new(0), more: Condvar::new() }
    }

    fn post(&self, count: usize) {
        *self.count.lock().unwrap() += count;
        self.more.notify_all();
    }

    fn wait(&self) {
        let mut count = self.count.lock().unwrap();
        while *count == 0 {
            count = self.more.wait(count).unwrap();
        }
        *count -= 1;
    }
}

/// What the processes share besides the queue.
struct SharedState {
    queue: Arc<HeapWords>,
    layout: QueueLayout,
    /// For consumers: there is a task, or the run is over.
    work: Semaphore,
    /// For main: a task is done, or a consumer has died.
    news: Semaphore,
    is_over: loom::sync::atomic::AtomicBool,
    is_dead: loom::sync::atomic::AtomicBool,
    /// Each slot's buffer.
    buffers: Vec<AtomicU64>,
    /// An input file that changes with each read. Only the test uses it, so it is not modelled.
    readings: std::sync::atomic::AtomicU64,
    /// The bytes that each task was encrypted from, each time.
    sealed: std::sync::Mutex<Vec<(u64, u64)>>,
}

impl SharedState {
    fn new(capacity: usize) -> Self {
        let layout = QueueLayout::new(capacity).unwrap();
        Self {
            queue: Arc::new(HeapWords::new(layout.words())),
            layout,
            work: Semaphore::new(),
            news: Semaphore::new(),
            is_over: loom::sync::atomic::AtomicBool::new(false),
            is_dead: loom::sync::atomic::AtomicBool::new(false),
            buffers: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            readings: std::sync::atomic::AtomicU64::new(1),
            sealed: std::sync::Mutex::new(Vec::new()),
        }
    }

    fn producer(&self) -> Producer<Arc<HeapWords>> {
        Producer::new(self.queue.clone(), self.layout).unwrap()
    }

    /// What a worker does with a task: read, encrypt, complete.
    fn work_off<M: Memory>(&self, consumer: &Consumer<M>) -> Result<bool, TaskRevoked> {
        let Some(mut claim) = consumer.claim() else { return Ok(false) };
        let task = claim.task()[0];
        assert_ne!(task, 0, "the task is seen with the slot that announces it");
        let buffer = &self.buffers[claim.slot()];
        if !claim.is_loaded() {
            let bytes = self.readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            buffer.store(bytes, Ordering::Relaxed);
        }
        claim.mark_loaded()?;
        let bytes = buffer.load(Ordering::Relaxed);
        self.sealed.lock().unwrap().push((task, bytes));
        claim.complete(&[1000 * task + bytes])?;
        Ok(true)
    }

    fn live<M: Memory>(&self, consumer: &Consumer<M>) {
        loop {
            self.work.wait();
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            if self.work_off(consumer).expect("nobody is taken for dead here") {
                self.news.post(1);
            }
        }
    }

    fn is_over(&self) {
        self.is_over.store(true, Ordering::Release);
        self.work.post(2);
    }

    /// Collects the completed tasks and returns them.
    fn collect(&self, producer: &mut Producer<Arc<HeapWords>>) -> Vec<u64> {
        let mut tasks = Vec::new();
        while let Some(completed) = producer.first_done().unwrap() {
            let task = producer.task(completed.slot()).unwrap()[0];
            let bytes = self.buffers[completed.slot()].load(Ordering::Relaxed);
            assert_eq!(completed.result()[0], 1000 * task + bytes, "its result, whole");
            tasks.push(task);
            producer.retire(completed);
        }
        tasks
    }

    /// One number must not be used to encrypt two different texts.
    fn check_sealed(&self) {
        let sealed = self.sealed.lock().unwrap();
        for (task, bytes) in &*sealed {
            let same = sealed.iter().filter(|(other, _)| other == task);
            assert!(same.clone().all(|(_, others)| others == bytes), "sealed twice: {sealed:?}");
        }
    }
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // An environment variable can ask for more.
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    builder.check(model);
}

/// The index of the queue's hint. Everyone may write anything there.
const FRONT: usize = 16;

/// Main, two consumers of whom one dies after `life` accesses to the queue, and
/// a task in each of `slots`, in that order. After each, the hint is set to
/// `hint`.
fn run(slots: &'static [usize], hint: Option<u64>, life: usize, preemptions: usize) {
    explore(preemptions, move || {
        let shared = Arc::new(SharedState::new(slots.len()));
        let mut producer = shared.producer();

        let mortal = thread::spawn({
            let shared = shared.clone();
            move || {
                let memory = Mortal { memory: shared.queue.clone(), life: life.into() };
                let consumer = Consumer::new(memory, shared.layout, MORTAL).unwrap();
                if let Err(cause) = catch_unwind(AssertUnwindSafe(|| shared.live(&consumer))) {
                    if !cause.is::<Death>() {
                        resume_unwind(cause);
                    }
                    assert!(life < LONGEST_LIFE, "nobody dies of a life as long as that");
                    // As the kernel does for main: the death is certain.
                    shared.is_dead.store(true, Ordering::Release);
                    shared.news.post(1);
                }
            }
        });
        let other = thread::spawn({
            let shared = shared.clone();
            move || {
                let consumer = Consumer::new(shared.queue.clone(), shared.layout, OTHER).unwrap();
                shared.live(&consumer);
            }
        });

        for &slot in slots {
            producer.publish(slot, &[slot as u64 + 1], Bytes::Absent);
            shared.work.post(1);
            if let Some(hint) = hint {
                shared.queue.word(FRONT).store(hint, Ordering::Relaxed);
            }
        }
        let mut done = Vec::new();
        let mut is_recovered = false;
        while done.len() < slots.len() {
            shared.news.wait();
            if !is_recovered && shared.is_dead.load(Ordering::Acquire) {
                is_recovered = true;
                let held = producer.recover(MORTAL).unwrap();
                shared.work.post(held.len() + 1);
            }
            done.extend(shared.collect(&mut producer));
        }
        shared.is_over();
        mortal.join().unwrap();
        other.join().unwrap();

        done.sort_unstable();
        assert!(done.iter().copied().eq(1..=slots.len() as u64), "each once: {done:?}");
        assert_eq!(producer.outstanding(), 0);
        shared.check_sealed();
    });
}

#[test]
fn nobody_dies() {
    run(&[0, 1], None, LONGEST_LIFE, 3);
}

/// The second task is in a slot before the first one's, and the consumer that comes second begins
/// with the first: so a consumer can pass by both.
#[test]
fn nobody_oversleeps() {
    run(&[1, 0], Some(1), LONGEST_LIFE, 3);
}

#[test]
fn a_consumer_dies_after_any_step() {
    for life in 0..LONGEST_LIFE {
        run(&[1, 0], None, life, 2);
    }
}

#[test]
fn a_consumer_dies_over_a_single_task() {
    for life in 0..LONGEST_LIFE {
        run(&[0], None, life, 3);
    }
}

/// A worker that was considered dead but is alive: main takes over its task while the worker goes
/// on. One of the two completes it.
#[test]
fn the_undead_change_nothing() {
    explore(3, || {
        let shared = Arc::new(SharedState::new(1));
        let mut producer = shared.producer();
        producer.publish(0, &[1], Bytes::Present);
        let undead = thread::spawn({
            let shared = shared.clone();
            move || {
                let consumer = Consumer::new(shared.queue.clone(), shared.layout, MORTAL).unwrap();
                shared.work_off(&consumer)
            }
        });
        let held = producer.recover(MORTAL).unwrap();
        let main = Consumer::new(shared.queue.clone(), shared.layout, WorkerId::MAIN).unwrap();
        let by_main = shared.work_off(&main).unwrap();
        let by_undead = undead.join().unwrap();

        // The task was taken back, so the worker's next step is refused, unless it came first.
        assert!(!(by_main && by_undead == Ok(true)), "completed twice");
        assert!(
            held.len() == 1 || by_undead != Err(TaskRevoked),
            "refused, though it was not taken back"
        );
        assert!(by_main || by_undead == Ok(true), "completed once");
        assert_eq!(shared.collect(&mut producer).len(), 1);
        shared.check_sealed();
        // The worker cannot change a new task in the same slot.
        producer.publish(0, &[2], Bytes::Present);
        assert!(shared.work_off(&main).unwrap());
        assert_eq!(shared.collect(&mut producer), [2]);
    });
}
