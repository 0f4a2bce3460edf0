//! A folder, keys, and a program that acts as the worker.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use cryptstream_engine::{
    BatchItem, BatchSummary, Decrypt, DecryptAll, Destination, Encrypt, EncryptAll, Engine,
    EngineOptions, Error, Items, OnDone, Origin, Processes, SandboxMode, Source, Summary, Target,
};
use cryptstream_format::x25519::{PublicKey, SecretKey};
use cryptstream_format::{Identity, Recipient};

/// Nothing here takes a tenth of this, even on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of which no two chunks are alike.
pub fn paint(len: usize) -> Vec<u8> {
    // Kept, since many tests compare with the same megabytes over and over.
    static PAINTED: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut painted = PAINTED.lock().unwrap();
    let known = painted.len();
    painted.extend((known..len).map(|i| (i % 251) as u8 ^ (i >> 14) as u8));
    painted[..len].to_vec()
}

/// The program that acts as the worker.
pub const FAULTY_WORKER: &str = env!("CARGO_BIN_EXE_faulty_worker");

/// Runs `test` under a watchdog.
pub fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, watch) = mpsc::channel();
    let tested = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    if watch.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    tested.join().unwrap();
}

/// Waits for a process, and kills it when it hangs.
pub fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the process hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

pub struct Fixture {
    dir: tempfile::TempDir,
    secret: SecretKey,
    public: PublicKey,
}

impl Fixture {
    /// A folder on the file system of the build, so that the worker program can be hard-linked
    /// there.
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let secret = SecretKey::generate().unwrap();
        let public = secret.to_public();
        Self { dir, secret, public }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The program that, as a worker, behaves as `plan` says.
    pub fn program(&self, plan: &str) -> PathBuf {
        let program = self.path(plan);
        if !program.exists() {
            // Not a copy: a file that was just written may be busy.
            fs::hard_link(FAULTY_WORKER, &program).unwrap();
        }
        program
    }

    /// An engine with `count` workers that behave as `plan` says.
    pub fn engine(&self, count: u16, plan: &str) -> Engine {
        engine_of(self.program(plan), Processes::Exactly(count), SandboxMode::Auto)
    }

    pub fn target(&self, name: &str) -> Target {
        Target::Path { path: self.path(name), force: true }
    }

    /// One item of a batch.
    pub fn item(&self, input: &str, output: Option<&str>) -> BatchItem {
        let input = self.path(input);
        let len = fs::metadata(&input).unwrap().len();
        let output = output.map(|output| Destination::Named(self.target(output)));
        let output = output.unwrap_or(Destination::Nowhere);
        BatchItem { input, origin: Origin::Path, len, output, guard: None }
    }

    pub fn recipients(&self) -> [&(dyn Recipient + Sync); 1] {
        [&self.public]
    }

    pub fn identities(&self) -> [&dyn Identity; 1] {
        [&self.secret]
    }

    pub fn encrypt(&self, engine: &mut Engine, from: &str, to: &str) -> Result<Summary, Error> {
        let mut source = Source::open(&self.path(from))?;
        let recipients = self.recipients();
        engine.encrypt(Encrypt::source(&mut source).target(self.target(to)).recipients(&recipients))
    }

    pub fn decrypt(&self, engine: &mut Engine, from: &str, to: &str) -> Result<Summary, Error> {
        let mut source = Source::open(&self.path(from))?;
        let identities = self.identities();
        engine.decrypt(Decrypt::source(&mut source).target(self.target(to)).identities(&identities))
    }

    pub fn encrypt_all(
        &self,
        engine: &mut Engine,
        items: Items<'_>,
        on_done: &mut OnDone<'_>,
    ) -> BatchSummary {
        let recipients = self.recipients();
        engine.encrypt_all(EncryptAll::items(items).recipients(&recipients).on_done(on_done))
    }

    pub fn decrypt_all(
        &self,
        engine: &mut Engine,
        items: Items<'_>,
        on_done: &mut OnDone<'_>,
    ) -> BatchSummary {
        let identities = self.identities();
        engine.decrypt_all(DecryptAll::items(items).identities(&identities).on_done(on_done))
    }

    /// The plaintext of an encrypted file, decrypted by main alone.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let mut engine = self.engine(0, "alone");
        self.decrypt(&mut engine, name, "content").unwrap();
        self.read("content")
    }
}

/// An engine on two cores whose workers are this program.
pub fn engine_of(program: PathBuf, processes: Processes, sandbox: SandboxMode) -> Engine {
    let options =
        EngineOptions { processes, sandbox, program: Some(program.into()), ..Default::default() };
    Engine::new(options, 2)
}
