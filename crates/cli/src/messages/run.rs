//! Messages about workers and interrupted runs.

use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_engine::{SandboxLevel, WorkerNote};
use signal_hook::consts::SIGTERM;

use super::failure::{Failure, code};
use super::printing::warn;
use super::text::harmless;

/// Warns about workers. What one printed itself may be anything, since input from a stranger may
/// have taken it over.
pub(crate) fn worker_note(note: &WorkerNote) {
    match note {
        WorkerNote::Died { words } => {
            warn(&format!("a worker process died; its work is repeated: {}", harmless(words)));
        }
        WorkerNote::Sandbox { level } => {
            let missing = match level {
                SandboxLevel::None => "Landlock and system call filters (seccomp) are",
                SandboxLevel::FilterOnly => "Landlock is",
                SandboxLevel::LandlockOnly => "system call filters (seccomp) are",
                SandboxLevel::Full => return,
            };
            warn(&format!(
                "worker processes are not fully sandboxed: {missing} not available here; \
                 --sandbox require refuses to run like this"
            ));
        }
    }
}

/// A run was interrupted, with the number of files done and in total.
pub(crate) fn interrupted(files: Option<(u64, u64)>, is_stdout_data: bool) -> String {
    match files {
        Some((done, total)) => format!(
            "interrupted: {done} of {total} files are done, and no partial file was left; run it \
             again for the rest"
        ),
        None if is_stdout_data => {
            "interrupted: what was written to standard output is only the beginning".to_owned()
        }
        None => "interrupted: no partial file was left".to_owned(),
    }
}

/// Whether the run is to be repeated when it is asked to terminate.
static IS_RETRIED_ON_TERM: AtomicBool = AtomicBool::new(false);

/// Has the run be repeated when it is asked to terminate, and not count as interrupted.
pub(crate) fn set_retried_on_term() {
    IS_RETRIED_ON_TERM.store(true, Ordering::Relaxed);
}

/// The interruption as an object for programs. `signal` ended the run.
pub(crate) fn interruption(
    signal: i32,
    files: Option<(u64, u64)>,
    is_stdout_data: bool,
) -> Failure {
    let code = match signal {
        SIGTERM if IS_RETRIED_ON_TERM.load(Ordering::Relaxed) => code::TRY_AGAIN,
        signal => u8::try_from(128 + signal).unwrap_or(u8::MAX),
    };
    let text = interrupted(files, is_stdout_data);
    let (message, help) = text.split_once(": ").unwrap_or((&text, ""));
    Failure::new(code, "interrupted", message, help)
}
