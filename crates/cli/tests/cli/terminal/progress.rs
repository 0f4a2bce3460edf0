//! Progress on a terminal.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::signals::{pid, with_pid};
use crate::common::group::wait_until;
use crate::common::pty::{PipeFeeder, Terminal, shown};
use crate::common::{Dir, test_bytes};

#[test]
fn progress_appears_on_a_terminal_after_a_while_and_goes_again() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut feed = PipeFeeder::new(&dir);
    let mut terminal = Terminal::start(&dir, "$CS encrypt -i id - out < feed");
    feed.until(&mut terminal, " · for ");
    drop(feed);
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let last = text.rsplit("\u{1b}[2K").next().unwrap_or_default();
    assert!(last.starts_with("- -> out: ") && last.matches('\n').count() == 1, "{text}");
    dir.write("plain", test_bytes(3 << 20));
    let slow = "(head -c 2M plain; sleep 0.8; head -c 2M plain) | $CS encrypt -i id - out2";
    let (_, text) = shown(&dir, &format!("{slow} --progress never"));
    assert!(!text.contains(" · for "), "{text}");
    assert!(text.contains("- -> out2: 4.00 MiB -> "), "{text}");
    // A quick run shows no progress; on a busy machine it may take a few tries.
    wait_until("a run is quick", || {
        let start = Instant::now();
        let (_, text) = shown(&dir, "$CS encrypt -i id plain --force");
        let is_quick = start.elapsed() < Duration::from_millis(500);
        assert!(!is_quick || !text.contains(" % "), "{text}");
        is_quick
    });
}

#[test]
fn the_first_frame_has_no_estimate_and_units_agree() {
    let dir = Dir::new();
    dir.write("plain", test_bytes(3 << 20));
    // Half a second for the key derivation; the next frames come before there is a rate.
    let script = "(head -c 2M plain; sleep 0.7; head -c 2M plain; sleep 0.1) | \
                  $CS encrypt --key x --argon2id=256MiB,6 - out";
    let (code, text) = shown(&dir, script);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(" left"), "{text}");
    dir.shell("mkdir in; head -c 100000 plain > in/a; head -c 100000 plain > in/b").run().ok();
    dir.keygen("id");
    let (_, text) = shown(&dir, "$CS encrypt -i id in encrypted");
    assert!(text.contains("iB/s)") && !text.contains("MB/s"), "{text}");
}

#[test]
fn an_interruption_takes_the_bar_away_and_says_what_is_left() {
    let dir = Dir::new();
    dir.keygen("id");
    let (to_file, to_stdout) = ("encrypt -i id - out", "encrypt -i id - - > out");
    let no_file = "interrupted: no partial file was left";
    let a_part = "interrupted: what was written to standard output";
    for (command, words, signal, ended) in [
        (to_file, no_file, None, "ended 130"),
        (to_stdout, a_part, None, "ended 130"),
        (to_file, no_file, Some(Signal::TERM), "ended 143"),
        (to_file, no_file, Some(Signal::HUP), "ended 129"),
        (to_file, no_file, Some(Signal::QUIT), "ended 131"),
    ] {
        // The shell continues when the signal kills the program.
        let script = format!(
            "trap : INT; cat feed | {}; echo ended $?; test -s out && echo remains; rm -f out pid",
            with_pid(command)
        );
        let mut feed = PipeFeeder::new(&dir);
        let mut terminal = Terminal::start(&dir, &script);
        feed.until(&mut terminal, " · for ");
        match signal {
            // The other process of the pipe is killed as well, which must not look like the end of
            // the input.
            None => terminal.press("\x03"),
            Some(signal) => {
                kill_process(pid(&dir), signal).unwrap();
                drop(feed);
            }
        }
        terminal.wait_for(ended);
        assert!(terminal.is_as_before());
        let (_, text) = terminal.end();
        assert!(text.contains(words), "{text}");
        let after = text.split("interrupted: ").nth(1).unwrap();
        assert!(!after.contains(" · for "), "{text}");
        assert_eq!(text.contains("remains\r"), command == to_stdout, "{text}");
        assert_eq!(dir.snapshot().len(), 2, "{:?}", dir.names());
    }
}

#[test]
fn a_run_with_a_bar_can_be_stopped_and_continued() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut feed = PipeFeeder::new(&dir);
    let script = "set -m; $CS encrypt -i id - out < feed; echo stopped; read line; fg";
    let mut terminal = Terminal::start(&dir, script);
    feed.until(&mut terminal, " · for ");
    terminal.press("\x1a");
    terminal.wait_for("stopped");
    assert!(!dir.path("out").exists());
    terminal.press("\r");
    feed.until(&mut terminal, " · for ");
    drop(feed);
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    dir.run(&["verify", "-i", "id", "out"]).ok();
}

/// The current content of the bar: its last frame, without cursor movements.
fn last_frame(text: &str) -> &str {
    let mut frames = text.split(['\r', '\n']).map(|frame| frame.trim_start_matches("\u{1b}[2K"));
    frames.rfind(|frame| frame.contains("iB")).unwrap_or_default()
}

#[test]
fn a_bar_follows_the_size_of_the_terminal() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut feed = PipeFeeder::new(&dir);
    let mut terminal = Terminal::start(&dir, "$CS encrypt -i id - out < feed");
    let name = "standard input · ";
    for (columns, has_name) in [(120, true), (40, false), (15, false), (100, true)] {
        terminal.resize(columns);
        // A frame in progress may still appear after the change.
        feed.until_shown(&mut terminal, |text| {
            let frame = last_frame(text);
            frame.contains("iB")
                && frame.contains(name) == has_name
                && frame.chars().count() <= usize::from(columns)
        });
    }
    drop(feed);
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
}
