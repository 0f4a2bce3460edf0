//! Semaphores and the channel, between processes.

use std::time::Duration;

use crate::world::{KINDS, LIMIT, World, watched};

#[test]
fn tokens_go_to_and_fro() {
    watched(|| {
        for kind in KINDS {
            let world = World::new(kind);
            let echoes: Vec<_> = (1..4).map(|id| world.start(id, "echo")).collect();
            for count in [1, 2, 100] {
                for _ in 0..100 {
                    world.work.post(count).unwrap();
                    for _ in 0..count {
                        assert!(world.news.wait(Some(LIMIT)).unwrap());
                    }
                }
            }
            assert!(!world.news.wait(Some(Duration::ZERO)).unwrap(), "as many as were posted");
            drop(echoes);
        }
    });
}

#[test]
fn a_sleeper_that_is_killed_takes_no_token() {
    watched(|| {
        for kind in KINDS {
            let world = World::new(kind);
            for (id, sleep) in [(1, 0), (2, 50)] {
                let sleeper = world.start(id, "sleep");
                sleeper.expect("asleep soon");
                std::thread::sleep(Duration::from_millis(sleep));
                sleeper.kill();
            }
            let other = world.start(3, "sleep");
            other.expect("asleep soon");
            world.work.post(1).unwrap();
            other.expect("awake");
        }
    });
}

#[test]
fn a_dead_process_is_an_end_of_the_channel() {
    watched(|| {
        let world = World::new(KINDS[0]);
        let child = world.start(1, "token");
        world.work.post(1).unwrap();
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
