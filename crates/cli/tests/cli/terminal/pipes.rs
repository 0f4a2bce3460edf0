//! Two programs in one pipe that both ask for a passphrase.

use super::signals::{wait_until_it_would_ask, with_pid_in};
use crate::common::pty::Terminal;
use crate::common::{CHEAP, Dir};

const QUESTIONS: &[(&str, &str)] =
    &[("Passphrase for a:", "old\r"), ("New passphrase for b", "new\r"), ("Confirm", "new\r")];

/// A file for one program to decrypt and the other to encrypt again.
fn prepared() -> Dir {
    let dir = Dir::new();
    dir.write("plain", "content");
    dir.run(&["encrypt", "plain", "a", "--key", "old", CHEAP]).ok();
    dir
}

/// The pipe, and files with the process IDs of its two programs.
fn pipe() -> String {
    let open = with_pid_in("pid1", "decrypt -p a -");
    let encrypt = with_pid_in("pid2", "encrypt -p - b $CHEAP");
    format!("{open} | {encrypt}")
}

/// Waits until one program asks and the other waits for its turn.
fn wait_for_question(dir: &Dir, terminal: &mut Terminal) {
    terminal.wait_for_one_of(&[QUESTIONS[0].0, QUESTIONS[1].0]);
    wait_until_it_would_ask(dir, "pid1");
    wait_until_it_would_ask(dir, "pid2");
}

/// Answers both questions once, in any order.
fn answer_all(terminal: &mut Terminal) {
    let mut left = QUESTIONS.to_vec();
    while !left.is_empty() {
        let questions: Vec<_> = left.iter().map(|(question, _)| *question).collect();
        let (_, keys) = left.remove(terminal.wait_for_one_of(&questions));
        terminal.answer(keys);
    }
}

#[track_caller]
fn assert_done(dir: &Dir) {
    assert_eq!(dir.run(&["decrypt", "b", "-", "--key", "new"]).ok().stdout, b"content");
    std::fs::remove_file(dir.path("b")).unwrap();
}

#[test]
fn two_programs_in_one_pipe_ask_one_after_the_other() {
    let dir = prepared();
    // Either may ask first, so the answer depends on the question.
    for _ in 0..5 {
        let mut terminal =
            Terminal::start(&dir, "$CS decrypt -p a - | $CS encrypt -p - b $CHEAP; echo ended");
        answer_all(&mut terminal);
        terminal.wait_for("ended");
        assert!(terminal.is_as_before());
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{text}");
        assert_done(&dir);
    }
}

#[test]
fn an_interruption_ends_both_the_one_that_asks_and_the_one_that_waits() {
    let dir = prepared();
    let script = format!("trap : INT; {}; echo ended ${{PIPESTATUS[*]}}", pipe());
    let mut terminal = Terminal::start(&dir, &script);
    wait_for_question(&dir, &mut terminal);
    terminal.answer("\u{3}");
    terminal.wait_for("ended 130 130");
    assert!(terminal.is_as_before());
    terminal.end();
    assert!(!dir.path("b").exists());
    assert_eq!(dir.snapshot().len(), 4, "{:?}", dir.names());
}

#[test]
fn ctrl_z_stops_both_at_once_and_both_ask_again() {
    let dir = prepared();
    let script = format!("set -m; {}; echo stopped; read line; fg", pipe());
    let mut terminal = Terminal::start(&dir, &script);
    wait_for_question(&dir, &mut terminal);
    terminal.answer("abc\u{1a}");
    terminal.wait_for("stopped");
    assert!(terminal.is_as_before());
    terminal.press("\r");
    answer_all(&mut terminal);
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("abc"), "{text}");
    assert_done(&dir);
}
