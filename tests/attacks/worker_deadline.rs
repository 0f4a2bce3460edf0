//! A worker keeps a segment for itself and tells main without end that something is
//! done: main waits for ever.

use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Dir, test_bytes};
use crate::neighbour::{LIMIT, Shared, Victim, go_on, stop};

#[test]
fn main_gives_up_on_workers_that_finish_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(96 << 20));
    let args =
        ["encrypt", "-i", "id", "plain", "encrypted", "--processes", "2", "--sandbox", "off"];
    let mut victim = Victim::start(dir.command(&args));
    let shared = victim.until("a worker keeps a segment", |victim| {
        let workers = victim.workers();
        if workers.len() < 2 {
            return None;
        }
        let shared = Shared::of(workers[0])?;
        workers.iter().copied().for_each(stop);
        let mut words = shared.words().into_iter();
        let held = words.find(|(_, word)| word.is_held() && word.worker > 0);
        // Workers are numbered in the order of their start.
        let keeper = held.map(|(_, word)| usize::from(word.worker) - 1);
        for (number, worker) in workers.iter().enumerate() {
            if keeper != Some(number) {
                go_on(*worker);
            }
        }
        keeper.map(|_| shared)
    });
    let start = Instant::now();
    while !victim.is_over() && start.elapsed() < LIMIT {
        shared.flood();
        thread::sleep(Duration::from_millis(1));
    }
    let is_over = victim.is_over();
    if !is_over {
        victim.child.kill().unwrap();
    }
    let done = victim.end();
    assert!(is_over, "it hangs");
    done.ok();
    let decrypted = dir.run(&["decrypt", "-i", "id", "encrypted", "-"]).ok();
    assert!(decrypted.stdout == test_bytes(96 << 20));
}
