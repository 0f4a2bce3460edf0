//! Main, which works along while a worker is not ready, takes its segments from shared
//! memory, where a neighbour says that each is the first one.

use std::process::Child;

use crate::common::{Dir, test_bytes};
use crate::neighbour::{Shared, Victim, memories, stop};

const LEN: usize = (96 << 20) - 1;
/// The last segment: one has 1 MiB.
const LAST: u64 = 95;

#[test]
fn main_does_the_segments_that_it_has_planned() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can reach main's memory");
        return;
    }
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(LEN));
    // The moment between a segment's publication and its claim is short.
    for _ in 0..crate::rounds().min(30) {
        let mut victim = alone_with_its_memory(&dir);
        let shared = Shared::of(victim.main()).unwrap();
        while !victim.is_over() {
            shared.misdirect(LAST);
        }
        let done = victim.end();
        // An error would do too.
        if done.code() == Some(0) {
            let decrypted = dir.run(&["decrypt", "-i", "id", "encrypted", "-"]);
            assert!(
                decrypted.code() == Some(0) && decrypted.stdout == test_bytes(LEN),
                "{decrypted:?}"
            );
        }
    }
}

/// A run whose worker was stopped before it was ready, so that main does everything
/// itself. The moment is short, so it takes a few tries.
fn alone_with_its_memory(dir: &Dir) -> Victim {
    for _ in 0..200 {
        let args = ["encrypt", "-i", "id", "plain", "encrypted", "--processes", "1", "--force"];
        let mut victim = Victim::start(dir.command(&args));
        while victim.workers().is_empty() && !victim.is_over() {}
        if let Some(&worker) = victim.workers().first() {
            stop(worker);
            // The second is what it makes for itself before it is ready.
            if memories(worker) < 2 && Shared::of(victim.main()).is_some() {
                return victim;
            }
        }
        give_up(&mut victim.child);
    }
    panic!("main's memory cannot be reached");
}

fn give_up(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}
