//! Signals, and keys that send them, during a passphrase prompt. As with sudo and ssh, the terminal
//! echoes again whatever ends or stops the program.

use rustix::process::{Pid, Signal, kill_process};

use crate::common::Dir;
use crate::common::group::wait_until;
use crate::common::pty::Terminal;

/// Runs a command and writes its process ID to the file `pid`.
pub(super) fn with_pid(command: &str) -> String {
    with_pid_in("pid", command)
}

/// Like `with_pid`, with another file.
pub(super) fn with_pid_in(file: &str, command: &str) -> String {
    format!("(echo $BASHPID > {file}; exec $CS {command})")
}

pub(super) fn pid(dir: &Dir) -> Pid {
    let text = String::from_utf8(dir.read("pid")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Waits until a program asks or waits for its turn. A shell that is about to start it may lose a
/// signal.
#[track_caller]
pub(super) fn wait_until_it_would_ask(dir: &Dir, file: &str) {
    // Only then does it have a handler for SIGCONT.
    let has_handler = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let caught = u64::from_str_radix(field("SigCgt:")?, 16).ok()?;
        Some(field("Name:")? == "cryptstream" && caught & 1 << 17 != 0)
    };
    wait_until("the program would ask", || {
        let pid = std::fs::read_to_string(dir.path(file)).unwrap_or_default();
        has_handler(&pid) == Some(true)
    });
}

/// Waits until a process is stopped.
#[track_caller]
fn wait_stopped(pid: Pid) {
    wait_until("the program has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.unwrap().rsplit_once(") ").unwrap().1.starts_with('T')
    });
}

/// Text typed before the program was stopped is not part of the answer.
#[track_caller]
fn assert_passphrase(dir: &Dir, passphrase: &str) {
    let done = dir.run(&["decrypt", "plain.enc", "-", "--key", passphrase]);
    assert_eq!(done.ok().stdout, b"content");
    std::fs::remove_file(dir.path("plain.enc")).unwrap();
}

#[test]
fn keys_that_end_a_program_work_at_a_prompt_and_leave_the_terminal_as_it_was() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script =
        "trap 'echo the script heard it too' INT QUIT; $CS encrypt -p plain; echo ended $?";
    for (keys, ended) in [("abc\u{3}", "ended 130"), ("abc\u{1c}", "ended 131")] {
        let mut terminal = Terminal::start(&dir, script);
        terminal.wait_for("New passphrase");
        terminal.answer(keys);
        terminal.wait_for(ended);
        assert!(terminal.is_as_before());
        let (_, text) = terminal.end();
        // The whole foreground group gets the signal, so the script does too.
        assert!(text.contains("the script heard it too") && !text.contains("abc"), "{text}");
        assert_eq!(dir.snapshot().len(), 1);
    }
}

#[test]
fn signals_at_a_prompt_leave_the_terminal_as_it_was() {
    let dir = Dir::new();
    dir.write("plain", "content");
    for (signal, ended) in [
        (Signal::TERM, "ended 143"),
        (Signal::HUP, "ended 129"),
        (Signal::INT, "ended 130"),
        (Signal::QUIT, "ended 131"),
    ] {
        let script = format!("{}; echo ended $?", with_pid("encrypt -p plain"));
        let mut terminal = Terminal::start(&dir, &script);
        terminal.wait_for("New passphrase");
        assert!(terminal.is_hidden());
        kill_process(pid(&dir), signal).unwrap();
        terminal.wait_for(ended);
        assert!(terminal.is_as_before());
        terminal.end();
        assert_eq!(dir.snapshot().len(), 2, "{:?}", dir.names());
    }
}

#[test]
fn a_prompt_can_be_stopped_and_continued() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script = "set -m; $CS encrypt -p plain $CHEAP; echo stopped $?; read line; fg";
    let mut terminal = Terminal::start(&dir, script);
    terminal.wait_for("New passphrase");
    terminal.answer("abc\u{1a}");
    terminal.wait_for("stopped 14");
    assert!(terminal.is_as_before());
    // Text typed meanwhile goes to the shell.
    terminal.press("shown\r");
    terminal.wait_for("New passphrase");
    terminal.answer("pass word\r");
    terminal.wait_for("Confirm");
    terminal.answer("pass word\r");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("shown") && !text.contains("pass word"), "{text}");
    assert_passphrase(&dir, "pass word");
}

#[test]
fn a_prompt_that_another_program_stops_gives_the_terminal_back_and_comes_again() {
    let dir = Dir::new();
    dir.write("plain", "content");
    // A separate shell waits for it, and does not take the terminal when it stops.
    dir.write("job", with_pid("encrypt -p plain $CHEAP"));
    for signal in [Signal::TSTP, Signal::STOP] {
        let mut terminal = Terminal::start(&dir, "set -m; bash job; exit $?");
        terminal.wait_for("New passphrase");
        assert!(terminal.is_hidden());
        terminal.press("abc");
        let pid = pid(&dir);
        kill_process(pid, signal).unwrap();
        wait_stopped(pid);
        // No program can notice SIGSTOP.
        assert!(signal == Signal::STOP || terminal.is_as_before());
        kill_process(pid, Signal::CONT).unwrap();
        terminal.wait_for("New passphrase");
        if signal == Signal::STOP {
            // The terminal has kept the typed text, which is removed again.
            terminal.answer("\u{15}");
        }
        terminal.answer("pass word\r");
        terminal.wait_for("Confirm");
        terminal.answer("pass word\r");
        wait_until("the program has ended", || rustix::process::test_kill_process(pid).is_err());
        assert!(terminal.is_as_before());
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{text}");
        assert!(!text.contains("abc") && !text.contains("pass word"), "{text}");
        assert_passphrase(&dir, "pass word");
    }
}

#[test]
fn in_the_background_nothing_is_asked_until_the_program_comes_to_the_front() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script = "set -m; $CS encrypt -p plain $CHEAP & echo $! > pid; echo ready; read line; fg";
    let mut terminal = Terminal::start(&dir, script);
    terminal.wait_for("ready");
    wait_stopped(pid(&dir));
    assert!(terminal.is_as_before());
    assert!(!terminal.text().contains("passphrase"), "{}", terminal.text());
    terminal.press("\r");
    terminal.wait_for("New passphrase");
    terminal.answer("pass word\r");
    terminal.wait_for("Confirm");
    terminal.answer("pass word\r");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert_passphrase(&dir, "pass word");
}
