//! Signals that interrupt the process, such as Ctrl-C.
//!
//! Usually they need no handling: an unnamed output vanishes with the process, so the
//! signal's default action is right, and works wherever the process is stuck. The exceptions
//! are temporary files that have a name, reports before the process ends, and a terminal
//! whose echo is off.
//!
//! Outside of these, the handler lets the signal take its default action at once. Otherwise
//! it records the signal, and either the thread that waits for signals ends the process, or
//! the last [`Deferred`] that is dropped does.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fs, io};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, pipe};

/// Whether signals are another program's business.
static IS_LEFT_ALONE: AtomicBool = AtomicBool::new(false);
/// Whether a signal may take its default action at once.
static MAY_DIE: AtomicBool = AtomicBool::new(true);
/// The signal that came while it might not; 0 when none did.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// What defers signals. The thread that ends the process locks this and never unlocks it, so
/// that nothing is committed any more.
static STATE: Mutex<State> =
    Mutex::new(State { deferred: 0, next: 0, actions: BTreeMap::new(), is_watched: false });

struct State {
    /// How many [`Deferred`] there are.
    deferred: usize,
    next: u64,
    /// What to do when the process is interrupted.
    actions: BTreeMap<(Phase, u64), Action>,
    /// Whether a thread waits for signals.
    is_watched: bool,
}

/// Which actions come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Remove,
    /// Writing to a terminal may take forever, and so may the answer of a store.
    Report,
    /// Ends the process in another way than the signal does.
    Exit,
}

type Action = Box<dyn Fn() + Send>;

impl State {
    /// Updates what a signal does from now on.
    fn update_default_action(&self) {
        MAY_DIE.store(self.deferred == 0 && self.actions.is_empty(), Ordering::SeqCst);
    }

    /// Ends the process if a signal has come and nothing defers it.
    fn end_if_pending(&self) {
        if self.deferred == 0
            && let Some(signal) = pending()
        {
            self.end(signal);
        }
    }

    /// Runs all actions, and ends the process.
    fn end(&self, signal: i32) {
        for ((phase, _), action) in &self.actions {
            if *phase == Phase::Report {
                // A second signal need not wait.
                MAY_DIE.store(true, Ordering::SeqCst);
            }
            action();
        }
        let _ = emulate_default_handler(signal);
    }
}

/// Defers interruptions while it lives. A signal that came meanwhile takes effect when the
/// last of these is dropped.
pub(crate) struct Deferred(());

/// Defers interruptions for a few system calls.
pub(crate) fn defer() -> Deferred {
    let mut state = lock();
    register();
    state.deferred += 1;
    state.update_default_action();
    Deferred(())
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let mut state = lock();
        state.deferred -= 1;
        if state.deferred > 0 {
            return;
        }
        state.update_default_action();
        if let Some(signal) = pending() {
            state.end(signal);
        }
    }
}

/// Ends the process if a signal has come, before an output gets its name. Ctrl-C also ends
/// the process that writes to an input pipe, and what has come out of that pipe looks
/// complete and is not.
pub(crate) fn end_if_pending() {
    if pending().is_some() {
        lock().end_if_pending();
    }
}

/// An action for interruptions, registered while this lives. See [`on_interrupt`].
pub struct OnInterrupt((Phase, u64));

/// Calls `action` when the process is interrupted, for removing temporary files and killing
/// processes that write to them. A thread of its own calls it, so it works while a read is
/// stuck. Actions are called in the order in which they were registered.
///
/// # Errors
/// The system allows no signal handler or no thread.
pub fn on_interrupt(action: Action) -> io::Result<OnInterrupt> {
    add(Phase::Remove, action)
}

/// Calls `report` when the process is interrupted, after all actions of [`on_interrupt`]. It may
/// take a while, since a second interruption ends the process at once. It must not wait for the
/// calling thread.
///
/// # Errors
/// The system allows no signal handler or no thread.
pub fn report_on_interrupt(report: Box<dyn Fn() + Send>) -> io::Result<OnInterrupt> {
    add(Phase::Report, report)
}

/// Has `signal` end the process with this exit status, after all other actions.
///
/// # Errors
/// The system allows no signal handler or no thread.
pub fn exit_on_interrupt(signal: i32, status: u8) -> io::Result<OnInterrupt> {
    let exit = move || {
        if pending() == Some(signal) {
            signal_hook::low_level::exit(status.into());
        }
    };
    add(Phase::Exit, Box::new(exit))
}

fn add(phase: Phase, action: Action) -> io::Result<OnInterrupt> {
    let mut state = lock();
    register();
    if !state.is_watched && !are_signals_left_alone() {
        // Registered after the handlers that record the signal.
        let mut signals = Signals::new(unignored_signals())?;
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            for signal in signals.forever() {
                let state = lock();
                // Otherwise it takes effect later.
                if state.deferred == 0 {
                    state.end(signal);
                }
            }
        })?;
        state.is_watched = true;
    }
    let key = (phase, state.next);
    state.next += 1;
    state.actions.insert(key, action);
    state.update_default_action();
    Ok(OnInterrupt(key))
}

impl Drop for OnInterrupt {
    fn drop(&mut self) {
        let mut state = lock();
        // A signal for which no thread has woken up yet.
        state.end_if_pending();
        let _ = state.actions.remove(&self.0);
        state.update_default_action();
    }
}

/// Defers interruptions while this lives, including Ctrl-Z and Ctrl-\. Its descriptor becomes
/// readable when one has arrived. Used while a terminal's settings are changed.
pub struct InterruptGuard {
    wake: &'static UnixStream,
    _deferred: Deferred,
}

/// The interruptions that have arrived while they were deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupts {
    /// The process ends when the [`InterruptGuard`] is dropped.
    pub is_terminating: bool,
    /// The process should call [`InterruptGuard::stop`] as soon as it can.
    pub is_stop_requested: bool,
    /// The process has been continued after a stop.
    pub is_continued: bool,
}

static IS_STOP_WANTED: AtomicBool = AtomicBool::new(false);
static IS_CONTINUED: AtomicBool = AtomicBool::new(false);
/// Whether Ctrl-Z may take its default action at once.
static MAY_STOP: AtomicBool = AtomicBool::new(true);

/// Defers interruptions until the result is dropped.
///
/// # Errors
/// The system gives no pair of sockets.
pub fn defer_interrupts() -> io::Result<InterruptGuard> {
    static WAKE: OnceLock<UnixStream> = OnceLock::new();
    let deferred = defer();
    let wake = match WAKE.get() {
        Some(wake) => wake,
        None => {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            // Ctrl-Z does nothing where no shell could continue the process.
            let stops = (!is_ignored(SIGTSTP) && !is_orphaned()).then_some(SIGTSTP);
            if stops.is_some() {
                let _ = flag::register(SIGTSTP, &IS_STOP_WANTED);
                let _ = flag::register_conditional_default(SIGTSTP, &MAY_STOP);
            }
            flag::register(SIGCONT, &IS_CONTINUED)?;
            for signal in unignored_signals().into_iter().chain(stops).chain([SIGCONT]) {
                pipe::register(signal, write.try_clone()?)?;
            }
            WAKE.get_or_init(|| read)
        }
    };
    // Earlier ones have taken effect.
    IS_STOP_WANTED.store(false, Ordering::SeqCst);
    IS_CONTINUED.store(false, Ordering::SeqCst);
    MAY_STOP.store(false, Ordering::SeqCst);
    Ok(InterruptGuard { wake, _deferred: deferred })
}

impl InterruptGuard {
    /// What has arrived since the last call.
    #[must_use]
    pub fn take_interrupts(&self) -> Interrupts {
        let mut bytes = [0; 64];
        let mut wake = self.wake;
        while wake.read(&mut bytes).is_ok_and(|len| len > 0) {}
        Interrupts {
            is_terminating: pending().is_some(),
            is_stop_requested: IS_STOP_WANTED.swap(false, Ordering::SeqCst),
            is_continued: IS_CONTINUED.swap(false, Ordering::SeqCst),
        }
    }

    /// Stops the process, as Ctrl-Z does, until it is continued.
    pub fn stop(&self) {
        let _ = emulate_default_handler(SIGTSTP);
    }
}

impl AsFd for InterruptGuard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        MAY_STOP.store(true, Ordering::SeqCst);
        if IS_STOP_WANTED.swap(false, Ordering::SeqCst) {
            self.stop();
        }
    }
}

/// Has this crate install no signal handlers from now on, and start no thread that waits for
/// signals. For libraries in programs with handlers of their own, such as an interpreter, which
/// give runs up by [`Progress::is_cancelled`](crate::Progress::is_cancelled). If a signal ends
/// the process nevertheless, a temporary file with a name may stay, which a later run removes.
pub fn leave_signals_alone() {
    IS_LEFT_ALONE.store(true, Ordering::SeqCst);
}

fn are_signals_left_alone() -> bool {
    IS_LEFT_ALONE.load(Ordering::SeqCst)
}

/// Registers the signal handlers, once.
fn register() {
    if are_signals_left_alone() {
        return;
    }
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        for signal in unignored_signals() {
            // Registration fails for forbidden signals only. Handlers run in this order:
            // record the signal, then end the process unless that is deferred.
            let number = usize::try_from(signal).unwrap_or(0);
            let _ = flag::register_usize(signal, &PENDING, number);
            let _ = flag::register_conditional_default(signal, &MAY_DIE);
        }
    });
}

/// The number of the signal that has come and has not taken effect yet.
#[must_use]
pub fn pending() -> Option<i32> {
    i32::try_from(PENDING.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The numbers of the signals that end the process, without those that it was told to ignore
/// (by `nohup`, or as a background job of a script).
#[must_use]
pub fn unignored_signals() -> Vec<i32> {
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().filter(|signal| !is_ignored(*signal)).collect()
}

fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    ignored & (1 << (signal - 1)) != 0
}

/// Whether the process group is orphaned in the sense of POSIX: no process of another group
/// of the session could continue it, so the terminal cannot stop it. Looks at the ancestors
/// only, because shells are ancestors.
fn is_orphaned() -> bool {
    let Some((_, group, session)) = relations("self") else { return true };
    let mut process = "self".to_owned();
    loop {
        let Some((parent, _, _)) = relations(&process) else { return true };
        process = parent.to_string();
        match relations(&process) {
            Some((_, its_group, its_session)) if its_session == session => {
                if its_group != group {
                    return false;
                }
            }
            _ => return true,
        }
    }
}

/// Parent, group and session of a process.
fn relations(process: &str) -> Option<(u32, u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    let mut number = || fields.next()?.parse().ok();
    Some((number()?, number()?, number()?))
}
