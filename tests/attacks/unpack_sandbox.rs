//! An archive that has taken over the process that reads it: nothing but the staging
//! folder is within reach.

use std::fs;
use std::io::Write;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::common::{Dir, test_bytes, wait};

/// An archive of one large file.
fn encrypted(dir: &Dir) -> Vec<u8> {
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/large", test_bytes(4 << 20));
    dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout
}

/// The parser process of `main`, and the lines of its status.
pub(crate) fn parser_of(main: &Child) -> (i32, String) {
    let start = Instant::now();
    loop {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
            let (Ok(cmdline), Ok(status)) = (text("cmdline"), text("status")) else { continue };
            if cmdline == "cryptstream\0__unpack\0"
                && status.contains(&format!("\nPPid:\t{}\n", main.id()))
            {
                return (pid, status);
            }
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no process reads the archive");
    }
}

#[test]
fn it_is_locked_in_while_it_reads() {
    let dir = Dir::new();
    let encrypted = encrypted(&dir);
    let folder = dir.path("secret-folder");
    fs::create_dir(&folder).unwrap();
    for args in [&["decrypt", "--extract", "-", "out", "-i", "id"][..], &["list", "-", "-i", "id"]]
    {
        // What the caller has left open must not be inherited.
        let quoted: Vec<_> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let script = format!("exec 7<secret-folder; SECRET=x exec $CS {}", quoted.join(" "));
        let mut child = dir.shell(&script).spawn();
        let mut stdin = child.stdin.take().unwrap();
        // What is missing will come later.
        stdin.write_all(&encrypted[..2 << 20]).unwrap();
        let (pid, _) = parser_of(&child);
        let is_full = |status: &str| {
            status.contains("\nSeccomp:\t2\n") && status.contains("\nNoNewPrivs:\t1\n")
        };
        let start = Instant::now();
        let mut status = String::new();
        while !is_full(&status) && start.elapsed() < Duration::from_secs(5) {
            status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        }
        assert!(is_full(&status), "{args:?}: {status}");
        // It can be looked at by root only, as it is not dumpable.
        if rustix::process::geteuid().is_root() {
            let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
            assert!(!environment.contains("SECRET"), "{environment}");
            let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            let held: Vec<_> = held.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
            assert!(!held.contains(&folder), "{held:?}");
            assert!(held.iter().all(|held| !held.starts_with("/dev/pts")), "{held:?}");
        } else {
            println!("skipped: descriptors and environment can be seen by root only");
        }
        stdin.write_all(&encrypted[2 << 20..]).unwrap();
        drop(stdin);
        wait(child).ok();
    }
}

/// Each is refused with an error, after which the archive is unpacked, or ends the
/// process. See `crates/cli/src/commands/archive/attempts.rs`.
#[cfg(feature = "protection-switches")]
#[test]
fn what_it_tries_does_not_get_through() {
    const ATTEMPTS: [&str; 21] = [
        "read",
        "list",
        "create",
        "mkdir",
        "symlink",
        "hard-link",
        "remove",
        "rename",
        "chmod",
        "fchmodat",
        "setuid",
        "times",
        "udp",
        "tcp",
        "unix",
        "process",
        "thread",
        "signal",
        "memory",
        "environment",
        "descriptors",
    ];
    let dir = Dir::new();
    dir.write("a.enc", encrypted(&dir));
    let off = std::env::var(cryptstream_protection::SWITCH).unwrap_or_default();
    let mut got_through = Vec::new();
    for attempt in ATTEMPTS {
        for args in [
            &["decrypt", "--extract", "a.enc", "out", "-i", "id"][..],
            &["list", "a.enc", "-i", "id"],
        ] {
            let switch = format!("{off},attempt-{attempt}");
            let done = dir.command(args).env(cryptstream_protection::SWITCH, switch).run();
            match done.code() {
                Some(0) => drop(fs::remove_dir_all(dir.path("out"))),
                Some(65) => assert!(done.stderr_text().contains("its sandbox forbids"), "{done:?}"),
                Some(70) if done.stderr_text().contains("status 42") => got_through.push(attempt),
                _ => panic!("{attempt}: {done:?}"),
            }
            assert!(!dir.path("out").exists());
        }
    }
    assert!(got_through.is_empty(), "{got_through:?}");
}
