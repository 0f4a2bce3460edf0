//! A worker's standard error is that of the caller: from a terminal, it could read
//! what the user types, and write what a terminal obeys.

use std::fs;

use crate::close_descriptors::waiting_for_input;
use crate::common::Dir;

#[test]
fn workers_do_not_have_the_callers_standard_error() {
    let dir = Dir::new();
    dir.keygen("id");
    let script = "exec $CS encrypt -i id --processes 2 --sandbox off - encrypted 2>told";
    let (victim, stdin) = waiting_for_input(&dir, script);
    let told = dir.path("told");
    for worker in victim.workers() {
        let link = |number| {
            fs::read_link(format!("/proc/{}/fd/{number}", worker.as_raw_nonzero())).unwrap()
        };
        assert_ne!(link(2), told, "it can write there");
        assert_eq!(link(1).to_str(), Some("/dev/null"));
    }
    drop(stdin);
    victim.end().ok();
}
