//! Whoever owns a tree exchanges what is in it while `--remove-source` removes files.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Dir, Done, clear_defaults, wait};
use crate::exchange::{exchanging, repeating};
use crate::rounds;

const FILES: usize = 40;

fn remove(dir: &Dir, is_slow: bool) -> Done {
    let args = ["encrypt", "-i", "id", "in", "out", "--remove-source"];
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=unlink,unlinkat"]);
    command.args(["-e", "inject=unlink,unlinkat:delay_enter=1000"]);
    command.arg(env!("CARGO_BIN_EXE_cryptstream")).args(args).current_dir(dir.root());
    clear_defaults(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match is_slow.then(|| command.spawn()) {
        Some(Ok(child)) => wait(child),
        _ => dir.run(&args),
    }
}

#[test]
fn a_folder_becomes_a_link_to_another() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("beside")).unwrap();
    symlink("../victim", dir.path("beside/link")).unwrap();
    for round in 0..rounds() {
        for folder in ["out", "in", "victim"] {
            let _ = fs::remove_dir_all(dir.path(folder));
        }
        for folder in ["in/sub", "victim"] {
            fs::create_dir_all(dir.path(folder)).unwrap();
            for number in 0..FILES {
                dir.write(format!("{folder}/{number}"), "of the same length");
            }
        }
        let (sub, link) = (dir.path("in/sub"), dir.path("beside/link"));
        // Removing takes its time in every other round, where there is strace.
        let done = exchanging(&sub, &link, None, || remove(&dir, round % 2 == 0));
        assert!([0, 66, 74, 75].contains(&done.code().unwrap()), "{done:?}");
        assert_eq!(fs::read_dir(dir.path("victim")).unwrap().count(), FILES, "round {round}");
        // What is gone is encrypted.
        let is_link = fs::symlink_metadata(dir.path("out/sub")).is_ok_and(|it| it.is_symlink());
        for number in (0..FILES).filter(|_| !is_link) {
            let encrypted = dir.path("out/sub").join(format!("{number}.enc"));
            assert!(dir.path("in/sub").join(number.to_string()).exists() || encrypted.exists());
        }
    }
}

/// An editor that saves while the file is removed loses nothing: every version that it
/// has written is encrypted, or still there.
#[test]
fn what_is_saved_meanwhile_stays() {
    let dir = Dir::new();
    dir.keygen("id");
    for round in 0..rounds() {
        let _ = fs::remove_file(dir.path("a.enc"));
        dir.write("a", "0");
        let saved = AtomicU64::new(0);
        let save = || {
            let number = saved.load(Ordering::Relaxed) + 1;
            fs::write(dir.path("new"), number.to_string()).unwrap();
            fs::rename(dir.path("new"), dir.path("a")).unwrap();
            saved.store(number, Ordering::Relaxed);
            true
        };
        let run = || dir.run(&["encrypt", "-i", "id", "a", "--remove-source"]);
        let done = repeating(None, save, run, |_| ());
        assert!([0, 74, 75].contains(&done.code().unwrap()), "round {round}: {done:?}");
        let last = saved.into_inner().to_string();
        let is_there = fs::read_to_string(dir.path("a")).is_ok_and(|text| text == last);
        let is_sealed = || {
            let done = dir.run(&["decrypt", "-i", "id", "a.enc", "-"]);
            done.code() == Some(0) && done.stdout_text() == last
        };
        assert!(is_there || is_sealed(), "round {round}: version {last} is lost");
    }
}

/// What a killed run has left is named, in a folder and alone.
#[test]
fn what_a_killed_run_has_left_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/.a.cryptstream-0123456789abcdef.removing", "whole");
    let text = dir.run(&["encrypt", "-i", "id", "in", "out"]).ok().stderr_text();
    assert!(text.contains("in/.a.cryptstream-0123456789abcdef.removing: was left"), "{text}");
    let done = dir.run(&["encrypt", "-i", "id", "in/a"]);
    let text = done.stderr_text();
    assert_eq!(done.code(), Some(66), "{text}");
    assert!(text.contains(".a.cryptstream-0123456789abcdef.removing"), "{text}");
}
