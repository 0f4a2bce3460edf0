//! Semaphores and the channel, between processes.

use std::time::Duration;

use crate::shared_memory::{KINDS, LIMIT, SharedMemory, watched};

#[test]
fn tokens_go_to_and_fro() {
    watched(|| {
        for kind in KINDS {
            let memory = SharedMemory::new(kind);
            let echoes: Vec<_> = (1..4).map(|id| memory.start(id, "echo")).collect();
            for count in [1, 2, 100] {
                for _ in 0..100 {
                    memory.work.post(count).unwrap();
                    for _ in 0..count {
                        assert!(memory.news.wait(Some(LIMIT)).unwrap());
                    }
                }
            }
            assert!(!memory.news.wait(Some(Duration::ZERO)).unwrap(), "as many as were posted");
            drop(echoes);
        }
    });
}

#[test]
fn a_sleeper_that_is_killed_takes_no_token() {
    watched(|| {
        for kind in KINDS {
            let memory = SharedMemory::new(kind);
            for (id, sleep) in [(1, 0), (2, 50)] {
                let sleeper = memory.start(id, "sleep");
                sleeper.expect("asleep soon");
                std::thread::sleep(Duration::from_millis(sleep));
                sleeper.kill();
            }
            let other = memory.start(3, "sleep");
            other.expect("asleep soon");
            memory.work.post(1).unwrap();
            other.expect("awake");
        }
    });
}

#[test]
fn a_dead_process_is_an_end_of_the_channel() {
    watched(|| {
        let memory = SharedMemory::new(KINDS[0]);
        let child = memory.start(1, "token");
        memory.work.post(1).unwrap();
        child.expect("token");
        std::thread::scope(|scope| {
            let channel = &child.channel;
            let receiver = scope.spawn(move || channel.receive().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(20));
            let pid = rustix::process::Pid::from_raw(child.pid()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            assert!(receiver.join().unwrap());
        });
    });
}
