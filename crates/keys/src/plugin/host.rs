//! Runs a plugin: finds it, waits for it, forwards its questions to the user, and remembers
//! the answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use cryptstream_format::{KeyFailure, KeyFailureKind};
use cryptstream_protection::Protection;
use zeroize::Zeroizing;

use crate::age_compat;
use crate::prompt::SharedCallbacks;

/// After this time the user is told which plugin is slow: its token may need a touch.
const TELL_AFTER: Duration = Duration::from_secs(10);
/// How often the timeout is checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a plugin may stay silent, not counting the time that the user takes to answer.
/// `None` means no limit.
pub type Timeout = Option<Duration>;

/// The state of a plugin from earlier sessions of this run.
///
/// Plugins ask for a PIN once per session, and a run over many files has many sessions. A correct
/// answer is reused. After a wrong PIN, or no answer, the plugin is not used again: tokens lock
/// themselves after a few wrong PINs. A plugin that hangs is not used again either.
#[derive(Default)]
pub(crate) struct PluginState {
    /// Why the plugin is not used again, if it failed.
    stopped: OnceLock<KeyFailure>,
    /// Correct answers to questions for secrets.
    answers: Mutex<Vec<Answer>>,
    /// Whether the plugin failed to handle several files in one session.
    is_one_by_one: AtomicBool,
}

impl PluginState {
    /// Whether to use one session for this many files.
    pub(super) fn prefers_batch(&self, files: usize) -> bool {
        files > 1 && self.stopped.get().is_none() && !self.is_one_by_one.load(Ordering::Relaxed)
    }

    /// Uses one session per file from now on.
    pub(super) fn go_one_by_one(&self) {
        self.is_one_by_one.store(true, Ordering::Relaxed);
    }
}

type Answer = (String, Zeroizing<Vec<u8>>);

/// Finds a plugin in `PATH`. Fails if `PATH` contains relative folders, since the owner of the
/// current folder could plant a plugin there. Programs should remove such folders from `PATH`
/// when they start.
fn find(plugin: &str) -> Result<PathBuf, KeyFailure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).filter(|_| !path.is_empty());
    let binary = binary_name(plugin);
    if !Protection::PluginEnvironment.is_on() || folders.all(|folder| folder.is_absolute()) {
        let is_program = |path: &PathBuf| {
            path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
        };
        let mut programs = std::env::split_paths(&path).map(|folder| folder.join(&binary));
        return programs.find(is_program).ok_or_else(|| age_compat::no_plugin(&binary));
    }
    Err(KeyFailure {
        kind: KeyFailureKind::NoPlugin,
        message: format!(
            "the plugin {binary} is not started, because PATH contains relative folders"
        ),
    })
}

fn binary_name(plugin: &str) -> String {
    format!("age-plugin-{plugin}")
}

/// Attributes a failure to the plugin.
fn of_plugin(plugin: &str, failure: KeyFailure) -> KeyFailure {
    match failure.kind {
        KeyFailureKind::Unusable | KeyFailureKind::PluginFailed => KeyFailure {
            kind: KeyFailureKind::PluginFailed,
            message: format!("the plugin {}: {}", binary_name(plugin), failure.message),
        },
        _ => failure,
    }
}

/// One session's link to the user. It knows when the plugin last said something.
#[derive(Clone)]
pub(super) struct Host {
    callbacks: SharedCallbacks,
    /// When the plugin last said something; `None` while the user is asked.
    last: Arc<Mutex<Option<Instant>>>,
    /// Whether the user was asked anything.
    has_asked: Arc<AtomicBool>,
    state: Arc<PluginState>,
    /// Answers given in this session.
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// Locks a mutex. No code that holds one of these locks can panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Host {
    pub(super) fn new(callbacks: &SharedCallbacks, state: &Arc<PluginState>) -> Self {
        Self {
            callbacks: SharedCallbacks::clone(callbacks),
            last: Arc::new(Mutex::new(Some(Instant::now()))),
            has_asked: Arc::default(),
            state: Arc::clone(state),
            answers: Arc::default(),
        }
    }

    /// Runs one session. A plugin that hangs, or that fails after asking the user, is not used
    /// again. `is_proof` says whether a result proves that the answers were correct.
    pub(super) fn run<T: Send + 'static>(
        &self,
        name: &str,
        timeout: Timeout,
        work: impl FnOnce(PathBuf) -> Result<T, KeyFailure> + Send + 'static,
        is_proof: impl FnOnce(&T) -> bool,
    ) -> Result<T, KeyFailure> {
        if let Some(failure) = self.state.stopped.get() {
            return Err(failure.clone());
        }
        let plugin = find(name)?;
        let done = self.wait_for(name, timeout, move || work(plugin));
        let done = done.and_then(|done| done.map_err(|failure| of_plugin(name, failure)));
        let is_last = |failure: &KeyFailure| {
            failure.kind == KeyFailureKind::PluginHangs || self.has_asked.load(Ordering::Relaxed)
        };
        if let Err(failure) = &done
            && is_last(failure)
        {
            let message = format!("{}; it is not used again in this run", failure.message);
            // Another thread may have set it first.
            let _ = self.state.stopped.set(KeyFailure { message, ..failure.clone() });
        }
        // If the plugin found nothing, the answer may have been wrong.
        if done.as_ref().is_ok_and(is_proof) && !lock(&self.answers).is_empty() {
            *lock(&self.state.answers) = std::mem::take(&mut *lock(&self.answers));
        }
        done
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.last)
    }

    /// Stops the clock while the user answers.
    fn answer<T>(&self, answer: impl FnOnce() -> T) -> T {
        *self.last() = None;
        let answered = answer();
        *self.last() = Some(Instant::now());
        answered
    }

    /// Runs the session on its own thread, which is abandoned when the plugin times out. The
    /// thread holds only a copy of the keys and ends with the process at the latest.
    fn wait_for<T: Send + 'static>(
        &self,
        plugin: &str,
        timeout: Timeout,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, KeyFailure> {
        let failure = |kind, what: String| KeyFailure {
            kind,
            message: format!("the plugin {} {what}", binary_name(plugin)),
        };
        let crashed = || failure(KeyFailureKind::PluginFailed, "failed".to_owned());
        let (sender, receiver) = mpsc::channel();
        let worker = thread::Builder::new().name("plugin".to_owned());
        worker.spawn(move || sender.send(work())).map_err(|_| crashed())?;
        let mut is_told = false;
        loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Disconnected) => return Err(crashed()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let silence = self.last().map_or(Duration::ZERO, |last| last.elapsed());
            if silence > TELL_AFTER && !std::mem::replace(&mut is_told, true) {
                self.callbacks.say(&format!("waiting for the plugin {}", binary_name(plugin)));
            }
            if let Some(timeout) = timeout.filter(|timeout| silence > *timeout) {
                end_plugins();
                let seconds = timeout.as_secs();
                let what = format!("has not answered for {seconds} seconds and was stopped");
                return Err(failure(KeyFailureKind::PluginHangs, what));
            }
        }
    }

    /// Shows a message of the plugin.
    pub(super) fn say(&self, message: &str) {
        self.answer(|| self.callbacks.say(message));
    }

    pub(super) fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answer(|| self.callbacks.confirm(message, yes, no))
    }

    pub(super) fn ask(&self, message: &str) -> Option<String> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answer(|| self.callbacks.ask(message))
    }

    pub(super) fn ask_secret(&self, message: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.has_asked.store(true, Ordering::Relaxed);
        let is_same = |(question, _): &&Answer| question == message;
        // A question that is repeated within a session was answered wrongly.
        let is_first = !lock(&self.answers).iter().any(|answer| is_same(&answer));
        let known = lock(&self.state.answers).iter().find(is_same).map(|(_, known)| known.clone());
        let answer = match known.filter(|_| is_first) {
            Some(known) => known,
            None => self.answer(|| self.callbacks.ask_secret(message)).ok()?,
        };
        let mut answers = lock(&self.answers);
        answers.retain(|(question, _)| question != message);
        answers.push((message.to_owned(), answer.clone()));
        Some(answer)
    }
}

/// Kills the plugins that this process started. The library does not expose their handles, so
/// this is best effort and needs /proc. A plugin that survives reads the end of its input when
/// this process exits.
fn end_plugins() {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            let pid = child.parse().ok().and_then(rustix::process::Pid::from_raw);
            if let (true, Some(pid)) = (name.starts_with("age-plugin-"), pid) {
                // It may have exited already.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
