//! Workers that are killed, at each point of a task and at any moment.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cryptstream_shm::queue::Task;
use cryptstream_shm::{Bytes, HeldTask, Producer, RegionWords};

use crate::shared_memory::{BUFFER_LEN, CAPACITY, KINDS, SharedMemory, watched};

/// Publishes task number `number`, with its token.
fn publish(memory: &SharedMemory, producer: &mut Producer<RegionWords>, number: u64) {
    let slot = producer.free_slot().unwrap();
    let task: Task = [number, 1, 2, 3, 4, 5, 6, 7];
    producer.publish(slot, &task, Bytes::Absent);
    memory.work.post(1).unwrap();
}

/// A completed task.
#[derive(Debug, PartialEq, Eq)]
struct Done {
    attempt: u8,
    /// The worker whose bytes were used.
    read_by: u64,
    done_by: u64,
}

/// Collects all completed tasks by number, and checks each.
fn collect(producer: &mut Producer<RegionWords>, done: &mut HashMap<u64, Done>) {
    while let Some(completed) = producer.first_done().unwrap() {
        let number = producer.task(completed.slot()).unwrap()[0];
        let [task, sum, read_by, done_by] = *completed.result();
        assert_eq!(task, number, "the result of this task");
        assert_eq!(sum, BUFFER_LEN as u64 * read_by, "bytes of one reader");
        assert_eq!(done_by, u64::from(completed.worker().get()));
        let attempt = completed.attempt();
        let before = done.insert(number, Done { attempt, read_by, done_by });
        assert_eq!(before, None, "once");
        producer.retire(completed);
    }
}

/// Worker 1 stops at `point` of its first task and is killed; worker 2 does the rest. Returns what
/// was held, and the tasks.
fn killed_at(point: &'static str) -> Vec<(Vec<HeldTask>, HashMap<u64, Done>)> {
    KINDS
        .into_iter()
        .map(|kind| {
            let memory = SharedMemory::new(kind);
            let mut producer = memory.producer();
            let first = memory.start(1, point);
            for number in 0..3 {
                publish(&memory, &mut producer, number);
            }
            first.expect(point);
            let dead = first.kill();
            let held = producer.recover(dead).unwrap();
            memory.work.post(held.len() as u32 + 1).unwrap();

            let second = memory.start(2, "never");
            let mut done = HashMap::new();
            collect(&mut producer, &mut done);
            while done.len() < 3 {
                assert!(memory.news.wait(None).unwrap());
                collect(&mut producer, &mut done);
            }
            drop(second);
            assert_eq!(producer.outstanding(), 0);
            (held, done)
        })
        .collect()
}

/// Checks the task that worker 1 held when it was killed at `point`; the other two are worker 2's.
fn check(point: &'static str, held: Option<HeldTask>, first: Done) {
    watched(move || {
        for (actually_held, mut done) in killed_at(point) {
            assert_eq!(actually_held, Vec::from_iter(held), "{point}");
            assert_eq!(done.remove(&0).as_ref(), Some(&first), "{point}");
            for other in done.into_values() {
                assert_eq!(other, Done { attempt: 0, read_by: 2, done_by: 2 }, "{point}");
            }
        }
    });
}

#[test]
fn killed_before_it_takes_a_token() {
    check("start", None, Done { attempt: 0, read_by: 2, done_by: 2 });
}

#[test]
fn killed_with_a_token_in_hand() {
    check("token", None, Done { attempt: 0, read_by: 2, done_by: 2 });
}

#[test]
fn killed_after_the_claim() {
    let held = HeldTask { slot: 0, attempt: 1, bytes: Bytes::Absent };
    check("claimed", Some(held), Done { attempt: 1, read_by: 2, done_by: 2 });
}

#[test]
fn killed_while_loading() {
    let held = HeldTask { slot: 0, attempt: 1, bytes: Bytes::Absent };
    check("half loaded", Some(held), Done { attempt: 1, read_by: 2, done_by: 2 });
}

#[test]
fn killed_after_loading() {
    // The redo works from the dead worker's bytes.
    let held = HeldTask { slot: 0, attempt: 1, bytes: Bytes::Present };
    check("loaded", Some(held), Done { attempt: 1, read_by: 1, done_by: 2 });
}

#[test]
fn killed_after_completing() {
    check("done", None, Done { attempt: 0, read_by: 1, done_by: 1 });
}

#[test]
fn killed_after_telling() {
    check("told", None, Done { attempt: 0, read_by: 1, done_by: 1 });
}

#[test]
fn three_deaths_over_one_task_are_counted() {
    watched(|| {
        let memory = SharedMemory::new(KINDS[0]);
        let mut producer = memory.producer();
        publish(&memory, &mut producer, 0);
        for (id, point) in [(1, "claimed"), (2, "loaded"), (3, "loaded")] {
            let worker = memory.start(id, point);
            worker.expect(point);
            let held = producer.recover(worker.kill()).unwrap();
            assert_eq!(held[0].attempt, id as u8);
            assert_eq!(producer.attempts(0), id as u8);
            memory.work.post(2).unwrap();
        }
        let worker = memory.start(4, "done");
        worker.expect("done");
        let mut done = HashMap::new();
        collect(&mut producer, &mut done);
        assert_eq!(done[&0], Done { attempt: 3, read_by: 2, done_by: 4 });
    });
}

#[test]
fn killed_at_any_moment_again_and_again() {
    watched(|| {
        const TASKS: u64 = 3_000;
        for kind in KINDS {
            let memory = SharedMemory::new(kind);
            let mut producer = memory.producer();
            let mut ids = 1..;
            let mut start = || memory.start(ids.next().unwrap(), "slowly");
            let mut workers = vec![start(), start(), start()];
            let (mut done, mut next, mut deaths) = (HashMap::new(), 0, 0);
            let mut kill_at = Instant::now() + Duration::from_millis(20);
            let is_redone = |done: &HashMap<u64, Done>| done.values().any(|done| done.attempt > 0);
            // As many tasks as needed: how many workers die meanwhile depends on the machine's
            // speed.
            loop {
                let wants_more = next < TASKS || deaths <= 10 || !is_redone(&done);
                if !wants_more && done.len() as u64 == next {
                    break;
                }
                while wants_more && producer.free_slot().is_some() {
                    publish(&memory, &mut producer, next);
                    next += 1;
                }
                if Instant::now() >= kill_at {
                    let dead = workers.remove(0).kill();
                    let held = producer.recover(dead).unwrap();
                    memory.work.post(held.len() as u32 + 1).unwrap();
                    workers.push(start());
                    deaths += 1;
                    // Irregular intervals, so that the workers cannot synchronize with them.
                    kill_at = Instant::now() + Duration::from_micros(500 + 739 * (deaths % 23));
                }
                // With a timeout, since a dead worker may not have posted.
                memory.news.wait(Some(Duration::from_millis(1))).unwrap();
                collect(&mut producer, &mut done);
            }
            let redone = done.values().filter(|done| done.attempt > 0).count();
            println!("{kind:?}: {deaths} deaths, {redone} of {next} tasks redone");
            assert!(deaths > 10 && redone > 0 && producer.outstanding() <= CAPACITY);
        }
    });
}
