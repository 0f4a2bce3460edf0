//! What is settled with the operating system before anything else.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit};

use crate::messages;

/// Signal number of a write beyond the file size limit (`ulimit -f`).
const SIGXFSZ: i32 = signal_hook::consts::SIGXFSZ;

/// Keeps secrets out of core dumps, and gives internal errors and file size
/// limits the exit status and the words of any other error.
pub(crate) fn prepare() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering a limit is always allowed.
    let _ = rustix::process::setrlimit(Resource::Core, none);
    survive_size_limit();
    panic::set_hook(Box::new(|info| {
        messages::print_error(&messages::internal(&info.to_string()));
        std::process::exit(i32::from(messages::code::INTERNAL));
    }));
}

/// Has a write beyond the file size limit fail with an error, as on a full
/// disk. Workers need it as well: a handler is not inherited, and a segment
/// that kills them is not one that could not be written.
pub(crate) fn survive_size_limit() {
    // With any handler the write fails with an error instead of a signal.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
