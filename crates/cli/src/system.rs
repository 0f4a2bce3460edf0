//! Process-wide settings that are made before anything else.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use cryptstream_engine::WorkerProgram;
use cryptstream_engine::program::{lock_memory, memory_refused, was_closed};
use cryptstream_protection::Protection;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::exit_code;

/// The signal for a write beyond the file size limit (`ulimit -f`).
const SIGXFSZ: i32 = signal_hook::consts::SIGXFSZ;
/// The signal with which the standard library aborts.
const SIGABRT: i32 = signal_hook::consts::SIGABRT;

static NOT_LOCKED: OnceLock<io::Error> = OnceLock::new();

/// Keeps secrets out of swap and core dumps, and the caller's descriptors away from programs that
/// this process starts. Keeps the owner's permissions on created files whatever the umask is, and
/// reports file size limits and lack of memory like other errors.
pub(crate) fn prepare() {
    let locked = if Protection::LockedMemory.is_on() { lock_memory() } else { Ok(()) };
    if let Err(error) = locked {
        let _ = NOT_LOCKED.set(error);
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Lowering a limit is always allowed.
    let _ = rustix::process::setrlimit(Resource::Core, none);
    if Protection::CloseDescriptors.is_on() {
        // One of them may carry the passphrase. They stay open in this process, for
        // --passphrase-fd and /dev/fd. If this fails, workers still close them.
        let _ = cryptstream_engine::program::keep_from_programs();
    }
    cryptstream_engine::program::keep_owner_bits();
    survive_size_limit();
    end_without_memory();
    refuse_closed_output();
}

/// Has an abort for lack of memory exit with the status of a shortage; the standard library
/// prints the message. Nothing needs cleaning up, as outputs have no name yet.
fn end_without_memory() {
    let status = i32::from(exit_code::TRY_AGAIN);
    // If this fails, the signal ends the program.
    let _ = signal_hook::flag::register_conditional_shutdown(SIGABRT, status, memory_refused());
}

/// Keeps other processes of the same user from reading this one's memory, and core handlers from
/// receiving it: a handler behind a pipe ignores the limit on core files.
///
/// From here on `/proc/self` belongs to root. Only world-readable files can be opened there, and
/// this process's own descriptors.
pub(crate) fn hide_memory() {
    if Protection::NotDumpable.is_on() {
        // No kernel refuses this.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Why secrets are not in locked memory, if they are not.
pub(crate) fn not_locked() -> Option<&'static io::Error> {
    NOT_LOCKED.get()
}

/// Makes every write to a closed standard output fail. Rust's runtime has opened /dev/null in its
/// place, where the data would be lost silently.
fn refuse_closed_output() {
    if !is_output_closed() {
        return;
    }
    // If this fails, callers can still check `is_output_closed`.
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let _ = rustix::stdio::dup2_stdout(full);
    }
}

/// Whether standard output was closed when the program was started (`>&-`).
pub(crate) fn is_output_closed() -> bool {
    was_closed(1)
}

/// The metadata of standard output.
pub(crate) fn stdout_metadata() -> io::Result<Metadata> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()
}

/// Whether standard input was closed when the program was started (`<&-`).
pub(crate) fn is_input_closed() -> bool {
    was_closed(0)
}

/// How to start this program as a worker; set by [`init_worker`].
static WORKER_PROGRAM: OnceLock<WorkerProgram> = OnceLock::new();

/// Runs as a worker if this process was started as one. Otherwise, allows starting workers.
pub(crate) fn init_worker() {
    let _ = WORKER_PROGRAM.set(cryptstream_engine::init_worker());
}

/// The program that the engine starts as a worker.
pub(crate) fn worker_program() -> Option<WorkerProgram> {
    WORKER_PROGRAM.get().cloned()
}

/// The running program, to start a process that unpacks or lists an archive.
pub(crate) fn own_program() -> &'static Path {
    Path::new("/proc/self/exe")
}

/// Makes a write beyond the file size limit fail with an error, as on a full disk. Workers need
/// this too: they do not inherit the handler, and a worker that the signal kills cannot report
/// that the write failed.
pub(crate) fn survive_size_limit() {
    // With any handler installed, the write returns an error.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}
