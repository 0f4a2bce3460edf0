//! Ctrl-C and its kin.
//!
//! Nearly always they need no handling at all: an unnamed output vanishes
//! with the process, so the signal's default action is the best one, and it
//! works wherever the process is stuck. Two moments are different, and this
//! module is for them: while a temporary bears a name.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{fs, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Whether a signal may take its default action at once.
static MAY_DIE: AtomicBool = AtomicBool::new(true);
/// The signal that came while it might not; 0 when none did.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// Puts interruptions off while it lives. One that came meanwhile takes its
/// effect when it is dropped.
pub(crate) struct Deferred(());

/// Puts interruptions off for a few system calls.
pub(crate) fn defer() -> Deferred {
    static REGISTERED: OnceLock<()> = OnceLock::new();
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
        MAY_DIE.store(true, Ordering::SeqCst);
        let signal = i32::try_from(PENDING.load(Ordering::SeqCst)).unwrap_or(0);
        if signal != 0 {
            let _ = emulate_default_handler(signal);
        }
    }
}

type Cleanup = Box<dyn Fn() + Send>;
static CLEANUP: Mutex<Option<Cleanup>> = Mutex::new(None);

/// Has `cleanup` called when the process is interrupted, by a thread that
/// waits for nothing else, so that it works while a read is stuck. Only for
/// file systems where a temporary must bear a name all the time.
pub(crate) fn on_interrupt(cleanup: Cleanup) -> io::Result<()> {
    static WATCHED: OnceLock<()> = OnceLock::new();
    *lock_cleanup() = Some(cleanup);
    if WATCHED.set(()).is_ok() {
        let mut signals = Signals::new(unignored_signals())?;
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            for signal in signals.forever() {
                if !MAY_DIE.load(Ordering::SeqCst) {
                    // It is noted, and takes its effect when it may.
                    continue;
                }
                // The lock is kept: nothing may be committed any more.
                let cleanup = lock_cleanup();
                if let Some(cleanup) = cleanup.as_ref() {
                    cleanup();
                }
                let _ = emulate_default_handler(signal);
            }
        })?;
    }
    Ok(())
}

/// Forgets the cleanup; afterwards the temporary has become the output.
pub(crate) fn forget_cleanup() {
    *lock_cleanup() = None;
}

fn lock_cleanup() -> std::sync::MutexGuard<'static, Option<Cleanup>> {
    CLEANUP.lock().unwrap_or_else(PoisonError::into_inner)
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
