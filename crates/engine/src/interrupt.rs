//! Ctrl-C and its kin.
//!
//! Nearly always they need no handling at all: an unnamed output vanishes
//! with the process, so the signal's default action is the best one, and it
//! works wherever the process is stuck. Two moments are different, and this
//! module is for them: while a temporary bears a name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Whether a signal may take its default action at once.
static MAY_DIE: AtomicBool = AtomicBool::new(true);
/// How many moments there are at which it may not.
static DEFERRED: Mutex<usize> = Mutex::new(0);
/// The signal that came while it might not; 0 when none did.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Puts interruptions off while it lives. One that came meanwhile takes its
/// effect when the last of these is dropped.
pub(crate) struct Deferred(());

/// Puts interruptions off for a few system calls.
pub(crate) fn defer() -> Deferred {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    let mut deferred = lock(&DEFERRED);
    *deferred += 1;
    MAY_DIE.store(false, Ordering::SeqCst);
    REGISTERED.get_or_init(|| {
        for signal in unignored_signals() {
            // Registration fails for forbidden signals only. The order is
            // that of the actions: note it, then die of it where one may.
            let number = usize::try_from(signal).unwrap_or(0);
            let _ = signal_hook::flag::register_usize(signal, &PENDING, number);
            let _ = signal_hook::flag::register_conditional_default(signal, &MAY_DIE);
        }
    });
    Deferred(())
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let mut deferred = lock(&DEFERRED);
        *deferred -= 1;
        if *deferred > 0 {
            return;
        }
        MAY_DIE.store(true, Ordering::SeqCst);
        let signal = i32::try_from(PENDING.load(Ordering::SeqCst)).unwrap_or(0);
        if signal != 0 {
            let _ = emulate_default_handler(signal);
        }
    }
}

type Action = Box<dyn Fn() + Send>;
/// What is to be done when the process is interrupted, by number.
static CLEANUPS: Mutex<BTreeMap<u64, Action>> = Mutex::new(BTreeMap::new());

/// Something that is done when the process is interrupted while this lives. See
/// [`on_interrupt`].
pub struct Cleanup(u64);

/// Has `action` called when the process is interrupted, by a thread that
/// waits for nothing else, so that it works while a read is stuck: for temporaries
/// that must bear a name all the time, and for processes that would add to them. What
/// was registered first is called first.
///
/// # Errors
/// When the system refuses handlers or a thread.
pub fn on_interrupt(action: Action) -> io::Result<Cleanup> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static WATCHED: OnceLock<()> = OnceLock::new();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(&CLEANUPS).insert(number, action);
    let cleanup = Cleanup(number);
    if WATCHED.set(()).is_ok() {
        let mut signals = Signals::new(unignored_signals())?;
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            for signal in signals.forever() {
                if !MAY_DIE.load(Ordering::SeqCst) {
                    // It is noted, and takes its effect when it may.
                    continue;
                }
                // The lock is kept: nothing may be committed any more.
                let cleanups = lock(&CLEANUPS);
                cleanups.values().for_each(|action| action());
                let _ = emulate_default_handler(signal);
            }
        })?;
    }
    Ok(cleanup)
}

impl Drop for Cleanup {
    /// The temporary has become the output, or is gone.
    fn drop(&mut self) {
        lock(&CLEANUPS).remove(&self.0);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The signals that end the process, less those it was told to ignore (by
/// `nohup`, or as a background job of a script): those stay ignored.
#[must_use]
pub fn unignored_signals() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0)
        .collect()
}
