//! How many workers a run may have, and what becomes of them.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::sandbox::{SandboxLevel, SandboxMode};
use crate::Cache;
use crate::scaling::MAX_WAITING;

/// Bytes of plaintext for which a process is worth starting. A worker begins to work about a
/// millisecond after it is started, in which main encrypts 2 MB by itself. This is several
/// times as much.
pub(crate) const WORTH: u64 = 8 << 20;

/// More workers mean more files at a time, each with several descriptors. With the usual limit of
/// 1,024 of them there may be 16.
const DESCRIPTORS_PER_WORKER: u64 = 64;

/// By default no single output file gets more workers: its inode lock allows one write at a time,
/// so a few are enough. Slow storage gets up to [`MAX_WAITING`].
const MAX_AUTO: usize = 4;

/// From this number of cores on, pipes get workers by default.
const STREAM_CORES: usize = 4;

/// The argument that makes the program a worker. It is checked before arguments are parsed.
pub const WORKER_ARGUMENT: &str = "__worker";

/// How many worker processes a run may have, or threads if there is no worker program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processes {
    /// As many as the cores that this process may use, at most four; none on a single core. Up to
    /// sixteen while storage makes them wait and more of them are faster.
    Auto,
    /// This many, for files that are large enough to be worth it; 0 for none.
    Exactly(u16),
}

/// How an engine works.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How many workers there may be.
    pub processes: Processes,
    /// Whether they must be sandboxed.
    pub sandbox: SandboxMode,
    /// The program that becomes a worker. Without one there are no worker processes.
    pub program: Option<WorkerProgram>,
    /// Whether the content of files stays in the system's page cache.
    pub cache: Cache,
}

/// A program that becomes a worker when it is started with [`WORKER_ARGUMENT`].
///
/// [`init_worker`](crate::init_worker) returns the running program. [`From`] takes the path of a
/// program that calls it.
#[derive(Clone, Debug)]
pub struct WorkerProgram(PathBuf);

impl WorkerProgram {
    /// The running program.
    pub(super) fn this() -> Self {
        Self(PathBuf::from("/proc/self/exe"))
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl From<PathBuf> for WorkerProgram {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            processes: Processes::Auto,
            sandbox: SandboxMode::Auto,
            program: None,
            cache: Cache::Auto,
        }
    }
}

impl EngineOptions {
    /// How many workers there may be on `cores` cores.
    pub(crate) fn allowed(&self, cores: usize) -> usize {
        match self.processes {
            _ if self.program.is_none() => 0,
            Processes::Auto if cores < 2 => 0,
            Processes::Auto => cores.min(MAX_AUTO),
            Processes::Exactly(count) => usize::from(count),
        }
    }

    /// How many workers there may be if storage makes them wait.
    pub(crate) fn allowed_waiting(&self, cores: usize) -> usize {
        match (self.processes, self.allowed(cores)) {
            (Processes::Auto, 1..) => {
                let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
                let most = usize::try_from(limit / DESCRIPTORS_PER_WORKER).unwrap_or(usize::MAX);
                self.allowed(cores).max(MAX_WAITING.min(most))
            }
            (_, allowed) => allowed,
        }
    }

    /// How many threads of this process work on one file, on `cores` cores, if there is no worker
    /// program.
    pub(crate) fn threads(&self, cores: impl FnOnce() -> usize) -> usize {
        match self.processes {
            _ if self.program.is_some() => 1,
            Processes::Auto => cores().min(MAX_AUTO),
            Processes::Exactly(count) => usize::from(count).max(1),
        }
    }

    /// Whether workers make pipes faster on `cores` cores. Main must read and write everything
    /// itself, and so must the processes at the other ends.
    pub(crate) fn pays_for_streams(&self, cores: usize) -> bool {
        match self.processes {
            _ if self.program.is_none() => false,
            Processes::Auto => cores >= STREAM_CORES,
            Processes::Exactly(count) => count > 0,
        }
    }

    pub(crate) fn is_sandbox_required(&self) -> bool {
        self.sandbox == SandboxMode::Require
    }

    /// How many workers `bytes` of plaintext get, on `cores` cores.
    pub(crate) fn target(&self, bytes: u64, cores: usize) -> usize {
        usize::try_from(bytes / WORTH).unwrap_or(usize::MAX).min(self.allowed(cores))
    }
}

/// Something about the workers of a run that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerNote {
    /// A worker has died and left a message, which is untrusted.
    Died {
        /// The beginning of its message.
        words: String,
    },
    /// The system cannot sandbox workers fully. Reported once.
    Sandbox {
        /// The level that the system allows.
        level: SandboxLevel,
    },
}

/// What happened to the workers of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerStats {
    /// Number of workers that were started.
    pub workers: u32,
    /// Number of workers that died before the work was done.
    pub died: u32,
    /// Number of segments that were redone because of such deaths.
    pub redone: u32,
    /// The weakest sandbox of any of them; `None` without workers.
    pub sandbox: Option<SandboxLevel>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_come_with_the_work_and_the_cores() {
        let program = Some(WorkerProgram::this());
        let options = |processes| EngineOptions {
            processes,
            program: program.clone(),
            ..EngineOptions::default()
        };
        let alone = EngineOptions { program: None, ..options(Processes::Exactly(12)) };
        assert_eq!(alone.target(1 << 40, 16), 0, "no program that would become a worker");
        assert_eq!((alone.threads(|| 16), options(Processes::Auto).threads(|| 16)), (12, 1));
        let auto = options(Processes::Auto);
        assert_eq!(auto.target(WORTH - 1, 16), 0);
        assert_eq!(auto.target(WORTH, 16), 1);
        assert_eq!(auto.target(1 << 40, 16), MAX_AUTO);
        assert_eq!(auto.target(1 << 40, 2), 2);
        assert_eq!(auto.target(1 << 40, 1), 0);
        assert_eq!(options(Processes::Exactly(0)).target(1 << 40, 16), 0);
        assert_eq!(options(Processes::Exactly(12)).target(1 << 40, 2), 12);
        assert_eq!(options(Processes::Exactly(12)).target(3 * WORTH, 2), 3);
        assert_eq!((auto.allowed_waiting(2), auto.allowed_waiting(1)), (MAX_WAITING, 0));
        assert_eq!(options(Processes::Exactly(3)).allowed_waiting(2), 3);
        assert_eq!(alone.allowed_waiting(2), 0);
    }
}
