//! A worker that is done with a file keeps its descriptor, and writes to the file when
//! that has its name and is trusted.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::{Dir, test_bytes};
use crate::neighbour::{Victim, descriptors, go_on, is_writer, names, stop};

const FILES: usize = 24;
const LEN: usize = 3 << 20;

#[test]
fn no_worker_can_write_to_a_file_that_has_its_name() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("plain")).unwrap();
    for number in 0..FILES {
        dir.write(format!("plain/{number}"), test_bytes(LEN));
    }
    let args =
        ["encrypt", "-i", "id", "plain", "encrypted", "--processes", "2", "--sandbox", "off"];
    let mut victim = Victim::start(dir.command(&args));
    let holds = |worker| {
        descriptors(worker).into_iter().filter(move |(number, _)| is_writer(worker, *number))
    };
    // A worker that cannot be asked to let go.
    let worker = victim.until("a worker has outputs", |victim| {
        let worker = *victim.workers().first()?;
        let is_file = |(number, _): &(u32, _)| names(worker, *number).is_some();
        (holds(worker).filter(is_file).count() >= 3).then_some(worker)
    });
    stop(worker);
    let start = Instant::now();
    let mut seen = 0;
    while start.elapsed() < Duration::from_secs(2) {
        for (number, link) in holds(worker) {
            let names = names(worker, number);
            seen += usize::from(names == Some(0));
            let is_named = names.is_some_and(|names| names > 0);
            if is_named {
                let _ = victim.child.kill();
            }
            assert!(!is_named, "{link:?} has its name");
        }
    }
    assert!(seen > 0, "the worker had no output");
    go_on(worker);
    victim.end().ok();
    for number in 0..FILES {
        let decrypted =
            dir.run(&["decrypt", "-i", "id", &format!("encrypted/{number}.enc"), "-"]).ok();
        assert!(decrypted.stdout == test_bytes(LEN));
    }
}
