//! Rekeying that is killed: before every system call that changes anything, and on every kind of
//! file system that needs another method.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::common::{Dir, Done, NOBODY, test_bytes};

/// The system calls that change something visible to others; the run is interrupted before each of
/// them. (A signal is delivered when a call begins, and SIGKILL prevents the call.)
const CALLS: [&str; 15] = [
    "flock",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlinkat",
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "fchmod",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "exit_group",
];

/// Whether to try every case on every file system, as `ci/rekey_interrupted.sh` does.
fn is_exhaustive() -> bool {
    std::env::var_os("CRYPTSTREAM_EXHAUSTIVE").is_some()
}

/// A file to rekey, and the expected method.
struct Case {
    format: &'static str,
    len: usize,
    /// The number of identities that it is encrypted to at first.
    old: usize,
    /// The number of identities afterwards.
    new: usize,
    method: &'static str,
    flags: &'static [&'static str],
}

const IN_PLACE: Case =
    Case { format: "native", len: 1 << 20, old: 1, new: 1, method: "in-place", flags: &[] };
const SMALL: Case = Case { len: 100, method: "rewritten", ..IN_PLACE };
const COPIED: Case = Case { format: "age", new: 2, method: "rewritten", ..IN_PLACE };
const RESEALED: Case = Case { method: "reencrypted", flags: &["--reencrypt"], ..IN_PLACE };
const CLONED: Case = Case { method: "shared", ..IN_PLACE };
/// The header grows from one block to two.
const SHIFTED: Case = Case { new: 60, method: "shared", ..IN_PLACE };

fn has(program: &str) -> bool {
    let is_there = Command::new(program).arg("-V").output().is_ok();
    if !is_there {
        println!("skipped: there is no {program}");
    }
    is_there
}

/// An encrypted file in its own folder, and the command that rekeys it.
struct Fixture<'a> {
    dir: &'a Dir,
    case: &'a Case,
    content: Vec<u8>,
    encrypted: Vec<u8>,
    args: Vec<String>,
}

impl<'a> Fixture<'a> {
    fn new(dir: &'a Dir, case: &'a Case) -> Self {
        // Names that do not count as leftovers.
        std::fs::create_dir_all(dir.path("keys")).unwrap();
        for name in ["old", "new"] {
            if !dir.path("keys").join(name).exists() {
                dir.keygen(&format!("keys/{name}"));
            }
        }
        let content = test_bytes(case.len);
        let own = |name: &str| dir.run(&["keygen", "-y", name]).ok().stdout_text();
        let list = |name: &str, count| own(name).repeat(count);
        dir.write("keys/old-list", list("keys/old", case.old));
        dir.write("keys/new-list", list("keys/new", case.new));
        let encrypt = ["encrypt", "--format", case.format, "-R", "keys/old-list", "-", "-"];
        let encrypted = dir.command(&encrypt).input(&content).run().ok().stdout;
        let args = ["rekey", "f", "-i", "keys/old", "--new-recipients-file", "keys/new-list"];
        let args = args.iter().chain(case.flags).map(|arg| (*arg).to_owned()).collect();
        Self { dir, case, content, encrypted, args }
    }

    /// The number of times that each call is made in an uninterrupted run.
    fn count_calls(&self) -> Vec<(&'static str, usize)> {
        self.dir.write("f", &self.encrypted);
        let traced = format!("trace={}", CALLS.join(","));
        let trace = self.dir.path("keys/trace");
        let args = ["-f", "-qq", "-e", "signal=none", "-o", trace.to_str().unwrap(), "-e", &traced];
        self.under_strace(&args).ok();
        let trace = self.dir.read("keys/trace");
        let trace = String::from_utf8_lossy(&trace);
        // Lines such as `123 pwrite64(3, ...) = 7`; an interrupted line is resumed later.
        let begins = |line: &str, call: &str| {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            line.strip_prefix(call).is_some_and(|rest| rest.starts_with('('))
        };
        let count = |call: &str| trace.lines().filter(|line| begins(line, call)).count();
        CALLS.map(|call| (call, count(call))).into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Rekeys, and delivers this signal at the `count`th of these calls.
    fn interrupted(&self, call: &str, signal: &str, count: usize) -> Done {
        let traced = format!("trace={call}");
        let injected = format!("inject={call}:signal={signal}:when={count}");
        self.under_strace(&["-f", "-qq", "-o", "/dev/null", "-e", &traced, "-e", &injected])
    }

    fn under_strace(&self, args: &[&str]) -> Done {
        let mut run = self.dir.command(&self.args);
        let program = run.command.get_program().to_owned();
        let mut strace = Command::new("strace");
        strace.args(args).arg(program);
        strace.args(run.command.get_args()).current_dir(self.dir.root());
        run.command = strace;
        run.run()
    }

    fn opens(&self, key: &str) -> bool {
        let done = self.dir.run(&["decrypt", "f", "-", "-i", key]);
        match done.code() {
            Some(0) => assert!(done.stdout == self.content),
            code => assert_eq!(code, Some(77), "{done:?}"),
        }
        done.code() == Some(0)
    }

    fn leftovers(&self) -> Vec<std::ffi::OsString> {
        let names = self.dir.names().into_iter();
        names.filter(|name| name.to_string_lossy().starts_with('.')).collect()
    }

    /// Interrupts it before every call, and returns the number of interruptions.
    fn interrupt_everywhere(&self, signal: &str) -> usize {
        let mut times = 0;
        for (call, made) in self.count_calls() {
            for count in 1..=made {
                let _ = std::fs::remove_file(self.dir.path("f"));
                self.dir.write("f", &self.encrypted);
                let done = self.interrupted(call, signal, count);
                let what = format!("{signal} at {call} {count}: {done:?}");
                assert!(matches!(done.code(), None | Some(0)), "{what}");
                let is_new = self.opens("keys/new");
                assert!(is_new != self.opens("keys/old"), "{what}");
                if signal != "SIGKILL" {
                    assert!(self.leftovers().is_empty(), "{what}: {:?}", self.leftovers());
                }
                let is_over = done.code() == Some(0);
                assert!(is_new || !is_over, "{what}");
                times += usize::from(!is_over);
                if is_new && self.leftovers().is_empty() {
                    // Nothing is left to do.
                    continue;
                }

                let mut again = self.args.clone();
                again.extend(["-i", "keys/new", "--json"].map(str::to_owned));
                let again = self.dir.run(&again).ok();
                if !is_new {
                    // The remaining state must allow the same method.
                    let method = &again.json(&again.stdout)["method"];
                    assert_eq!(method, self.case.method, "{what}");
                }
                assert!(self.opens("keys/new") && !self.opens("keys/old"), "{what}");
                assert!(self.leftovers().is_empty(), "{what}: {:?}", self.leftovers());
            }
        }
        times
    }
}

/// The method that this file system uses for a case.
fn method_of(dir: &Dir, case: &Case) -> String {
    let fixture = Fixture::new(dir, case);
    dir.write("f", &fixture.encrypted);
    let mut args = fixture.args.clone();
    args.push("--json".to_owned());
    let done = dir.run(&args).ok();
    done.json(&done.stdout)["method"].as_str().unwrap().to_owned()
}

#[track_caller]
fn interrupt(dir: &Dir, case: &Case) {
    if !has("strace") {
        return;
    }
    let method = method_of(dir, case);
    if method != case.method {
        println!("skipped: here it is {method}, not {}", case.method);
        return;
    }
    for signal in ["SIGKILL", "SIGTERM"] {
        let times = Fixture::new(dir, case).interrupt_everywhere(signal);
        println!("{method}, {}: interrupted {times} times with {signal}", case.format);
        // A termination may come too late: it is deferred while a file is replaced, and after the
        // last call the program ends by itself.
        let least = if signal == "SIGKILL" { 6 } else { 3 };
        assert!(times >= least, "{times}");
    }
}

#[test]
fn in_place() {
    interrupt(&Dir::new(), &IN_PLACE);
}

#[test]
fn a_small_file_is_rewritten() {
    interrupt(&Dir::new(), &SMALL);
}

#[test]
fn a_copy_behind_a_longer_header() {
    interrupt(&Dir::new(), &COPIED);
}

#[test]
fn content_encrypted_again() {
    interrupt(&Dir::new(), &RESEALED);
}

/// In a folder with the sticky bit, as /tmp has it, only its owner may remove it.
#[test]
fn a_journal_that_belongs_to_another_user() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: this test needs root, to write files of another user");
    }
    if !has("strace") {
        return;
    }
    let dir = Dir::new();
    let fixture = Fixture::new(&dir, &IN_PLACE);
    let file = dir.write("f", &fixture.encrypted);
    assert_eq!(fixture.interrupted("unlinkat", "SIGKILL", 1).code(), None);
    assert_eq!(fixture.leftovers(), [".f.cryptstream-rekey"]);
    chown(file, Some(NOBODY), None).unwrap();
    for (name, mode) in [(".", 0o1777), ("keys/old", 0o644), ("keys/new", 0o644)] {
        std::fs::set_permissions(dir.path(name), Permissions::from_mode(mode)).unwrap();
    }
    let run = dir.unprivileged(&[&fixture.args[..], &["-i".into(), "keys/new".into()]].concat());
    let words = [".f.cryptstream-rekey: belongs to another user (id 0)", "nothing was done"];
    dir.fails(run, 73, &words);
    assert!(fixture.opens("keys/new"));
}

/// A file system in a file, mounted on `mnt` in a folder.
struct Mounted(Dir);

impl Mounted {
    /// `None` if that is not possible.
    fn new(kind: &str) -> Option<Self> {
        let image = "truncate -s 400M image";
        Self::by(kind, &format!("{image} && mkfs.{kind} -q image && mount -o loop image mnt"))
    }

    fn by(kind: &str, script: &str) -> Option<Self> {
        let dir = Dir::new();
        let done = dir.shell(&format!("mkdir mnt real && {script}")).run();
        if !done.status.success() {
            println!("skipped: no {kind} can be mounted here: {}", done.stderr_text());
            return None;
        }
        Some(Self(dir))
    }

    fn dir(&self) -> Dir {
        Dir::new_in(Path::new(&self.0.path("mnt"))).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.0.shell("umount mnt || fusermount -u mnt").run();
    }
}

#[test]
fn a_file_system_without_unnamed_files() {
    let Some(mounted) = Mounted::by("bindfs", "bindfs real mnt") else { return };
    let cases: &[Case] = if is_exhaustive() { &[IN_PLACE, SMALL, COPIED] } else { &[SMALL] };
    for case in cases {
        interrupt(&mounted.dir(), case);
    }
}

#[test]
fn where_blocks_are_shared() {
    if !is_exhaustive() {
        println!("skipped: takes long; see ci/rekey_interrupted.sh");
        return;
    }
    for kind in ["btrfs", "xfs"] {
        let Some(mounted) = Mounted::new(kind) else { continue };
        for case in [CLONED, SHIFTED] {
            let dir = mounted.dir();
            assert_eq!(method_of(&dir, &case), "shared", "{kind}");
            interrupt(&dir, &case);
        }
        // More than half of the space, so that a copy does not fit.
        let dir = mounted.dir();
        for case in [CLONED, SHIFTED, Case { format: "age", old: 3, ..CLONED }] {
            let case = Case { len: 230 << 20, ..case };
            assert_eq!(method_of(&dir, &case), "shared", "{kind}");
            let fixture = Fixture::new(&dir, &case);
            assert!(fixture.opens("keys/new") && !fixture.opens("keys/old"));
            std::fs::remove_file(dir.path("f")).unwrap();
        }
    }
}
