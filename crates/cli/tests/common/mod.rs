//! A folder to work in, the program to run in it, and a watchdog on both.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod acl;
pub mod age_matrix;
pub mod failing_calls;
pub mod group;
pub mod pty;
pub mod tree;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes a tenth of this, even on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The cheapest key derivation that is allowed.
pub const CHEAP: &str = "--argon2id=64MiB";

/// A user without any rights.
const NOBODY: u32 = 65_534;

/// A folder that is removed at the end.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder in `parent`; `None` where none can be made.
    pub fn new_in(parent: &Path) -> Option<Self> {
        tempfile::tempdir_in(parent).ok().map(Self)
    }

    /// A folder in memory where there can be one: for thousands of files that have nothing
    /// to do with file systems.
    pub fn in_memory() -> Self {
        Self::new_in(Path::new("/dev/shm")).unwrap_or_else(Self::new)
    }

    pub fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.path().join(name.as_ref())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The same with the permissions of a file that holds a secret.
    pub fn write_secret(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn read(&self, name: impl AsRef<OsStr>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Makes an identity file and returns its recipient.
    pub fn keygen(&self, name: &str) -> String {
        self.run(&["keygen", "-o", name]).ok();
        self.run(&["keygen", "-y", name]).ok().stdout_text().trim().to_owned()
    }

    /// The content sealed for the identity `id`, which is made if need be.
    pub fn sealed(&self, content: &[u8]) -> Vec<u8> {
        if !self.path("id").exists() {
            self.keygen("id");
        }
        self.command(&["encrypt", "-i", "id", "-", "-"]).input(content).run().ok().stdout
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        let mut command = as_from_a_shell(env!("CARGO_BIN_EXE_cryptstream"));
        command.args(args).current_dir(self.root());
        shield(&mut command);
        Run { command, input: Vec::new() }
    }

    /// The same through a shell, where `$CS` is the program.
    pub fn shell(&self, script: &str) -> Run {
        let mut command = as_from_a_shell("bash");
        command.args(["-c", script]).current_dir(self.root());
        command.env("CS", env!("CARGO_BIN_EXE_cryptstream"));
        shield(&mut command);
        Run { command, input: Vec::new() }
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Done {
        self.command(args).run()
    }

    /// A copy of the program in the folder, for users who cannot reach it where
    /// it is. Not copied by this process: another test's child could inherit
    /// the descriptor, and what is open for writing cannot be run.
    pub fn program(&self) -> PathBuf {
        let copy = self.path("cs");
        let mut cp = Command::new("cp");
        assert!(cp.arg(env!("CARGO_BIN_EXE_cryptstream")).arg(&copy).status().unwrap().success());
        copy
    }

    /// The same as somebody whom permissions bind; tests may run as root, whom they
    /// do not. Such a user must be able to reach the folder, and to read the key.
    pub fn unprivileged<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        let mut run = self.command(args);
        if rustix::process::geteuid().is_root() {
            let mut replaced = Command::new(self.program());
            replaced.args(args).current_dir(self.root()).uid(NOBODY);
            shield(&mut replaced);
            run.command = replaced;
        }
        run
    }

    /// The names in the folder.
    pub fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.root()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// Everything in the folder: names, kinds, contents.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| {
                let is_file = fs::symlink_metadata(&path).unwrap().is_file();
                let content =
                    if is_file { fs::read(&path).unwrap_or_default() } else { Vec::new() };
                (path, content)
            })
            .collect()
    }

    /// Runs what must fail with this exit code, these words on standard
    /// error, and must leave the folder as it was: no output, no temporary.
    #[track_caller]
    pub fn fails(&self, run: Run, code: i32, words: &[&str]) -> Done {
        let before = self.snapshot();
        let done = run.run();
        assert_eq!(done.code(), Some(code), "{done:?}");
        let text = done.stderr_text();
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
        assert_eq!(self.snapshot().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        assert!(self.snapshot() == before, "a file was changed");
        done
    }
}

/// Whether this user is alone in the group that new files get, so that a umask of 002
/// lets nobody else write.
pub fn has_private_group() -> bool {
    let me = rustix::process::geteuid().as_raw().to_string();
    let group = rustix::process::getegid().as_raw().to_string();
    let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
    let (users, groups) = (read("/etc/passwd"), read("/etc/group"));
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let in_group = users.lines().map(fields).filter(|user| user.get(3) == Some(&group));
    let mut ids = in_group.map(|user| user[2].clone());
    let mut named = groups.lines().map(fields).filter(|entry| entry.get(2) == Some(&group));
    ids.next() == Some(me.clone())
        && ids.all(|id| id == me)
        && named.next().is_some_and(|entry| entry[3].is_empty())
        && named.next().is_none()
}

/// A program that no signal is ignored for, even where the tests are run under nohup
/// or as a background job of a script, whose children have SIGHUP or SIGINT ignored
/// from the start.
fn as_from_a_shell(program: &str) -> Command {
    // SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU.
    const SIGNALS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 19 | 1 << 20 | 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if ignored & SIGNALS == 0 {
        return Command::new(program);
    }
    // By its path: a test may set PATH.
    let mut command = Command::new("/usr/bin/env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM,TSTP,TTIN,TTOU", program]);
    command
}

/// Keeps the defaults of whoever runs the tests out of them.
pub fn shield(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        // Not the switch that ci/attacks.sh turns protections off with.
        let is_default = name.to_string_lossy().starts_with("CRYPTSTREAM_");
        if is_default && name != cryptstream_protection::SWITCH {
            command.env_remove(name);
        }
    }
    command.env("CRYPTSTREAM_CONFIG", "/dev/null");
}

/// A program about to be run.
pub struct Run {
    pub command: Command,
    input: Vec<u8>,
}

impl Run {
    pub fn input(mut self, input: &[u8]) -> Self {
        self.input = input.to_vec();
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().unwrap()
    }

    #[track_caller]
    pub fn run(self) -> Done {
        let input = self.input.clone();
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().unwrap();
        // The program may well end before it has read everything.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let done = wait(child);
        writer.join().unwrap();
        done
    }
}

/// Waits for a program, and kills it when it hangs.
#[track_caller]
pub fn wait(mut child: Child) -> Done {
    let stdout = child.stdout.take().unwrap();
    let stderr = child.stderr.take().unwrap();
    drop(child.stdin.take());
    let read = |mut from: Box<dyn Read + Send>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
        })
    };
    let (stdout, stderr) = (read(Box::new(stdout)), read(Box::new(stderr)));
    let status = wait_status(&mut child);
    Done { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

#[track_caller]
pub fn wait_status(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the program hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// A program that has ended.
pub struct Done {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl std::fmt::Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}, {} bytes on stdout, stderr: {}",
            self.status,
            self.stdout.len(),
            self.stderr_text()
        )
    }
}

impl Done {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self:?}");
        self
    }

    /// Succeeded without a word.
    #[track_caller]
    pub fn ok_and_silent(self) -> Self {
        let done = self.ok();
        assert_eq!(done.stderr_text(), "");
        done
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub fn json(&self, stream: &[u8]) -> serde_json::Value {
        serde_json::from_slice(stream).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What a command that takes several files has said of each with `--json`, and at the end:
/// a line for each, as `rg --json` does it.
#[track_caller]
pub fn file_events(done: &Done) -> (Vec<serde_json::Value>, serde_json::Value) {
    let text = done.stdout_text();
    let mut events: Vec<_> = text.lines().map(|line| done.json(line.as_bytes())).collect();
    assert!(events.iter().all(|event| event["schema"] == 1), "{text}");
    let end = events.pop().unwrap_or_else(|| panic!("there is no event: {done:?}"));
    assert_eq!(end["event"], "end", "{end}");
    assert!(events.iter().all(|event| event["event"] == "file"), "{text}");
    (events, end)
}

/// Numbers that look random, and are the same again for the same seed.
pub struct Random(u64);

impl Random {
    /// Another seed each time, which is printed; `CRYPTSTREAM_SEED` sets it.
    pub fn new() -> Self {
        let given = std::env::var("CRYPTSTREAM_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.unwrap_or(now);
        println!("CRYPTSTREAM_SEED={seed}");
        Self(seed)
    }

    /// A moment within the first `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        most.mul_f64(((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// Bytes in which no two chunks are alike: a prime period, and the position.
pub fn paint(len: usize) -> Vec<u8> {
    // Kept, since many tests compare with the same megabytes over and over.
    static PAINTED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut painted = PAINTED.lock().unwrap();
    let known = painted.len();
    painted.extend((known..len).map(|i| (i % 251) as u8 ^ (i >> 14) as u8));
    painted[..len].to_vec()
}

/// Where the payload of a sealed file begins.
pub fn header_len(sealed: &[u8]) -> usize {
    let mark = sealed.windows(5).position(|window| window == b"\n--- ").unwrap();
    mark + 5 + sealed[mark + 5..].iter().position(|byte| *byte == b'\n').unwrap() + 1
}

/// Bytes before the first chunk, in a sealed chunk, in a chunk.
pub const PREFIX: usize = 56;
pub const SEALED_CHUNK: usize = 16_400;
pub const CHUNK: usize = 16_384;
