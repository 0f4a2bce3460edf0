//! Why all work stops.

use crate::failure::Failure;

pub(super) const NO_MEMORY: i32 = rustix::io::Errno::NOMEM.raw_os_error();

/// Why all work stopped.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// A segment could not be done.
    Failed(Failure),
    /// This segment has killed every worker that tried it.
    Deadly(u64),
    /// The sandbox is required, and workers could not be sandboxed fully.
    NoSandbox,
    /// Workers are required, and none can be started, for this reason of the system's.
    NoProcess(i32),
    /// Workers are required, and were killed as often as they were started.
    NoWorkers,
    /// What is in shared memory is nothing that a worker would write there.
    Misbehaved,
}

/// Whether the system is short of processes, memory or descriptors.
pub(super) fn is_shortage(errno: i32) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    shortages.iter().any(|shortage| shortage.raw_os_error() == errno)
}

impl Stop {
    /// Why there is no memory or no process for workers that are required.
    pub(crate) fn from_io(error: &std::io::Error) -> Self {
        Self::refused(error.raw_os_error().unwrap_or(NO_MEMORY))
    }

    /// The system does not start processes: it has none left, or cannot at all.
    pub(super) fn refused(errno: i32) -> Self {
        match is_shortage(errno) {
            true => Self::NoProcess(errno),
            false => Self::NoSandbox,
        }
    }

    /// Whether no file can be done.
    pub(crate) fn is_for_all(&self) -> bool {
        matches!(self, Self::NoSandbox | Self::NoProcess(_) | Self::NoWorkers)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
