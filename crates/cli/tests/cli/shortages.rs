//! Workers when something is short: disk space, memory, descriptors, cores, or the system's means
//! to start and to sandbox them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::failing_calls::{FailingCalls, can};
use crate::common::group::{Group, wait_until};
use crate::common::{Dir, Done, Run, test_bytes};

/// Large enough for three workers.
const LEN: usize = (24 << 20) + 12_345;

fn folder() -> Dir {
    furnished(Dir::new())
}

/// A folder in memory, where, unlike on ext4, space is not reserved beforehand.
fn folder_in_memory() -> Option<Dir> {
    let dir = Dir::new_in(Path::new("/dev/shm"));
    if dir.is_none() {
        eprintln!("skipped: this test needs a /dev/shm that it may write to");
    }
    dir.map(furnished)
}

fn furnished(dir: Dir) -> Dir {
    dir.keygen("id");
    dir.write("plain", test_bytes(LEN));
    dir.run(&["encrypt", "-i", "id", "plain", "encrypted"]).ok();
    dir
}

const SEAL: &str = "encrypt -i id plain out";
const OPEN: &str = "decrypt -i id encrypted out";

/// Asserts that `out` is right, and removes it.
#[track_caller]
fn assert_right(dir: &Dir, what: &str) {
    let out = if what.starts_with("encrypt") {
        dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout
    } else {
        dir.read("out")
    };
    assert!(out == test_bytes(LEN), "{what}");
    fs::remove_file(dir.path("out")).unwrap();
}

/// Runs a command under a limit of the shell. Either it succeeds and the output is right, or it
/// fails and leaves nothing; the folder is unchanged otherwise.
#[track_caller]
fn right_or_nothing(dir: &Dir, limit: &str, what: &str) -> Done {
    let before = dir.names();
    let done = Group::start(dir.shell(&format!("{limit}; exec $CS {what} --json"))).wait();
    if done.status.success() {
        assert_right(dir, what);
    }
    assert_eq!(before, dir.names(), "{limit}: {what}: {done:?}");
    done
}

#[test]
fn a_disk_that_fills_while_workers_write() {
    for dir in [Some(folder()), folder_in_memory()].into_iter().flatten() {
        // From no space at all to all but the last chunk.
        for (limit, processes) in [(0, 2), (1, 3), (7000, 2), (20_480, 4), (LEN / 1024, 4)] {
            for what in [SEAL, OPEN] {
                let script = format!("ulimit -f {limit}; exec $CS {what} --processes {processes}");
                dir.fails(dir.shell(&script), 74, &["out", "file too large", "raise the limit"]);
            }
        }
    }
}

#[test]
fn every_command_that_writes_names_the_limit_on_the_length_of_files() {
    let dir = with_archives();
    dir.write("text", "text");
    dir.run(&["encrypt", "-i", "id", "text", "text.enc"]).ok();
    for what in [
        "encrypt -i id text out",
        "encrypt -i id text text.enc --output-dir out",
        "encrypt -i id --archive in out",
        "encrypt -i id --archive --zstd in out",
        "decrypt -i id text.enc out",
        "decrypt -i id --extract plain.enc out",
        "decrypt -i id --extract plain.enc out --sandbox off",
        "decrypt -i id --salvage text.enc out",
        "decrypt -i id --range 0-1 text.enc out",
        "rekey -i id --new-identity id text.enc",
        "rekey -i id --new-identity id --reencrypt text.enc",
        "keygen -o out",
    ] {
        let script = format!("ulimit -f 0; exec $CS {what}");
        dir.fails(dir.shell(&script), 74, &["file too large", "(ulimit -f)"]);
    }
    // A member of the archive, when the folder was begun.
    for limit in [1, 100] {
        let script = format!("ulimit -f {limit}; exec $CS decrypt -i id --extract plain.enc out");
        dir.fails(dir.shell(&script), 74, &["file too large", "(ulimit -f)"]);
    }
}

#[test]
fn a_full_disk_does_not_kill_workers() {
    let Some(dir) = folder_in_memory() else { return };
    // Enough for the shared memory, but not for much of the output. The system signals the process
    // that writes beyond the limit, which is a worker.
    for processes in [1, 2, 3] {
        for what in [SEAL, OPEN] {
            let script = format!("ulimit -f 14000; exec $CS {what} --processes {processes}");
            let done = dir.fails(dir.shell(&script), 74, &["out", "file too large"]);
            let text = done.stderr_text();
            assert!(!text.contains("died"), "{what} --processes {processes}: {text}");
        }
    }
}

#[test]
fn little_memory_gives_the_right_output_or_none() {
    let dir = folder();
    let (mut succeeded, mut refused) = (0, 0);
    // In KiB: too little for the program itself, for its buffers, for shared memory, for workers,
    // for the key derivation; and enough.
    for limit in
        [4000, 8400, 8700, 9500, 12_000, 14_500, 15_500, 16_000, 20_000, 40_000, 80_000, 1_000_000]
    {
        for what in [SEAL, OPEN, "encrypt --key x --argon2id 64MiB plain x"] {
            let what = format!("{what} --processes 3");
            let limited = format!("ulimit -v {limit}");
            if what.contains("--key") {
                let script = format!("{limited}; exec $CS {what} --json");
                let done = Group::start(dir.shell(&script)).wait();
                if done.status.success() {
                    let decrypted = dir.run(&["decrypt", "x", "-", "--key", "x"]).ok();
                    assert!(decrypted.stdout == test_bytes(LEN));
                    fs::remove_file(dir.path("x")).unwrap();
                }
                succeeded += u32::from(done.status.success());
                refused += u32::from(done.code() == Some(75));
                assert_eq!(dir.names().len(), 3, "{limit}: {done:?}");
            } else {
                let done = right_or_nothing(&dir, &limited, &what);
                succeeded += u32::from(done.status.success());
                refused += u32::from(done.code() == Some(75));
                assert!(limit < 1_000_000 || done.status.success(), "{limit}: {done:?}");
            }
        }
    }
    assert!(succeeded > 0 && refused > 0, "{succeeded} succeeded, {refused} were refused");
}

#[test]
fn few_descriptors_give_the_right_output_or_a_clear_error() {
    let dir = folder();
    // The loader needs some for itself. 16 are enough for workers too.
    for limit in 4..=16 {
        for what in [SEAL, OPEN] {
            let what = format!("{what} --processes 3");
            let done = right_or_nothing(&dir, &format!("ulimit -n {limit}"), &what);
            if let Some(code) = done.code().filter(|code| ![0, 127].contains(code)) {
                assert_eq!(code, 75, "{limit}: {done:?}");
                assert!(done.stdout_text().contains("ulimit -n"), "{limit}: {done:?}");
            }
            assert!(limit < 16 || done.status.success(), "{limit}: {done:?}");
        }
    }
}

#[test]
fn many_more_workers_than_cores() {
    let dir = Dir::new();
    dir.keygen("id");
    // Enough for 32 of the 64, if they come in time; sparse, so that it is quick.
    let len = (256 << 20) + 1;
    File::create(dir.path("plain")).unwrap().set_len(len).unwrap();
    let script = "$CS encrypt -i id plain out --processes 64 --json \
                  && $CS decrypt -i id out decrypted --processes 64 --json && cmp plain decrypted";
    let done = Group::start(dir.shell(script)).wait().ok();
    for line in done.stdout_text().lines() {
        assert!(done.json(line.as_bytes())["workers"].as_u64().unwrap() > 0, "{line}");
        assert_eq!(done.json(line.as_bytes())["workers_died"], 0, "{line}");
    }
}

/// A control group, removed on drop.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// A control group with a limit. Prints a note and returns `None` if none can be created.
    fn new(controller: &str, file: (&str, &str), limit: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cryptstream-test-{}-{number}", std::process::id());
        let group = Self::parent(controller).and_then(|(parent, version)| {
            let folder = parent.join(name);
            fs::create_dir(&folder).ok()?;
            let group = Self(folder);
            let file = if version == 1 { file.0 } else { file.1 };
            fs::write(group.0.join(file), limit).ok().map(|()| group)
        });
        if group.is_none() {
            eprintln!(
                "skipped: this test needs a cgroup with a {controller} controller that it may divide"
            );
        }
        group
    }

    fn memory(limit: &str) -> Option<Self> {
        Self::new("memory", ("memory.limit_in_bytes", "memory.max"), limit)
    }

    /// The folder in which a group can be created, and the version of control groups.
    fn parent(controller: &str) -> Option<(PathBuf, u32)> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let named = |prefix: &str| {
            let line = own.lines().find(|line| line.contains(prefix))?;
            line.split_once(prefix).map(|(_, path)| path.to_owned())
        };
        let root = Path::new("/sys/fs/cgroup");
        // Version 1 has a tree for each controller; in version 2 a group has the
        // controllers that its parent hands down, so it is made beside this one's.
        match named(&format!(":{controller}:/")) {
            Some(own) => {
                let all = root.join(controller);
                let own = all.join(own);
                Some((if own.is_dir() { own } else { all }, 1))
            }
            None => Some((root.join(named("0::/")?).parent()?.to_owned(), 2)),
        }
    }

    /// The start of a script that then runs in the group.
    fn join(&self) -> String {
        format!("echo 0 > {}/cgroup.procs || exit 1", self.0.display())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        wait_until("the group is empty", || fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn a_memory_limit_of_a_control_group() {
    let dir = folder();
    for limit in ["16M", "64M", "256M"] {
        let Some(group) = ControlGroup::memory(limit) else { return };
        for what in [SEAL, OPEN] {
            // Either it fits or the system kills a process: a worker, without which the run
            // continues, or main.
            right_or_nothing(&dir, &group.join(), &format!("{what} --processes 3"));
        }
    }
}

/// The system would grant the memory, and kill the process when it is used.
#[test]
fn a_key_derivation_does_not_start_without_enough_memory() {
    let dir = folder();
    dir.write("word", "word");
    dir.write("text", "text");
    for (name, cost) in [("p.enc", "--argon2id=80MiB"), ("p.age", "--scrypt=17")] {
        dir.run(&["encrypt", "text", name, "--passphrase-file", "word", cost]).ok();
    }
    let Some(group) = ControlGroup::memory("60M") else { return };
    for (what, mib) in [
        ("encrypt text new.enc", "256 MiB"),
        ("encrypt text new.age", "256 MiB"),
        ("decrypt p.enc out", "80 MiB"),
        ("decrypt p.age out", "128 MiB"),
        ("verify p.enc p.age", "80 MiB"),
        ("rekey p.enc --new-identity id", "80 MiB"),
    ] {
        let script = format!("{}; exec $CS {what} --passphrase-file word", group.join());
        let needs = format!("the key derivation needs {mib}");
        let run = dir.shell(&script).with_usual_costs();
        let done = dir.fails(run, 75, &[&needs, "left in its control group"]);
        // Only a new file can have another cost.
        assert_eq!(done.stderr_text().contains("--argon2id"), what.starts_with("encrypt"));
    }
    // With a key, it needs no more memory than for the file.
    dir.shell(&format!("{}; exec $CS decrypt -i id encrypted out", group.join())).run().ok();
    drop(group);
    let Some(group) = ControlGroup::memory("400M") else { return };
    let script = format!("{}; exec $CS decrypt p.enc - --passphrase-file word", group.join());
    assert_eq!(dir.shell(&script).run().ok().stdout, b"text");
}

/// A folder and archives of it, in memory that is short when they are read again.
fn with_archives() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    for number in 0..20 {
        dir.write(format!("in/{number}"), test_bytes(200_000));
    }
    // What was created before the shortage is removed, however deep it is.
    let deep = dir.path("in/0a/b/c/d/e/f/g/h");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), test_bytes(2000)).unwrap();
    for (name, level) in [("plain.enc", None), ("3.enc", Some("3")), ("22.enc", Some("22"))] {
        let mut args = vec!["encrypt", "--archive", "in", name, "-i", "id"];
        let level = level.map(|level| format!("--zstd={level}"));
        args.extend(level.as_deref());
        dir.run(&args).ok();
    }
    dir
}

const WITH_ARCHIVES: [&str; 10] = [
    "encrypt in out -i id",
    "encrypt --archive in out -i id",
    "encrypt --archive --zstd in out -i id",
    "decrypt --extract plain.enc out -i id",
    "decrypt --extract 3.enc out -i id",
    "decrypt --extract 3.enc out -i id --sandbox require",
    "decrypt 3.enc out -i id --sandbox require",
    "list 3.enc -i id",
    "list 3.enc -i id --sandbox require",
    "verify 3.enc -i id",
];

/// Runs it; it must succeed, or report a shortage and leave nothing.
#[track_caller]
fn done_or_short(dir: &Dir, limit: &str, what: &str) -> bool {
    let before = dir.names();
    let done = Group::start(dir.shell(&format!("{limit}; exec $CS {what}"))).wait();
    let text = done.stderr_text();
    match done.code() {
        Some(0) => {
            let _ = fs::remove_dir_all(dir.path("out"));
            let _ = fs::remove_file(dir.path("out"));
        }
        Some(75) => {
            assert!(!text.contains("bug") && !text.contains("os error"), "{limit}: {what}: {text}");
            // The complete files of a folder stay.
            if what.starts_with("encrypt in ") {
                let _ = fs::remove_dir_all(dir.path("out"));
            }
        }
        code => panic!("{limit}: {what}: {code:?}: {text}"),
    }
    assert_eq!(before, dir.names(), "{limit}: {what}: {text}");
    done.code() == Some(0)
}

#[test]
fn few_processes_and_threads_are_not_reported_as_a_bug() {
    let dir = with_archives();
    let mut done = 0;
    for limit in ["1", "2", "3", "4", "5"] {
        let Some(group) = ControlGroup::new("pids", ("pids.max", "pids.max"), limit) else {
            return;
        };
        for what in WITH_ARCHIVES {
            done += u32::from(done_or_short(&dir, &group.join(), what));
        }
    }
    // Commands that need no sandbox do without processes, and single files without threads.
    assert!(done >= 20, "{done}");
}

#[test]
fn little_memory_is_not_reported_as_damage() {
    let dir = with_archives();
    // The loader alone needs some 40 MB for a program with all its debug information.
    for limit in [50_000, 60_000, 100_000, 200_000] {
        for what in
            ["list 22.enc -i id", "decrypt --extract 22.enc out -i id", "list 3.enc -i id --json"]
        {
            done_or_short(&dir, &format!("ulimit -v {limit}"), what);
        }
    }
    for level in ["3", "19", "22"] {
        let what = format!("encrypt --archive --zstd={level} in out -i id");
        for limit in [50_000, 60_000, 200_000] {
            done_or_short(&dir, &format!("ulimit -v {limit}"), &what);
        }
    }
    // The message names what is needed.
    let list = "ulimit -v 100000; exec $CS list 22.enc -i id";
    dir.fails(dir.shell(list), 75, &["22.enc: ", "memory", "140 MiB"]);
}

#[test]
fn few_descriptors_are_not_reported_as_a_bug() {
    let dir = with_archives();
    for limit in [8, 9, 10, 12, 14, 16, 20] {
        for what in WITH_ARCHIVES {
            done_or_short(&dir, &format!("ulimit -n {limit}"), what);
        }
    }
    for limit in 5..=12 {
        let list = format!("ulimit -n {limit}; exec $CS list 22.enc -i id");
        let text = dir.shell(&list).run().stderr_text();
        assert!(!text.contains("error: the archive cannot be read"), "{limit}: {text}");
    }
}

/// The report of a successful run with `--sandbox auto`, after checking that `-v` says the same and
/// that `require` is refused.
#[track_caller]
fn auto_goes_on_and_require_does_not(dir: &Dir, wrap: &str, what: &str, level: &str) {
    let run = |more: &str| -> Run { dir.shell(&format!("{wrap} $CS {what} --processes 2 {more}")) };
    // On a busy machine main may be done before a worker has said how it is sandboxed.
    let settled = |flags: &str, unknown: &str| {
        let attempt = || {
            let done = run(flags).run().ok();
            assert_right(dir, what);
            done
        };
        let is_known = |done: &Done| {
            level == "none" || !(done.stdout_text() + &done.stderr_text()).contains(unknown)
        };
        let known = std::iter::repeat_with(attempt).take(10).find(is_known);
        known.expect("no worker says how it is sandboxed")
    };
    let done = settled("--sandbox auto --json", r#""sandbox":"none""#);
    let report = done.json(&done.stdout);
    assert_eq!(report["sandbox"], level, "{report}");
    // No flag is needed: a warning says what is missing.
    let warning = "worker processes are not fully sandboxed: ";
    assert!(level != "partial" || done.stderr_text().contains(warning), "{done:?}");
    let words = match report["workers"].as_u64() {
        Some(0) => "one process".to_owned(),
        _ => format!("sandbox: {level}"),
    };
    let done = settled("--sandbox auto -v", "sandbox: none");
    assert!(done.stderr_text().contains(&words), "{words:?}: {done:?}");
    dir.fails(run("--sandbox require"), 78, &["fully sandboxed", "--sandbox auto"]);
}

#[test]
fn without_proc_no_worker_starts() {
    let wrap = "unshare --mount bash -c 'mount -t tmpfs none /proc && exec \"$@\"' -";
    if !can(&format!("{wrap} true"), "the right to hide /proc (root, `unshare`)") {
        return;
    }
    let dir = folder();
    for what in [SEAL, OPEN] {
        auto_goes_on_and_require_does_not(&dir, wrap, what, "none");
    }
}

#[test]
fn a_system_that_refuses_the_sandbox() {
    let dir = folder();
    let Some(failing) = FailingCalls::new(&dir) else { return };
    dir.run(&["encrypt", "-i", "id", "failing_calls.py", "small"]).ok();
    let report = dir.run(&["encrypt", "-i", "id", "plain", "all", "--json", "--processes", "2"]);
    let report = report.json(&report.stdout);
    if report["sandbox"] != "full" {
        return eprintln!("skipped: workers cannot be locked in here anyway");
    }
    let (seccomp, landlock) = ("seccomp=EPERM", "landlock_create_ruleset=EPERM");
    let both = format!("{seccomp} {landlock}");
    for (calls, level) in [(seccomp, "partial"), (landlock, "partial"), (both.as_str(), "none")] {
        let wrap = failing.wrap(calls);
        for what in [SEAL, OPEN] {
            auto_goes_on_and_require_does_not(&dir, &wrap, what, level);
        }
    }
    // Small files, which workers are not started for, and those that are only read.
    for calls in [seccomp, landlock] {
        let wrap = failing.wrap(calls);
        for what in [
            "encrypt -i id failing_calls.py out",
            "decrypt -i id small out",
            "decrypt -i id small out --processes 0",
            "decrypt -i id small - --range 0-9",
            "verify -i id small",
            "inspect small",
            "rekey small -i id --new-identity id",
        ] {
            let script = format!("{wrap} $CS {what} --sandbox require");
            dir.fails(dir.shell(&script), 78, &["fully sandboxed"]);
        }
    }
}
