//! Runs a plugin: finds it, waits for it, passes on what it asks, and remembers what came
//! of it.

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

/// After this the user is told which plugin is waited for: it may want to be touched.
const TELL_AFTER: Duration = Duration::from_secs(10);
/// How often a plugin that says nothing is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a plugin may say nothing before it is given up, apart from the time
/// that it waits for an answer; `None`: for ever.
pub type Timeout = Option<Duration>;

/// What is known of a plugin from earlier files of this run, shared by all that use it for
/// the same keys.
///
/// There may be several sessions, each for some of the files, and plugins ask for a PIN once
/// a session. So an answer that was right is given again; whoever has entered a wrong
/// PIN or has not answered is not asked once more for each of a thousand files, as tokens
/// lock themselves after a few wrong PINs. Nor is a plugin that hangs waited for a thousand
/// times.
#[derive(Default)]
pub(crate) struct PluginState {
    /// Why it is used no more.
    stopped: OnceLock<KeyFailure>,
    /// Secrets that it asked for and that were right, each with its question.
    answers: Mutex<Vec<Answer>>,
    /// Whether it could not do several files in one session.
    is_one_by_one: AtomicBool,
}

impl PluginState {
    /// Whether it is worth asking for so many files at once.
    pub(super) fn takes_several(&self, files: usize) -> bool {
        files > 1 && self.stopped.get().is_none() && !self.is_one_by_one.load(Ordering::Relaxed)
    }

    /// From now on asks for one file at a time.
    pub(super) fn go_one_by_one(&self) {
        self.is_one_by_one.store(true, Ordering::Relaxed);
    }
}

type Answer = (String, Zeroizing<Vec<u8>>);

/// Finds a plugin in `PATH`. Where that has folders that are not absolute, it is not looked
/// for: it would be the plugin of whoever owns the current folder. Programs take such folders
/// out at their start, which only they can.
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
            "the plugin {binary} is not looked for, as PATH has folders that are not absolute"
        ),
    })
}

fn binary_name(plugin: &str) -> String {
    format!("age-plugin-{plugin}")
}

/// A failure while a plugin was used: where what it answered is no use, that is
/// its failure, not the key's.
fn of_plugin(plugin: &str, failure: KeyFailure) -> KeyFailure {
    match failure.kind {
        KeyFailureKind::Unusable | KeyFailureKind::PluginFailed => KeyFailure {
            kind: KeyFailureKind::PluginFailed,
            message: format!("the plugin {}: {}", binary_name(plugin), failure.message),
        },
        _ => failure,
    }
}

/// What a plugin says reaches the user through this, and it knows when the
/// last time was.
#[derive(Clone)]
pub(super) struct Host {
    callbacks: SharedCallbacks,
    /// When the plugin said something last; `None` while it waits for an
    /// answer.
    last: Arc<Mutex<Option<Instant>>>,
    /// Whether the user has been asked.
    has_asked: Arc<AtomicBool>,
    state: Arc<PluginState>,
    /// Answers of this session.
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// Nothing that could panic is done under these locks.
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

    /// Uses a plugin for one session, unless it has been stopped; stops it where the user was
    /// asked and it failed all the same, or where it hangs.
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
            // Another thread may have been first.
            let _ = self.state.stopped.set(KeyFailure { message, ..failure.clone() });
        }
        // One that found nothing may have been told a wrong one.
        if done.as_ref().is_ok_and(is_proof) && !lock(&self.answers).is_empty() {
            *lock(&self.state.answers) = std::mem::take(&mut *lock(&self.answers));
        }
        done
    }

    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.last)
    }

    /// Has the user answer.
    fn answer<T>(&self, answer: impl FnOnce() -> T) -> T {
        *self.last() = None;
        let answered = answer();
        *self.last() = Some(Instant::now());
        answered
    }

    /// Does what involves the plugin, on a thread of its own, which is left to
    /// itself when the plugin has said nothing for too long. It holds nothing
    /// but a copy of the keys, and ends with the process at the latest.
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
        let crashed = || failure(KeyFailureKind::PluginFailed, "could not be used".to_owned());
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
                let what = format!("has not answered for {seconds} seconds, and was ended");
                return Err(failure(KeyFailureKind::PluginHangs, what));
            }
        }
    }

    /// Shows what the plugin says.
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
        // Asked twice in one session, the answer was wrong.
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

/// Ends the plugins that this process has started: the library keeps their
/// handles to itself. Best effort, and no loss where /proc is missing: a
/// plugin meets the end of its input when we end.
fn end_plugins() {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            let pid = child.parse().ok().and_then(rustix::process::Pid::from_raw);
            if let (true, Some(pid)) = (name.starts_with("age-plugin-"), pid) {
                // It may have ended just now.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
