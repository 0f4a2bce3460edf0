//! A worker says that it is done and has written something else. Here a neighbour
//! changes what the workers have written, which comes to the same; it stops main for so
//! long that it can take its time.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Dir, TIMEOUT, test_bytes, wait};

const LEN: usize = 48 << 20;
const MIB: usize = 1 << 20;

/// The file without a name that a process is writing.
fn unnamed(pid: u32) -> Option<PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    fds.flatten().map(|entry| entry.path()).find(|fd| {
        fs::read_link(fd).is_ok_and(|file| {
            let file = file.to_string_lossy();
            file.contains("/#") && file.ends_with(" (deleted)")
        })
    })
}

enum Outcome {
    /// Exit status and what it said.
    Changed(Option<i32>, String),
    /// It was too quick.
    Missed,
    /// This user may not do that.
    Impossible,
}

/// Runs the program, and changes a byte that it has written.
fn run_and_change(dir: &Dir, args: &[&str]) -> Outcome {
    let child = dir.command(args).spawn();
    let process = Pid::from_child(&child);
    let start = Instant::now();
    // As soon as it has begun to write it is stopped; what it has handed out goes on.
    let path = loop {
        if let Some(path) = unnamed(child.id()) {
            break Some(path);
        }
        if fs::read_dir(format!("/proc/{process}/fd", process = child.id())).is_err() {
            break None;
        }
        assert!(start.elapsed() < TIMEOUT);
    };
    let is_over = |child: std::process::Child, outcome| {
        let _ = kill_process(process, Signal::CONT);
        wait(child);
        outcome
    };
    let Some(path) = path else { return is_over(child, Outcome::Impossible) };
    std::thread::sleep(Duration::from_millis(15));
    let _ = kill_process(process, Signal::STOP);
    let Ok(file) = File::options().read(true).write(true).open(&path) else {
        return is_over(child, Outcome::Missed);
    };
    let start = Instant::now();
    let mut block = [0; 4096];
    // A place that has been written, not the first and not the last.
    let at = loop {
        let written = (1..LEN / MIB - 1).map(|mib| (mib * MIB + MIB / 2) as u64).find(|at| {
            file.read_exact_at(&mut block, *at).is_ok() && block.iter().any(|byte| *byte != 0)
        });
        match written {
            Some(at) => break at,
            None if start.elapsed() > Duration::from_secs(2) => {
                return is_over(child, Outcome::Missed);
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // What was at work there has ended.
    std::thread::sleep(Duration::from_millis(200));
    file.read_exact_at(&mut block, at).unwrap();
    block[100] ^= 1;
    file.write_all_at(&block, at).unwrap();
    drop(file);
    kill_process(process, Signal::CONT).unwrap();
    let done = wait(child);
    Outcome::Changed(done.code(), done.stderr_text())
}

fn attack(args: &[&str], source: &str, output: &str, prepare: impl Fn(&Dir)) {
    for _ in 0..20 {
        let dir = Dir::new();
        dir.keygen("id");
        prepare(&dir);
        let before = dir.read(source);
        match run_and_change(&dir, args) {
            Outcome::Changed(code, text) => {
                assert!(dir.path(source).exists(), "the source is gone ({code:?}): {text}");
                assert_eq!(dir.read(source), before);
                assert_eq!(code, Some(74), "{text}");
                assert!(text.contains("read back"), "{text}");
                assert!(!dir.path(output).exists());
                return;
            }
            Outcome::Missed => {}
            Outcome::Impossible => {
                println!("skipped: this user may not look into the program");
                return;
            }
        }
    }
    panic!("the program was always quicker");
}

fn encrypted(dir: &Dir) {
    dir.write("plain", test_bytes(LEN));
    dir.run(&["encrypt", "-q", "-i", "id", "plain", "encrypted"]).ok();
    fs::remove_file(dir.path("plain")).unwrap();
}

#[test]
fn a_source_stays_when_its_encrypted_output_is_wrong() {
    let args = ["encrypt", "-i", "id", "--processes=2", "--remove-source", "plain", "encrypted"];
    attack(&args, "plain", "encrypted", |dir| drop(dir.write("plain", test_bytes(LEN))));
}

#[test]
fn a_source_stays_when_its_decrypted_output_is_wrong() {
    let args = ["decrypt", "-i", "id", "--processes=2", "--remove-source", "encrypted", "plain"];
    attack(&args, "encrypted", "plain", encrypted);
}

#[test]
fn what_is_right_goes_through() {
    let dir = Dir::new();
    dir.keygen("id");
    for len in [0, 1, 70_000, 9 << 20] {
        let content = test_bytes(len);
        dir.write("plain", &content);
        for form in [&[][..], &["--armor"], &["--format=age"]] {
            let encrypt = ["encrypt", "-i", "id", "--verify-output", "plain", "encrypted"];
            dir.run(&[&encrypt, form].concat()).ok_and_silent();
            assert!(dir.path("plain").exists());
            dir.run(&["decrypt", "-i", "id", "--remove-source", "encrypted", "out"])
                .ok_and_silent();
            assert!(!dir.path("encrypted").exists());
            assert!(dir.read("out") == content);
            fs::remove_file(dir.path("out")).unwrap();
        }
    }
    let stream = dir.command(&["encrypt", "-i", "id", "--verify-output", "-", "encrypted"]);
    dir.fails(stream.input(b"x"), 64, &["--verify-output needs a file"]);
    // Trees too.
    fs::create_dir(dir.path("tree")).unwrap();
    dir.write("tree/small", "small");
    dir.write("tree/large", test_bytes(9 << 20));
    dir.run(&["encrypt", "-i", "id", "--remove-source", "tree", "encrypted-tree"]).ok();
    assert!(!dir.path("tree/large").exists());
    dir.run(&["decrypt", "-i", "id", "--verify-output", "encrypted-tree", "back"]).ok();
    assert!(dir.read("back/large") == test_bytes(9 << 20));
}
