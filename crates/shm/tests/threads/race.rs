//! The threads, and the memory that the queue guards.
#![allow(unsafe_code, reason = "plain memory that the queue guards")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use cryptstream_shm::memory::AtomicU64;
use cryptstream_shm::queue::TASK_WORDS;
use cryptstream_shm::{Bytes, Consumer, HeapWords, Memory, Producer, QueueLayout, WorkerId};

const CAPACITY: usize = 4;
const CONSUMERS: usize = 3;
/// A race detector is some ten times slower.
const TASKS: u64 = 20_000;
/// How often a consumer drops what it holds, as if it died.
const DEATHS: u64 = 100;

/// A slot's buffer: the number that main writes, the bytes that a worker reads,
/// and what it makes of them.
#[derive(Default)]
struct Buffer(UnsafeCell<[u64; 3]>);

// SAFETY: that is what is tested: whoever holds the slot has the buffer alone.
unsafe impl Sync for Buffer {}

/// Memory by reference, since the threads are scoped.
struct Words<'a>(&'a HeapWords);

impl Memory for Words<'_> {
    fn word(&self, index: usize) -> &AtomicU64 {
        self.0.word(index)
    }

    fn words(&self) -> usize {
        self.0.words()
    }
}

pub(super) fn run() {
    let layout = QueueLayout::new(CAPACITY).unwrap();
    let words = HeapWords::new(layout.words());
    let buffers: [Buffer; CAPACITY] = Default::default();
    let is_over = AtomicBool::new(false);
    // For each thread the id under which it stopped with a claimed task, until main has handled it.
    // (Not a mutex: the standard library is not instrumented, and the detector would not see that
    // it excludes.)
    let dead: [AtomicU16; CONSUMERS] = Default::default();

    thread::scope(|scope| {
        let consumers = [0, 1, 2].map(|index: usize| {
            let (words, buffers, is_over) = (&words, &buffers, &is_over);
            let (first, dead) = (index as u16 + 1, &dead[index]);
            scope.spawn(move || {
                let mut id = first;
                while !is_over.load(Ordering::Relaxed) {
                    let worker = WorkerId::new(id);
                    let consumer = Consumer::new(Words(words), layout, worker).unwrap();
                    work(&consumer, buffers, is_over);
                    // Orders its accesses before main's, as a death does.
                    dead.store(id, Ordering::Release);
                    while dead.load(Ordering::Relaxed) != 0 && !is_over.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                    id += CONSUMERS as u16;
                }
            })
        });

        let mut producer = Producer::new(Words(&words), layout).unwrap();
        let (mut published, mut done, mut redone) = (0, 0, 0);
        while done < TASKS {
            while let Some(slot) = producer.free_slot().filter(|_| published < TASKS) {
                // SAFETY: the slot is free, and so nobody else's.
                unsafe { *buffers[slot].0.get() = [published, 0, 0] };
                producer.publish(slot, &[published; TASK_WORDS], Bytes::Absent);
                published += 1;
            }
            if let Some(completed) = producer.first_done().unwrap() {
                let number = producer.task(completed.slot()).unwrap()[0];
                // SAFETY: the slot is done, and so main's.
                let [task, bytes, sealed] = unsafe { *buffers[completed.slot()].0.get() };
                assert_eq!((task, bytes, sealed), (number, number + 1, number + 2));
                assert_eq!(completed.result()[0], number + 2);
                producer.retire(completed);
                done += 1;
            } else {
                thread::yield_now();
            }
            for dead in &dead {
                let id = dead.load(Ordering::Acquire);
                if id != 0 {
                    redone += producer.recover(WorkerId::new(id)).unwrap().len();
                    dead.store(0, Ordering::Relaxed);
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
        // The detector sees this join of a thread; it does not see the end of the scope.
        for consumer in consumers {
            consumer.join().unwrap();
        }
        println!("threads: {redone} of {TASKS} tasks redone");
        assert!(redone > 0);
    });
}

/// Works on tasks until it "dies" with one of them.
fn work(consumer: &Consumer<Words<'_>>, buffers: &[Buffer; CAPACITY], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let Some(mut claim) = consumer.claim() else {
            thread::yield_now();
            continue;
        };
        let number = claim.task()[0];
        let dies = number % (TASKS / DEATHS) == 7 && claim.attempt() < 2;
        if dies && claim.attempt() == 0 {
            return;
        }
        let buffer = buffers[claim.slot()].0.get();
        // SAFETY: the slot is claimed, and so the buffer is this thread's.
        let [task, bytes, sealed] = unsafe { &mut *buffer };
        assert_eq!(*task, number, "what main has written");
        if claim.is_loaded() {
            assert_eq!(*bytes, number + 1, "what the predecessor has read");
        } else {
            *bytes = *task + 1;
        }
        claim.mark_loaded().unwrap();
        if dies {
            return;
        }
        *sealed = *bytes + 1;
        claim.complete(&[*sealed, 0, 0, 0]).unwrap();
    }
}
