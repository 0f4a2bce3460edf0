//! The terminal goes away: its window is closed, or the connection is lost. SIGHUP ends its shell
//! and is sent to all processes in the foreground.

use crate::common::Dir;
use crate::common::group::wait_until;
use crate::common::pty::{PipeFeeder, Terminal};

/// Runs a script below the terminal's own shell, and writes its exit status to the file `status`.
/// `trap` is how the script handles SIGHUP.
fn start(dir: &Dir, trap: &str, script: &str) -> Terminal {
    dir.write("job", format!("trap {trap} HUP; {script}; echo $? > status"));
    Terminal::start(dir, "bash job; exit $?")
}

/// Waits for the exit status.
#[track_caller]
fn status(dir: &Dir) -> String {
    // The shell itself writes it: the signal, which may come late, ends other programs.
    let is_there = || std::fs::read(dir.path("status")).is_ok_and(|text| text.ends_with(b"\n"));
    wait_until("the job has ended", is_there);
    let status = String::from_utf8(dir.read("status")).unwrap();
    std::fs::remove_file(dir.path("status")).unwrap();
    status.trim().to_owned()
}

/// A trap that does nothing, which programs do not inherit, and an ignored signal, which they do,
/// as with nohup.
const TRAPS: [&str; 2] = [":", "''"];

#[test]
fn a_prompt_ends_with_its_terminal() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for trap in TRAPS {
        let mut terminal = start(&dir, trap, "$CS encrypt -p plain 2> errors");
        terminal.wait_for("New passphrase");
        assert!(terminal.is_hidden());
        terminal.hang_up();
        // The signal ends it, or the program notices first that the terminal gives no answer.
        let (status, errors) = (status(&dir), String::from_utf8(dir.read("errors")).unwrap());
        assert!(status == "64" || (status == "129" && trap == ":"), "{status}: {errors}");
        assert_eq!(dir.snapshot().len(), 3, "{:?}", dir.names());
    }
}

#[test]
fn programs_that_wait_for_their_turn_to_ask_end_with_the_terminal_too() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for trap in TRAPS {
        let script = "$CS encrypt -p plain a 2>> errors | $CS encrypt -p plain b 2>> errors | \
                      $CS encrypt -p plain c 2>> errors";
        let mut terminal = start(&dir, trap, script);
        terminal.wait_for("New passphrase");
        terminal.hang_up();
        status(&dir);
        assert_eq!(dir.snapshot().len(), 3, "{:?}", dir.names());
    }
}

#[test]
fn a_run_with_a_bar_ends_with_its_terminal_and_leaves_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut feed = PipeFeeder::new(&dir);
    let mut terminal = start(&dir, TRAPS[0], "$CS encrypt -i id - out < feed");
    feed.until(&mut terminal, " · for ");
    terminal.hang_up();
    assert_eq!(status(&dir), "129");
    assert_eq!(dir.snapshot().len(), 3, "{:?}", dir.names());
}

#[test]
fn with_nohup_a_run_goes_on_without_its_terminal() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut feed = PipeFeeder::new(&dir);
    let mut terminal = start(&dir, TRAPS[1], "$CS encrypt -i id - out < feed");
    feed.until(&mut terminal, " · for ");
    terminal.hang_up();
    for _ in 0..100 {
        feed.more();
    }
    drop(feed);
    assert_eq!(status(&dir), "0");
    dir.run(&["verify", "-i", "id", "out"]).ok();
}
