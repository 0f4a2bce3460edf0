//! Faults from outside during a run with workers: signals to the main process or to all, changing
//! inputs, stalled pipes.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::group::{Group, wait_until};
use crate::common::{CHEAP, Dir, Done, Random, TIMEOUT, test_bytes};
use rustix::process::Signal;

/// Enough for two workers, and small enough for many rounds.
const SMALL: usize = (16 << 20) + 4321;
/// Enough to keep several workers busy for a while.
const LARGE: usize = (40 << 20) + 12_345;

/// The old content of an output that a run replaces.
const OLD: &[u8] = b"what was there before";

/// A folder with an identity, a plain file and its encrypted copy.
fn folder(len: usize) -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(len));
    dir.run(&["encrypt", "-i", "id", "plain", "encrypted"]).ok();
    dir
}

/// The names in the folder that begin with a dot: temporary files.
fn temporaries(dir: &Dir) -> Vec<OsString> {
    dir.names().into_iter().filter(|name| name.to_string_lossy().starts_with('.')).collect()
}

/// Named shared memory of this program. There should never be any, as a memfd has no name.
fn named_shared_memory() -> Vec<OsString> {
    let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().contains("cryptstream")).collect()
}

/// One way to run the program, from a large file to `out`.
#[derive(Clone, Copy, Debug)]
struct Invocation {
    command: &'static str,
    processes: &'static str,
    is_replacing: bool,
}

impl Invocation {
    fn all() -> Vec<Self> {
        let mut invocations = Vec::new();
        for processes in ["2", "0", "4"] {
            for is_replacing in [false, true] {
                for command in ["encrypt", "decrypt"] {
                    invocations.push(Self { command, processes, is_replacing });
                }
            }
        }
        invocations
    }

    fn start(self, dir: &Dir) -> Group {
        let input = if self.command == "encrypt" { "plain" } else { "encrypted" };
        let mut args = vec![self.command, "-i", "id", input, "out", "--processes", self.processes];
        if self.is_replacing {
            dir.write("out", OLD);
            args.push("--force");
        } else if dir.path("out").exists() {
            fs::remove_file(dir.path("out")).unwrap();
        }
        Group::start(dir.command(&args))
    }

    /// Asserts that `out` has its old content, or is complete and right.
    #[track_caller]
    fn check_output(self, dir: &Dir, len: usize, done: &Done) {
        let out = fs::read(dir.path("out")).ok();
        let is_untouched = out.as_deref() == self.is_replacing.then_some(OLD);
        if is_untouched {
            assert!(!done.status.success(), "nothing was done: {self:?}, {done:?}");
        } else if self.command == "encrypt" {
            let decrypted = dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout;
            assert!(decrypted == test_bytes(len), "{self:?}, {done:?}");
        } else {
            assert!(out == Some(test_bytes(len)), "{self:?}, {done:?}");
        }
    }

    /// The duration of an undisturbed run.
    fn measure(self, dir: &Dir) -> Duration {
        let start = Instant::now();
        self.start(dir).wait().ok();
        start.elapsed()
    }
}

#[test]
fn main_killed_at_random_moments_leaves_no_process_no_memory_and_no_partial_file() {
    let dir = folder(SMALL);
    let mut random = Random::new();
    let invocations: Vec<_> = Invocation::all()
        .into_iter()
        .map(|invocation| (invocation, invocation.measure(&dir)))
        .collect();
    let (mut killed, mut temporaries_left) = (0, 0);
    let wanted = std::env::var("CRYPTSTREAM_KILLS").ok().map_or(24, |kills| kills.parse().unwrap());
    for (round, (invocation, duration)) in invocations.iter().cycle().enumerate() {
        if killed == wanted {
            break;
        }
        assert!(round < 10 * wanted as usize, "{killed} were killed in {round} rounds");
        let group = invocation.start(&dir);
        thread::sleep(random.within(*duration));
        group.signal(Signal::KILL);
        // Waits for the workers too; the memory is freed with the last one.
        let done = group.wait();
        let is_killed = done.status.signal() == Some(9);
        assert!(is_killed || done.status.success(), "{invocation:?}, {done:?}");
        killed += u32::from(is_killed);
        invocation.check_output(&dir, SMALL, &done);
        if !temporaries(&dir).is_empty() {
            temporaries_left += 1;
            assert!(
                invocation.is_replacing,
                "{invocation:?} has no need of {:?}",
                temporaries(&dir)
            );
            // Tries again if another process has got the dead one's ID meanwhile.
            wait_until("the next run cleans up", || {
                let next = ["encrypt", "-i", "id", "plain", "out", "--force"];
                dir.run(&next).ok();
                temporaries(&dir).is_empty()
            });
        }
    }
    println!("{killed} were killed; {temporaries_left} left a temporary");
    assert_eq!(named_shared_memory(), Vec::<OsString>::new());
    assert!(dir.names().len() <= 4, "{:?}", dir.names());
}

/// Interrupts a run at the moment that `at` waits for, and tries again if the run has finished
/// before. The output must be unchanged or complete.
#[track_caller]
fn interrupt(dir: &Dir, invocation: Invocation, number: i32, mut at: impl FnMut(&Group) -> bool) {
    let signal = Signal::from_named_raw(number).unwrap();
    let start = Instant::now();
    loop {
        assert!(
            start.elapsed() < TIMEOUT,
            "{invocation:?} was always over before it was interrupted"
        );
        let group = invocation.start(dir);
        let is_there = at(&group);
        group.signal(signal);
        let done = group.wait();
        invocation.check_output(dir, SMALL, &done);
        assert_eq!(temporaries(dir), Vec::<OsString>::new(), "{invocation:?}, {done:?}");
        if is_there && done.status.signal() == Some(number) {
            return;
        }
        assert!(done.status.success(), "{invocation:?}, {done:?}");
    }
}

#[test]
fn an_interruption_in_any_phase_ends_main_and_workers_and_leaves_nothing() {
    let dir = folder(SMALL);
    let mut random = Random::new();
    let invocations =
        Invocation::all().into_iter().filter(|invocation| invocation.processes != "4");
    for (invocation, numbers) in invocations.zip([[2, 15], [15, 2]].into_iter().cycle()) {
        // Before anything is read.
        interrupt(&dir, invocation, numbers[0], |_| true);
        // As soon as the output exists.
        interrupt(&dir, invocation, numbers[1], |group| {
            group.reaches("at work", |group| group.unnamed_len().is_some())
        });
        // While workers are busy.
        if invocation.processes != "0" {
            interrupt(&dir, invocation, numbers[0], |group| {
                group.reaches("a worker", |group| !group.workers().is_empty())
            });
        }
        // Near the end, when the output gets its name: closer to it, the more often it was too
        // late.
        let mut latest = invocation.measure(&dir);
        interrupt(&dir, invocation, numbers[1], |_| {
            thread::sleep(latest.mul_f64(0.9) + random.within(latest.mul_f64(0.1)));
            latest = latest.mul_f64(0.95);
            true
        });
    }
}

#[test]
fn an_interruption_during_the_key_derivation_leaves_nothing_either() {
    let dir = Dir::new();
    dir.write("plain", test_bytes(SMALL));
    dir.run(&["encrypt", "plain", "encrypted", "--key", "x", "--argon2id", "512MiB,4,4"]).ok();
    let seal = ["encrypt", "plain", "out", "--key", "x", "--argon2id", "512MiB,8,4"];
    let open = ["decrypt", "encrypted", "out", "--key", "x"];
    for (args, number) in [(&seal[..], 2), (&seal, 15), (&open, 2), (&open, 15)] {
        let args = [args, &["--processes", "2"]].concat();
        let group = Group::start(dir.command(&args));
        // The derivation takes that much memory; encryption continues beside it.
        let kib = |group: &Group| {
            let status = fs::read_to_string(format!("/proc/{}/status", group.pid.as_raw_nonzero()));
            let status = status.unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        };
        let is_deriving = |group: &Group| kib(group).is_some_and(|kib| kib > 64 << 10);
        assert!(group.reaches("the derivation", is_deriving));
        group.signal(Signal::from_named_raw(number).unwrap());
        assert_eq!(group.wait().status.signal(), Some(number));
        assert_eq!(dir.names().len(), 2);
    }
}

#[test]
fn being_stopped_and_continued_with_all_workers_changes_nothing() {
    let dir = folder(LARGE);
    for args in [
        ["encrypt", "-i", "id", "plain", "out", "--force", "--json", "--processes", "3"],
        ["decrypt", "-i", "id", "out", "decrypted", "--force", "--json", "--processes", "3"],
    ] {
        let mut frozen = 0;
        wait_until("workers were stopped", || {
            let group = Group::start(dir.command(&args));
            let mut is_going_on = group.reaches("a worker", |group| !group.workers().is_empty());
            for _ in 0..5 {
                is_going_on = is_going_on && group.freeze();
                frozen += u32::from(is_going_on);
                thread::sleep(Duration::from_millis(10));
                group.signal_all(Signal::CONT);
                thread::sleep(Duration::from_millis(1));
            }
            let done = group.wait().ok();
            assert_eq!(done.json(&done.stdout)["workers_died"], 0);
            frozen >= 5
        });
    }
    assert!(dir.read("decrypted") == test_bytes(LARGE));
    assert_eq!(dir.names().len(), 5);
}

#[test]
fn an_input_that_changes_while_workers_read_it() {
    let dir = folder(LARGE);
    type Change = (&'static str, fn(&File));
    let changes: [Change; 4] = [
        ("shrinks", |file| file.set_len(100_000).unwrap()),
        ("shrinks to nothing", |file| file.set_len(0).unwrap()),
        ("grows", |file| file.write_all_at(b"more", LARGE as u64).unwrap()),
        ("is overwritten", |file| file.write_all_at(b"other", 7).unwrap()),
    ];
    for (processes, changes) in [("2", &changes[..]), ("4", &changes[3..])] {
        for (what, change) in changes {
            let start = Instant::now();
            loop {
                assert!(start.elapsed() < TIMEOUT, "{what}: always over before it was stopped");
                dir.write("changing", test_bytes(LARGE));
                let args = ["encrypt", "-i", "id", "changing", "out", "--processes", processes];
                let group = Group::start(dir.command(&args));
                // All processes are stopped while the output is incomplete.
                let is_in_time = group.reaches("a worker", |group| !group.workers().is_empty())
                    && group.freeze()
                    && group.unnamed_len().is_some_and(|len| len < LARGE as u64);
                if is_in_time {
                    change(&File::options().write(true).open(dir.path("changing")).unwrap());
                }
                group.signal_all(Signal::CONT);
                let done = group.wait();
                if is_in_time {
                    assert_eq!(done.code(), Some(75), "{what}: {done:?}");
                    let text = done.stderr_text();
                    assert!(text.contains("changing: changed while"), "{what}: {done:?}");
                    assert_eq!(dir.names().len(), 4, "{what}");
                    break;
                }
                done.ok();
                fs::remove_file(dir.path("out")).unwrap();
            }
        }
    }
}

/// Runs with an input that arrives, and an output that is read, in parts with pauses.
fn stalling(dir: &Dir, args: &[&str], input: &[u8]) -> Vec<u8> {
    const PAUSE: Duration = Duration::from_millis(60);
    let mut child = dir.command(args).spawn();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            for part in input.chunks(input.len() / 3 + 1) {
                // Much more than fits in a pipe, and an end within a chunk.
                stdin.write_all(part).unwrap();
                thread::sleep(PAUSE);
            }
        });
        let reader = scope.spawn(move || {
            let (mut output, mut part) = (Vec::new(), vec![0; (3 << 20) + 1]);
            loop {
                let len = stdout.read(&mut part).unwrap();
                if len == 0 {
                    return output;
                }
                let before = output.len() / part.len();
                output.extend_from_slice(&part[..len]);
                if output.len() / part.len() > before {
                    thread::sleep(PAUSE);
                }
            }
        });
        assert!(crate::common::wait_status(&mut child).success());
        reader.join().unwrap()
    })
}

#[test]
fn pipes_that_stall_on_either_side_lose_nothing() {
    let dir = folder(SMALL);
    let content = test_bytes(SMALL);
    let encrypted =
        stalling(&dir, &["encrypt", "-i", "id", "-", "-", "--processes", "2"], &content);
    let open = ["decrypt", "-i", "id", "-", "-", "--processes", "2"];
    assert!(stalling(&dir, &open, &encrypted) == content);
    // With a file on one side.
    let none = stalling(&dir, &["encrypt", "-i", "id", "-", "o", "--processes", "2"], &content);
    assert_eq!(none, b"");
    assert!(stalling(&dir, &["decrypt", "-i", "id", "o", "-", "--processes", "2"], b"") == content);
}

#[test]
fn two_runs_over_one_file_give_two_different_files() {
    let dir = folder(SMALL);
    for name in ["one", "two"] {
        dir.run(&["encrypt", "-i", "id", "plain", name, "--processes", "2"]).ok_and_silent();
    }
    let (one, two) = (dir.read("one"), dir.read("two"));
    assert_eq!(one.len(), two.len());
    // No two chunks are the same.
    let start = crate::common::header_len(&one) + crate::common::PREFIX;
    let chunks = |encrypted: &[u8]| -> Vec<Vec<u8>> {
        encrypted[start..].chunks(crate::common::SEALED_CHUNK).map(<[u8]>::to_vec).collect()
    };
    assert!(chunks(&one).iter().zip(chunks(&two)).all(|(one, two)| *one != two));
    // With a passphrase too.
    for name in ["three", "four"] {
        dir.run(&["encrypt", "plain", name, "--key", "x", CHEAP, "--processes", "2"]).ok();
    }
    assert!(dir.read("three") != dir.read("four"));
}
