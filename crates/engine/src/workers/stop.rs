//! Why all work stops.

use crate::failure::Failure;

pub(super) const NO_MEMORY: i32 = rustix::io::Errno::NOMEM.raw_os_error();

/// Why all work stopped.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A segment failed.
    Failed(Failure),
    /// Every worker that tried this segment died.
    Deadly(u64),
    /// The sandbox is required, and workers could not be sandboxed fully.
    NoSandbox,
    /// Workers are required, and the system can start none, for this reason.
    NoProcess(i32),
    /// Workers are required, and all that were started were killed.
    NoWorkers,
    /// Shared memory contains something that no intact worker would write.
    Misbehaved,
}

/// Whether the system is short of processes, memory or descriptors.
pub(super) fn is_shortage(errno: i32) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    shortages.iter().any(|shortage| shortage.raw_os_error() == errno)
}

impl Stop {
    /// Why the system has no memory or no process for workers that are required.
    pub(crate) fn from_io(error: &std::io::Error) -> Self {
        Self::refused(error.raw_os_error().unwrap_or(NO_MEMORY))
    }

    /// The system does not start processes: it has reached a limit, or cannot start any.
    pub(super) fn refused(errno: i32) -> Self {
        match is_shortage(errno) {
            true => Self::NoProcess(errno),
            false => Self::NoSandbox,
        }
    }

    /// Whether no further file can be processed.
    pub(crate) fn is_for_all(&self) -> bool {
        matches!(self, Self::NoSandbox | Self::NoProcess(_) | Self::NoWorkers)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
