//! A neighbour says of segments that they are done, though nobody has written them.

use crate::common::{Dir, Done, test_bytes};
use crate::neighbour::{Shared, Victim, go_on, stop};

#[test]
fn what_was_not_written_gets_no_name() {
    // Where the neighbour writes while main looks, main finds something impossible first:
    // status 75. That is right as well, but not what is tried here.
    let done = (0..10).map(|_| attack()).find(|done| done.code() != Some(75));
    let done = done.expect("the attack was noticed early each time");
    assert_eq!(done.code(), Some(74), "{done:?}");
    let text = done.stderr_text();
    assert!(
        text.contains("encrypted: the output has ") && text.contains(" bytes instead of "),
        "{text}"
    );
}

/// A run in which a neighbour does so. Unless it succeeds, it leaves no output.
fn attack() -> Done {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(24 << 20));
    let args =
        ["encrypt", "-i", "id", "plain", "encrypted", "--processes", "1", "--sandbox", "off"];
    let mut victim = Victim::start(dir.command(&args));
    let (worker, shared) = victim.until("the worker is at work", |victim| {
        let worker = *victim.workers().first()?;
        let shared = Shared::of(worker)?;
        shared.words().iter().any(|(_, word)| word.worker == 1).then_some((worker, shared))
    });
    stop(worker);
    let main = victim.main();
    let mut said = 0;
    victim.until("the run is over", |victim| {
        if !victim.is_over() {
            stop_unless_over(main);
            said += shared.say_done();
            go_on(main);
        }
        victim.is_over().then_some(())
    });
    let done = victim.end();
    assert!(said > 0, "the attack came too late");
    assert!(done.code() == Some(0) || !dir.path("encrypted").exists(), "{done:?}");
    done
}

/// Like [`stop`], of a process that may be a zombie by now.
fn stop_unless_over(main: rustix::process::Pid) {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", main.as_raw_nonzero()));
    if stat.is_ok_and(|stat| !stat.contains(") Z")) {
        let _ = rustix::process::kill_process(main, rustix::process::Signal::STOP);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
