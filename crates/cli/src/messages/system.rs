//! Messages about shortages of the system, and errors of the program itself.

use rustix::io::Errno;

use super::failure::{Failure, code};

pub(crate) fn internal(text: &str) -> Failure {
    Failure::new(
        code::INTERNAL,
        "internal",
        text.replace('\n', " "),
        "this is a bug in cryptstream: please report it with this line; the output was not written",
    )
}

/// A thread, process or pipe cannot be created.
pub(crate) fn cannot_start(what: &str, error: &std::io::Error) -> Failure {
    let message = format!("{what} cannot be started: {}", reason(error));
    let help = "raise the limit on processes (ulimit -u, or pids.max of a container) or on memory";
    Failure::new(code::TRY_AGAIN, "processes", message, help).or_shortage(error)
}

impl Failure {
    /// Turns it into a shortage if the system is short of something: then no file is at fault, and
    /// it is worth another try.
    pub(super) fn or_shortage(self, error: &std::io::Error) -> Self {
        match shortage(error) {
            Some((kind, help)) => Self { code: code::TRY_AGAIN, kind, help: help.into(), ..self },
            None => self,
        }
    }
}

/// What the system is short of, and what to do about it.
pub(super) fn shortage(error: &std::io::Error) -> Option<(&'static str, &'static str)> {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => Some((
            "descriptors",
            "raise the limit on open files (ulimit -n); encrypt and decrypt need the fewest with --processes 0",
        )),
        Some(Errno::NFILE) => Some((
            "descriptors",
            "the whole system has no open files left: close programs, or raise fs.file-max",
        )),
        Some(Errno::NOMEM) => Some(("memory", MORE_MEMORY)),
        _ if error.kind() == std::io::ErrorKind::OutOfMemory => Some(("memory", MORE_MEMORY)),
        _ => None,
    }
}

const MORE_MEMORY: &str = "free some memory or raise the limit (ulimit -v, or that of the \
                           container or job); encrypt and decrypt need the least with \
                           --processes 0";

/// Whether there is no room for a file.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge
    )
}

/// What to do if there is no room for a file.
pub(super) fn make_room(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => Some(
            "raise the limit on the length of files (ulimit -f), or choose a file \
             system that allows files this large",
        ),
        _ if is_full(error) => Some("make room or choose another disk"),
        _ => None,
    }
}

/// The system's reason in lower case, without Rust's "(os error N)".
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}
