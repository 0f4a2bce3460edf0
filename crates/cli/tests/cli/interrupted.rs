//! Signals, closed pipes and slow pipes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::group::wait_until;
use crate::common::{CHEAP, Dir, test_bytes};
use rustix::process::{Pid, Signal, kill_process};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Whether the program holds an unnamed file open, and so is at work.
fn holds_unnamed_file(child: &Child) -> bool {
    let fds = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
    fds.into_iter().any(|fd| {
        fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().contains("(deleted)"))
    })
}

#[test]
fn an_interruption_leaves_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    for (number, kill) in
        [(2, Signal::INT), (15, Signal::TERM), (1, Signal::HUP), (9, Signal::KILL)]
    {
        // Waiting for input, with some of it already encrypted.
        let mut child = dir.command(&["encrypt", "-i", "id", "-", "out"]).spawn();
        child.stdin.as_mut().unwrap().write_all(&test_bytes(3 << 20)).unwrap();
        wait_until("at work", || holds_unnamed_file(&child));
        signal(&child, kill);
        let done = crate::common::wait(child);
        assert_eq!(done.status.signal(), Some(number));
        assert_eq!(dir.snapshot().len(), 1);
    }
    // A shell reports 128 + the signal's number.
    let script = "(sleep 0.3; kill -INT $$) & exec $CS encrypt -i id - out < <(sleep 5)";
    let status = dir.shell(&format!("bash -c '{script}'; echo $?")).run().stdout_text();
    assert_eq!(status.trim(), "130");
}

#[test]
fn an_interruption_during_the_key_derivation_leaves_nothing() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let child =
        dir.command(&["encrypt", "plain", "--key", "x", "--argon2id", "512MiB,8,4"]).spawn();
    wait_until("at work", || holds_unnamed_file(&child));
    signal(&child, Signal::TERM);
    assert_eq!(crate::common::wait(child).status.signal(), Some(15));
    assert_eq!(dir.snapshot().len(), 1);
}

#[test]
fn at_any_moment_of_replacing_a_file_it_is_the_old_or_the_new_one() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("old", "old content");
    dir.write("new", "new content");
    dir.run(&["encrypt", "-i", "id", "old", "out"]).ok();
    let start = Instant::now();
    dir.run(&["encrypt", "-i", "id", "new", "out", "--force"]).ok();
    let whole_run = start.elapsed();
    let rounds = 60;
    for round in 0..rounds {
        let kill = [Signal::KILL, Signal::INT, Signal::TERM][round % 3];
        let child = dir.command(&["encrypt", "-i", "id", "new", "out", "--force"]).spawn();
        let own = format!("-{}-", child.id());
        thread::sleep(whole_run * u32::try_from(round).unwrap() / rounds as u32);
        signal(&child, kill);
        let done = crate::common::wait(child);
        let content = dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout;
        assert_eq!(content, b"new content");
        if kill != Signal::KILL {
            // Its own temporary file: one that SIGKILL left in an earlier round may still exist.
            let temporary =
                dir.snapshot().into_keys().find(|path| path.to_string_lossy().contains(&own));
            assert_eq!(temporary, None, "round {round}: {done:?}");
        }
    }
    // The next run removes what SIGKILL left.
    dir.run(&["encrypt", "-i", "id", "new", "out", "--force"]).ok();
    assert_eq!(dir.snapshot().len(), 4);
}

#[test]
fn of_two_runs_for_one_name_one_wins_and_the_other_says_so() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut slow = dir.command(&["encrypt", "-i", "id", "-", "out"]).spawn();
    slow.stdin.as_mut().unwrap().write_all(b"slow").unwrap();
    wait_until("at work", || holds_unnamed_file(&slow));
    dir.command(&["encrypt", "-i", "id", "-", "out"]).input(b"fast").run().ok();
    let done = crate::common::wait(slow);
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert_eq!(dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout, b"fast");
    assert_eq!(dir.snapshot().len(), 2);
}

#[test]
fn a_reader_that_stops_early_is_not_a_failure() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(8 << 20));
    dir.run(&["encrypt", "-i", "id", "plain"]).ok();
    for command in ["encrypt -i id plain -", "decrypt -i id plain.enc -", "--help"] {
        let script =
            format!("($CS {command}; echo $? > status) | head -c 10 > /dev/null; cat status");
        let done = dir.shell(&script).run();
        assert_eq!(
            (done.stdout_text().trim(), done.stderr_text().as_str()),
            ("0", ""),
            "{command}"
        );
    }
}

#[test]
fn a_pipe_that_gives_one_byte_at_a_time() {
    let dir = Dir::new();
    let content = test_bytes(3000);
    let encrypted = dir.encrypted(&content);
    let trickle = |args: &[&str], bytes: &[u8]| {
        let mut child = dir.command(args).spawn();
        let mut stdin = child.stdin.take().unwrap();
        for byte in bytes {
            stdin.write_all(&[*byte]).unwrap();
            stdin.flush().unwrap();
        }
        drop(stdin);
        crate::common::wait(child).ok().stdout
    };
    assert!(trickle(&["decrypt", "-", "-", "-i", "id"], &encrypted) == content);
    let encrypted_again = trickle(&["encrypt", "-", "-", "-i", "id"], &content);
    let decrypted =
        dir.command(&["decrypt", "-", "-", "-i", "id"]).input(&encrypted_again).run().ok();
    assert!(decrypted.stdout == content);
}

#[test]
fn a_reader_that_stalls_loses_nothing() {
    let dir = Dir::new();
    let content = test_bytes(5 << 20);
    dir.write("a.enc", dir.encrypted(&content));
    let mut child = dir.command(&["decrypt", "-i", "id", "a.enc", "-"]).spawn();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = vec![0; 1000];
    stdout.read_exact(&mut first).unwrap();
    thread::sleep(Duration::from_millis(300));
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert!(crate::common::wait_status(&mut child).success());
    assert!([first, rest].concat() == content);
}

#[test]
fn being_stopped_and_continued_changes_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(40 << 20));
    let child = dir.command(&["encrypt", "plain", "--key", "x", CHEAP]).spawn();
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(5));
        let _ = kill_process(Pid::from_child(&child), Signal::STOP);
        thread::sleep(Duration::from_millis(5));
        let _ = kill_process(Pid::from_child(&child), Signal::CONT);
    }
    crate::common::wait(child).ok();
    assert!(
        dir.run(&["decrypt", "plain.enc", "-", "--key", "x"]).ok().stdout == test_bytes(40 << 20)
    );
}
