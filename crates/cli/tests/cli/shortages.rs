//! Workers where something is short: room, memory, descriptors, cores, or the
//! system's means to start them and to lock them in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::group::{Group, wait_until};
use crate::common::{Dir, Done, Run, paint};
use rustix::process::{Pid, Signal};

/// Large enough for three workers.
const LEN: usize = (24 << 20) + 12_345;

fn folder() -> Dir {
    furnished(Dir::new())
}

/// The same in memory, where room is not taken beforehand, as it is on ext4.
fn folder_in_memory() -> Option<Dir> {
    let dir = Dir::new_in(Path::new("/dev/shm"));
    if dir.is_none() {
        eprintln!("skipped: this test needs a /dev/shm that it may write to");
    }
    dir.map(furnished)
}

fn furnished(dir: Dir) -> Dir {
    dir.keygen("id");
    dir.write("plain", paint(LEN));
    dir.run(&["encrypt", "-i", "id", "plain", "sealed"]).ok();
    dir
}

const SEAL: &str = "encrypt -i id plain out";
const OPEN: &str = "decrypt -i id sealed out";

/// Asserts that `out` is right, and removes it.
#[track_caller]
fn assert_right(dir: &Dir, what: &str) {
    let out = if what.starts_with("encrypt") {
        dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout
    } else {
        dir.read("out")
    };
    assert!(out == paint(LEN), "{what}");
    fs::remove_file(dir.path("out")).unwrap();
}

/// Runs the shell's way under a limit; either it succeeds and the output is
/// right, or it fails and nothing is left. The folder is as before.
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
        // From no room at all to all but the last chunk.
        for (limit, processes) in
            [(0, 2), (1, 3), (1024, 4), (7000, 2), (20_480, 3), (LEN / 1024, 4)]
        {
            for what in [SEAL, OPEN] {
                let script = format!("ulimit -f {limit}; exec $CS {what} --processes {processes}");
                dir.fails(dir.shell(&script), 74, &["out", "file too large", "make room"]);
            }
        }
    }
}

#[test]
fn a_full_disk_kills_no_worker() {
    let Some(dir) = folder_in_memory() else { return };
    // Room for the shared memory, but not for much of the output.
    let limit = 14_000;
    let script = format!("ulimit -f {limit}; exec $CS {SEAL} --processes 1");
    wait_until("main was stopped in time", || {
        let group = Group::start(dir.shell(&script));
        let mut is_in_time = group.reaches("a worker", |group| !group.workers().is_empty());
        group.signal(Signal::STOP);
        let main_is = |state| group.members().contains(&(group.pid, state));
        wait_until("main has stopped", || main_is('T') || group.is_over());
        is_in_time &= group.unnamed_len().is_some_and(|len| len < limit * 1024);
        // Without main the worker does what is in the queue, and waits or dies.
        let mut looks = 0;
        wait_until("the worker waits", || {
            let members = group.members();
            let rests = |(pid, state): &(Pid, char)| *pid == group.pid || *state == 'S';
            looks = if members.iter().all(rests) { looks + 1 } else { 0 };
            looks > 30
        });
        // It was the worker that came to the limit.
        is_in_time &= group.unnamed_len() == Some(limit * 1024);
        let is_alive = !group.workers().is_empty();
        group.signal(Signal::CONT);
        let done = group.wait();
        assert_eq!(done.code(), Some(74), "{done:?}");
        assert!(is_alive || !is_in_time, "the worker died of the limit");
        is_in_time
    });
}

#[test]
fn little_memory_gives_the_right_output_or_none() {
    let dir = folder();
    let (mut succeeded, mut refused) = (0, 0);
    // In KiB: too little for the program itself, for its buffers, for shared
    // memory, for workers; for the key derivation; enough.
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
                    let opened = dir.run(&["decrypt", "x", "-", "--key", "x"]).ok();
                    assert!(opened.stdout == paint(LEN));
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
    // The loader needs some for itself. 16 are enough for workers, too.
    for limit in 4..=16 {
        for what in [SEAL, OPEN] {
            let what = format!("{what} --processes 3");
            let done = right_or_nothing(&dir, &format!("ulimit -n {limit}"), &what);
            if let Some(code) = done.code().filter(|code| ![0, 127].contains(code)) {
                assert!([66, 73, 74, 78].contains(&code), "{limit}: {done:?}");
                assert!(done.stdout_text().contains("too many open files"), "{limit}: {done:?}");
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
                  && $CS decrypt -i id out opened --processes 64 --json && cmp plain opened";
    let done = Group::start(dir.shell(script)).wait().ok();
    for line in done.stdout_text().lines() {
        assert!(done.json(line.as_bytes())["processes"].as_u64().unwrap() > 0, "{line}");
        assert_eq!(done.json(line.as_bytes())["workers_died"], 0, "{line}");
    }
}

/// A new group of the kernel's own under a memory limit; `None` where none can
/// be made.
fn in_cgroup(limit: &str) -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let named = |prefix: &str| {
        let line = own.lines().find(|line| line.contains(prefix))?;
        line.split_once(prefix).map(|(_, path)| path.to_owned())
    };
    let root = Path::new("/sys/fs/cgroup");
    // Version 1 has a tree for each controller; in version 2 a group has the
    // controllers that its parent hands down, so it is made beside this one's.
    let (parent, file) = match named(":memory:/") {
        Some(own) => (root.join("memory").join(own), "memory.limit_in_bytes"),
        None => (root.join(named("0::/")?).parent()?.to_owned(), "memory.max"),
    };
    let folder = parent.join(format!("cryptstream-test-{}", std::process::id()));
    fs::create_dir(&folder).ok()?;
    if fs::write(folder.join(file), limit).is_err() {
        let _ = fs::remove_dir(&folder);
        return None;
    }
    Some(folder)
}

#[test]
fn a_memory_limit_of_a_control_group() {
    let dir = folder();
    for limit in ["16M", "64M", "256M"] {
        let Some(cgroup) = in_cgroup(limit) else {
            eprintln!(
                "skipped: this test needs a cgroup with a memory controller that it may divide"
            );
            return;
        };
        let join = format!("echo 0 > {}/cgroup.procs || exit 1", cgroup.display());
        for what in [SEAL, OPEN] {
            // Either it fits or the system kills somebody: a worker, which is
            // done without, or main.
            right_or_nothing(&dir, &join, &format!("{what} --processes 3"));
        }
        wait_until("the group is empty", || fs::remove_dir(&cgroup).is_ok());
    }
}

/// Whether a shell script runs; if not, says what the test lacks.
fn can(script: &str, lacks: &str) -> bool {
    let can = Command::new("bash").args(["-c", script]).output().is_ok_and(|o| o.status.success());
    if !can {
        eprintln!("skipped: this test needs {lacks}");
    }
    can
}

/// The report of a run that went well with `--sandbox auto`, after `-v` has
/// said the same and `require` has been refused.
#[track_caller]
fn auto_goes_on_and_require_does_not(dir: &Dir, wrap: &str, what: &str, level: &str) {
    let run = |more: &str| -> Run { dir.shell(&format!("{wrap} $CS {what} --processes 2 {more}")) };
    let done = run("--sandbox auto --json").run().ok();
    let report = done.json(&done.stdout);
    assert_right(dir, what);
    assert_eq!(report["sandbox"], level, "{report}");
    let words = match report["processes"].as_u64() {
        Some(0) => "one process".to_owned(),
        _ => format!("sandbox: {level}"),
    };
    let done = run("--sandbox auto -v").run().ok();
    assert!(done.stderr_text().contains(&words), "{words:?}: {done:?}");
    assert_right(dir, what);
    dir.fails(run("--sandbox require"), 78, &["sandboxed fully", "--sandbox auto"]);
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

/// Has the system refuse some system calls to what it runs, by number.
const REFUSING: &str = r#"
import ctypes, os, struct, sys
at = sys.argv.index("--")
code = [(0x20, 0, 0, 0)]
for call in sys.argv[1:at]:
    code += [(0x15, 0, 1, int(call)), (0x06, 0, 0, 0x00050001)]
code += [(0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(code), ctypes.cast(text, ctypes.c_void_p))
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    sys.exit(99)
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"#;

#[test]
fn where_the_system_refuses_to_lock_in() {
    let seccomp = match std::env::consts::ARCH {
        "x86_64" => "317",
        "aarch64" => "277",
        _ => return eprintln!("skipped: the number of seccomp is not known here"),
    };
    let landlock = "444";
    let dir = folder();
    dir.write("refusing.py", REFUSING);
    let script = dir.path("refusing.py");
    dir.run(&["encrypt", "-i", "id", "refusing.py", "small"]).ok();
    let wrap = |calls: &str| format!("python3 {} {calls} --", script.display());
    if !can(&format!("{} /bin/true", wrap(seccomp)), "Python 3 and seccomp filters") {
        return;
    }
    let report = dir.run(&["encrypt", "-i", "id", "plain", "all", "--json", "--processes", "2"]);
    let report = report.json(&report.stdout);
    if report["sandbox"] != "full" {
        return eprintln!("skipped: workers cannot be locked in here anyway");
    }
    let both = format!("{seccomp} {landlock}");
    for (calls, level) in [(seccomp, "partial"), (landlock, "partial"), (both.as_str(), "none")] {
        for what in [SEAL, OPEN] {
            auto_goes_on_and_require_does_not(&dir, &wrap(calls), what, level);
        }
        // Small files, which workers are not started for, and those that are only read.
        for what in [
            "encrypt -i id refusing.py out",
            "decrypt -i id small out",
            "decrypt -i id small out --processes 0",
            "decrypt -i id small - --range 0-9",
            "verify -i id small",
            "inspect small",
            "rekey small -i id --new-identity id",
        ] {
            let script = format!("{} $CS {what} --sandbox require", wrap(calls));
            dir.fails(dir.shell(&script), 78, &["sandboxed fully"]);
        }
    }
}
