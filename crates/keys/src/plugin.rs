//! Keys that other programs have: age's plugins (C2SP `age-plugin.md`).
//!
//! A plugin may wait for somebody to touch a token; but one that says nothing
//! at all for long is given up, so that a job without anybody there ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use age::plugin::{
    Identity as AgeIdentity, IdentityPluginV1, Recipient as AgeRecipient, RecipientPluginV1,
};
use age_core::secrecy::SecretString;
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, KeyFailureKind, Recipient, Stanza, UnwrapError,
    WrapError, Wrapped,
};

use cryptstream_protection::Protection;
use zeroize::Zeroizing;

use crate::foreign;
use crate::talk::Talker;

/// How often a plugin that says nothing is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is known of a plugin from earlier files of this run, shared by all that use it for
/// the same keys.
///
/// A session of the protocol is for the stanzas of one file here, and plugins ask for a PIN
/// once a session. So an answer that was right is given again; whoever has entered a wrong
/// PIN or has not answered is not asked once more for each of a thousand files, as tokens
/// lock themselves after a few wrong PINs. Nor is a plugin that hangs waited for a thousand
/// times.
#[derive(Default)]
pub(crate) struct Memory {
    /// Why it is used no more.
    stopped: OnceLock<KeyFailure>,
    /// Secrets that it asked for and that were right, each with its question.
    answers: Mutex<Vec<Answer>>,
}

type Answer = (String, Zeroizing<Vec<u8>>);

/// How long a plugin may say nothing before it is given up, apart from the time
/// that it waits for an answer; `None`: for ever.
pub type Patience = Option<Duration>;

/// The recipients, and the identities to seal for, that one plugin has.
pub(crate) struct PluginRecipients {
    name: String,
    recipients: Vec<AgeRecipient>,
    identities: Vec<AgeIdentity>,
    talker: Talker,
    patience: Patience,
    memory: Arc<Memory>,
}

impl PluginRecipients {
    /// One for each plugin that any of these keys belongs to.
    pub(crate) fn group(
        recipients: Vec<AgeRecipient>,
        identities: Vec<AgeIdentity>,
        talker: &Talker,
        patience: Patience,
    ) -> Vec<Self> {
        let names = recipients.iter().map(AgeRecipient::plugin);
        let names = names.chain(identities.iter().map(AgeIdentity::plugin));
        let mut groups: Vec<Self> = Vec::new();
        for name in names {
            if groups.iter().any(|group| group.name == name) {
                continue;
            }
            groups.push(Self {
                name: name.to_owned(),
                recipients: recipients.iter().filter(|r| r.plugin() == name).cloned().collect(),
                identities: identities.iter().filter(|i| i.plugin() == name).cloned().collect(),
                talker: Talker::clone(talker),
                patience,
                memory: Arc::default(),
            });
        }
        groups
    }
}

impl Recipient for PluginRecipients {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        let Self { name, recipients, identities, .. } = self;
        let bridge = Bridge::new(&self.talker, &self.memory);
        let start = || RecipientPluginV1::new(name, recipients, identities, bridge.clone()).ok();
        let file_key = file_key.clone();
        let work = move |plugin: RecipientPluginV1<Bridge>| foreign::wrap(&plugin, &file_key);
        Ok(bridge.run(name, self.patience, start, work, |_| true)?)
    }

    fn may_ask(&self) -> bool {
        true
    }
}

/// A key that a plugin has.
#[derive(Clone)]
pub struct PluginIdentity {
    pub(crate) identity: AgeIdentity,
    pub(crate) talker: Talker,
    pub(crate) patience: Patience,
    pub(crate) memory: Arc<Memory>,
}

impl Identity for PluginIdentity {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let name = self.identity.plugin();
        let bridge = Bridge::new(&self.talker, &self.memory);
        let identities = [self.identity.clone()];
        let start = || IdentityPluginV1::new(name, &identities, bridge.clone()).ok();
        let stanzas = stanzas.to_vec();
        let work = move |plugin: IdentityPluginV1<Bridge>| foreign::unwrap(&plugin, &stanzas);
        Ok(bridge.run(name, self.patience, start, work, Option::is_some)?)
    }

    fn may_ask(&self) -> bool {
        true
    }
}

/// Refuses to look for a plugin where `PATH` has folders that are not absolute: the
/// library would take the plugin of whoever owns the current folder. Programs take such
/// folders out at their start, which only they can.
fn check_path(plugin: &str) -> Result<(), KeyFailure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).filter(|_| !path.is_empty());
    if !Protection::PluginEnvironment.is_on() || folders.all(|folder| folder.is_absolute()) {
        return Ok(());
    }
    let binary = binary_name(plugin);
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
struct Bridge {
    talker: Talker,
    /// When the plugin said something last; `None` while it waits for an
    /// answer.
    last: Arc<Mutex<Option<Instant>>>,
    /// Whether the user has been asked.
    has_asked: Arc<AtomicBool>,
    memory: Arc<Memory>,
    /// Answers of this session.
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// Nothing that could panic is done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Bridge {
    fn new(talker: &Talker, memory: &Arc<Memory>) -> Self {
        Self {
            talker: Talker::clone(talker),
            last: Arc::new(Mutex::new(Some(Instant::now()))),
            has_asked: Arc::default(),
            memory: Arc::clone(memory),
            answers: Arc::default(),
        }
    }

    /// Uses a plugin for one file, unless it has been stopped; stops it where the user was
    /// asked and it failed all the same, or where it hangs.
    fn run<P: Send + 'static, T: Send + 'static>(
        &self,
        name: &str,
        patience: Patience,
        start: impl FnOnce() -> Option<P>,
        work: impl FnOnce(P) -> Result<T, KeyFailure> + Send + 'static,
        is_proof: impl FnOnce(&T) -> bool,
    ) -> Result<T, KeyFailure> {
        if let Some(failure) = self.memory.stopped.get() {
            return Err(failure.clone());
        }
        check_path(name)?;
        let plugin = start().ok_or_else(|| foreign::no_plugin(&binary_name(name)))?;
        let done = self.wait_for(name, patience, move || work(plugin));
        let done = done.and_then(|done| done.map_err(|failure| of_plugin(name, failure)));
        let is_last = |failure: &KeyFailure| {
            failure.kind == KeyFailureKind::PluginHangs || self.has_asked.load(Ordering::Relaxed)
        };
        if let Err(failure) = &done
            && is_last(failure)
        {
            let message = format!("{}; it is not used again in this run", failure.message);
            // Another thread may have been first.
            let _ = self.memory.stopped.set(KeyFailure { message, ..failure.clone() });
        }
        // One that found nothing may have been told a wrong one.
        if done.as_ref().is_ok_and(is_proof) && !lock(&self.answers).is_empty() {
            *lock(&self.memory.answers) = std::mem::take(&mut *lock(&self.answers));
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
        patience: Patience,
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
        loop {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Disconnected) => return Err(crashed()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let silence = self.last().map_or(Duration::ZERO, |last| last.elapsed());
            if let Some(patience) = patience.filter(|patience| silence > *patience) {
                end_plugins();
                let seconds = patience.as_secs();
                let what = format!("has not answered for {seconds} seconds, and was ended");
                return Err(failure(KeyFailureKind::PluginHangs, what));
            }
        }
    }
}

impl age::Callbacks for Bridge {
    fn display_message(&self, message: &str) {
        self.answer(|| self.talker.say(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answer(|| self.talker.confirm(message, yes, no))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answer(|| self.talker.ask(description))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.has_asked.store(true, Ordering::Relaxed);
        let is_same = |(question, _): &&Answer| question == description;
        // Asked twice in one session, the answer was wrong.
        let is_first = !lock(&self.answers).iter().any(|answer| is_same(&answer));
        let known = lock(&self.memory.answers).iter().find(is_same).map(|(_, known)| known.clone());
        let answer = match known.filter(|_| is_first) {
            Some(known) => known,
            None => self.answer(|| self.talker.ask_secret(description)).ok()?,
        };
        let secret = std::str::from_utf8(&answer).ok().map(SecretString::from);
        let mut answers = lock(&self.answers);
        answers.retain(|(question, _)| question != description);
        answers.push((description.to_owned(), answer));
        // The library takes text only; a PIN is nothing else.
        secret
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
