//! Temporary folders, and running the program in them with a timeout.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod acl;
pub mod age_matrix;
pub mod failing_calls;
pub mod group;
pub mod mounted;
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

/// How long to wait for anything. On a machine that builds several programs meanwhile, writing 48 MiB
/// to the disk has taken two minutes.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// The cheapest key derivation that the program accepts.
pub const CHEAP: &str = "--argon2id=64MiB";

/// The ID of a user without any permissions.
pub const NOBODY: u32 = 65_534;

/// A temporary folder, removed on drop.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder in `parent`, or `None` if it cannot be created.
    pub fn new_in(parent: &Path) -> Option<Self> {
        tempfile::tempdir_in(parent).ok().map(Self)
    }

    /// A folder in memory if possible, for tests that write thousands of files but do not depend on
    /// the file system.
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

    /// Writes a file with the permissions of a file that holds a secret.
    pub fn write_secret(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn read(&self, name: impl AsRef<OsStr>) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Generates an identity file and returns its recipient.
    pub fn keygen(&self, name: &str) -> String {
        self.run(&["keygen", "-o", name]).ok();
        self.run(&["keygen", "-y", name]).ok().stdout_text().trim().to_owned()
    }

    /// The content encrypted to the identity `id`, which is generated if it does not exist.
    pub fn encrypted(&self, content: &[u8]) -> Vec<u8> {
        if !self.path("id").exists() {
            self.keygen("id");
        }
        self.command(&["encrypt", "-i", "id", "-", "-"]).input(content).run().ok().stdout
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        let mut command = as_from_a_shell(env!("CARGO_BIN_EXE_cryptstream"));
        command.args(args).current_dir(self.root());
        clear_defaults(&mut command);
        Run { command, input: Vec::new() }
    }

    /// A shell script, in which `$CS` is the program.
    pub fn shell(&self, script: &str) -> Run {
        let mut command = as_from_a_shell("bash");
        command.args(["-c", script]).current_dir(self.root());
        command.env("CS", env!("CARGO_BIN_EXE_cryptstream"));
        clear_defaults(&mut command);
        Run { command, input: Vec::new() }
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Done {
        self.command(args).run()
    }

    /// A copy of the program in the folder, for users who cannot reach the original. Another
    /// process copies it: otherwise the child of another test could inherit the descriptor, and a
    /// file that is open for writing cannot be run.
    pub fn program(&self) -> PathBuf {
        let copy = self.path("cs");
        let mut cp = Command::new("cp");
        assert!(cp.arg(env!("CARGO_BIN_EXE_cryptstream")).arg(&copy).status().unwrap().success());
        copy
    }

    /// Runs the program as a user whom permissions restrict, even if the tests run as root. That
    /// user must be able to enter the folder and to read the key.
    pub fn unprivileged<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        let mut run = self.command(args);
        if rustix::process::geteuid().is_root() {
            let mut replaced = Command::new(self.program());
            replaced.args(args).current_dir(self.root()).uid(NOBODY);
            clear_defaults(&mut replaced);
            run.command = replaced;
        }
        run
    }

    /// The names in the folder, sorted.
    pub fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.root()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// All paths in the folder, with the contents of files.
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

    /// Asserts that a run fails with this exit code and these words on standard error, and leaves
    /// the folder unchanged: no output, no temporary file.
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

/// Whether this user is the only member of the group that new files get, so that a umask of 002
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

/// A command that ignores no signal, even if the tests run under nohup or as a background job of a
/// script, whose children ignore SIGHUP or SIGINT from the start.
fn as_from_a_shell(program: &str) -> Command {
    // SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU.
    const SIGNALS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 19 | 1 << 20 | 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    if ignored & SIGNALS == 0 {
        return Command::new(program);
    }
    // By its full path, as a test may set PATH.
    let mut command = Command::new("/usr/bin/env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM,TSTP,TTIN,TTOU", program]);
    command
}

/// The least costs of a passphrase, as defaults: a quarter of the time of the usual ones, which
/// took a quarter of the time of all tests.
const LEAST_COSTS: [(&str, &str); 2] =
    [("CRYPTSTREAM_ARGON2ID", "64MiB"), ("CRYPTSTREAM_SCRYPT", "16")];

/// Removes the defaults of the user who runs the tests from the environment.
pub fn clear_defaults(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        // Keeps the switch with which ci/attacks.sh turns protections off.
        let text = name.to_string_lossy();
        let is_default =
            ["CRYPTSTREAM_", "GOOGLE_", "AZURE_"].iter().any(|prefix| text.starts_with(prefix));
        if is_default && name != cryptstream_protection::SWITCH {
            command.env_remove(name);
        }
    }
    command.env("CRYPTSTREAM_CONFIG", "/dev/null").envs(LEAST_COSTS);
}

/// A command that is about to run.
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

    /// With the costs of a passphrase that users get.
    pub fn with_usual_costs(mut self) -> Self {
        for (name, _) in LEAST_COSTS {
            self.command.env_remove(name);
        }
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
        // The program may exit before it has read everything.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let done = wait(child);
        writer.join().unwrap();
        done
    }
}

/// Waits for a program, and kills it after [`TIMEOUT`].
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
        if start.elapsed() > TIMEOUT {
            child.kill().unwrap();
            panic!("the program hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The result of a program that has exited.
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

    /// Asserts success without any message.
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

/// The events that a command with several files prints with `--json`, one per line as with
/// `rg --json`: one for each file, and the one at the end.
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

/// A pseudo-random number generator.
pub struct Random(u64);

impl Random {
    /// Uses the seed in `CRYPTSTREAM_SEED`, or a new one, and prints it.
    pub fn new() -> Self {
        let given = std::env::var("CRYPTSTREAM_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.unwrap_or(now);
        println!("CRYPTSTREAM_SEED={seed}");
        Self(seed)
    }

    /// A random duration below `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        most.mul_f64(((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// Test data in which no two chunks are equal: its period is prime, and it includes the position.
pub fn test_bytes(len: usize) -> Vec<u8> {
    // Cached, as many tests compare with the same megabytes again and again.
    static CACHE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut bytes = CACHE.lock().unwrap();
    let known = bytes.len();
    bytes.extend((known..len).map(|i| (i % 251) as u8 ^ (i >> 14) as u8));
    bytes[..len].to_vec()
}

/// The length of the header of an encrypted file.
pub fn header_len(encrypted: &[u8]) -> usize {
    let mark = encrypted.windows(5).position(|window| window == b"\n--- ").unwrap();
    mark + 5 + encrypted[mark + 5..].iter().position(|byte| *byte == b'\n').unwrap() + 1
}

/// The payload bytes before the first chunk, and the lengths of an encrypted chunk and of a
/// plaintext chunk.
pub const PREFIX: usize = 56;
pub const SEALED_CHUNK: usize = 16_400;
pub const CHUNK: usize = 16_384;
