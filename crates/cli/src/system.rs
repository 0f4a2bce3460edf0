//! What is settled with the operating system before anything else.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use cryptstream_engine::{WorkerProgram, lock_memory, memory_refused, was_closed};
use cryptstream_protection::Protection;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::messages;

/// Signal number of a write beyond the file size limit (`ulimit -f`).
const SIGXFSZ: i32 = signal_hook::consts::SIGXFSZ;
/// Signal number of an end that the program gives itself.
const SIGABRT: i32 = signal_hook::consts::SIGABRT;

static NOT_LOCKED: OnceLock<io::Error> = OnceLock::new();

/// Keeps secrets out of swap and core dumps and the caller's descriptors from the
/// programs that are started, lets this process use what it creates whatever the umask is,
/// and gives file size limits the exit status and the words of any other error.
pub(crate) fn prepare() {
    let locked = if Protection::LockedMemory.is_on() { lock_memory() } else { Ok(()) };
    if let Err(error) = locked {
        let _ = NOT_LOCKED.set(error);
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering a limit is always allowed.
    let _ = rustix::process::setrlimit(Resource::Core, none);
    if Protection::CloseDescriptors.is_on() {
        // One of them may have the passphrase. They stay open here, for
        // --passphrase-fd and /dev/fd. Where this fails, workers still close them.
        let _ = cryptstream_engine::keep_from_programs();
    }
    cryptstream_engine::keep_owner_bits();
    survive_size_limit();
    end_without_memory();
    refuse_closed_output();
}

/// Gives the end for want of memory, which the standard library announces in words, the exit
/// status of a shortage. Nothing has to be tidied up: outputs have no name yet.
fn end_without_memory() {
    let status = i32::from(messages::code::TRY_AGAIN);
    // Where this cannot be had, the signal ends the program.
    let _ = signal_hook::flag::register_conditional_shutdown(SIGABRT, status, memory_refused());
}

/// Keeps other processes of the same user from reading this one's memory, and every core
/// handler from getting it (a handler behind a pipe ignores the limit on core files).
///
/// From here on `/proc/self` belongs to root. What is opened there later must be open to
/// everybody, or a descriptor of this process, which always may be.
pub(crate) fn hide_memory() {
    if Protection::NotDumpable.is_on() {
        // Refused by no kernel.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Why secrets do not lie in locked memory, if they do not.
pub(crate) fn not_locked() -> Option<&'static io::Error> {
    NOT_LOCKED.get()
}

/// Has every write to a standard output that was closed fail: Rust's runtime has put
/// /dev/null in its place, where the data would be lost without a word.
fn refuse_closed_output() {
    if !is_output_closed() {
        return;
    }
    // Where this cannot be had, those who know look at `is_output_closed`.
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let _ = rustix::stdio::dup2_stdout(full);
    }
}

/// Whether standard output was closed when the program was started (`>&-`).
pub(crate) fn is_output_closed() -> bool {
    was_closed(1)
}

/// What standard output is.
pub(crate) fn stdout_metadata() -> io::Result<Metadata> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()
}

/// The same for standard input.
pub(crate) fn is_input_closed() -> bool {
    was_closed(0)
}

/// This program as a worker; set by `main`.
static WORKER_PROGRAM: OnceLock<WorkerProgram> = OnceLock::new();

/// Makes this process a worker if it was started as one; otherwise workers can be started.
pub(crate) fn init_worker() {
    let _ = WORKER_PROGRAM.set(cryptstream_engine::init_worker());
}

/// What the engine starts as a worker.
pub(crate) fn worker_program() -> Option<WorkerProgram> {
    WORKER_PROGRAM.get().cloned()
}

/// The running program, for a process that unpacks or lists an archive.
pub(crate) fn own_program() -> &'static Path {
    Path::new("/proc/self/exe")
}

/// Has a write beyond the file size limit fail with an error, as on a full
/// disk. Workers need it as well: a handler is not inherited, and a segment
/// that kills them is not one that could not be written.
pub(crate) fn survive_size_limit() {
    // With any handler the write fails with an error instead of a signal.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
