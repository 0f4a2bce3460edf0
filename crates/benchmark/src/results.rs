//! What came out, for whoever shows it.

use std::path::PathBuf;
use std::time::Duration;

use super::ceilings::Ceilings;
use super::machine::Machine;
use super::programs::Programs;
use super::stats::{self, Comparison, Conclusion, Pays, Rate, Timing, speed_up};

/// Most workers that the engine starts where nobody names a number.
const DEFAULT_WORKERS: usize = 4;

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Encrypt,
    Decrypt,
    Verify,
}

impl Operation {
    pub(super) const ALL: [Self; 3] = [Self::Encrypt, Self::Decrypt, Self::Verify];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Verify => "verify",
        }
    }
}

/// Whether the workers of a pool are there already when the work begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warmth {
    /// They are started for it, as by every command.
    Cold,
    /// They wait for it, as from the second file of a command on.
    Warm,
}

impl Warmth {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    Single,
    Pool { processes: u16, warmth: Warmth },
}

impl Contestant {
    /// The number of worker processes.
    pub(super) fn processes(self) -> u16 {
        match self {
            Self::Single => 0,
            Self::Pool { processes, .. } => processes,
        }
    }

    pub(super) fn label(self) -> String {
        match self {
            Self::Single => "single process".to_owned(),
            Self::Pool { processes, warmth } => {
                let plural = if processes == 1 { "" } else { "s" };
                format!("{processes} worker{plural}, {}", warmth.name())
            }
        }
    }
}

/// As many files of one size as one run works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) bytes: u64,
    pub(super) files: usize,
}

impl Rung {
    pub(super) fn total(self) -> u64 {
        self.bytes.saturating_mul(self.files as u64)
    }
}

/// A size that there was no room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipped {
    pub(super) bytes: u64,
    pub(super) needed: u64,
    pub(super) available: u64,
    /// What was short.
    pub(super) of: &'static str,
}

/// The times of one contestant, for each of [`Operation::ALL`].
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) contestant: Contestant,
    pub(super) timings: [Timing; 3],
}

impl Entry {
    pub(super) fn timing(&self, operation: Operation) -> &Timing {
        &self.timings[operation as usize]
    }

    /// The times of both, one after the other.
    pub(super) fn encrypt_and_decrypt(&self) -> Timing {
        self.timing(Operation::Encrypt).and(self.timing(Operation::Decrypt))
    }
}

/// Everything about one size.
#[derive(Clone, Debug)]
pub(super) struct SizeResult {
    pub(super) rung: Rung,
    /// The file copy.
    pub(super) copy: Timing,
    pub(super) single: Entry,
    pub(super) pools: Vec<Entry>,
}

impl SizeResult {
    /// Everybody, the single process first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        [&self.single].into_iter().chain(&self.pools)
    }

    pub(super) fn copy_rate(&self) -> Rate {
        self.copy.rate(self.rung.total())
    }

    pub(super) fn rate(&self, entry: &Entry, operation: Operation) -> Rate {
        entry.timing(operation).rate(self.rung.total())
    }

    pub(super) fn speed_up(&self, entry: &Entry, operation: Operation) -> f64 {
        speed_up(self.single.timing(operation), entry.timing(operation))
    }

    /// What the runs say about `entry`, against the single process.
    pub(super) fn comparison(&self, entry: &Entry, operation: Operation) -> Comparison {
        stats::compare(self.single.timing(operation), entry.timing(operation))
    }

    /// The part of the file copy's rate that was reached.
    pub(super) fn share(&self, entry: &Entry, operation: Operation) -> f64 {
        speed_up(&self.copy, entry.timing(operation))
    }

    /// Those that are cold or warm, in ascending number of processes.
    pub(super) fn pools(&self, which: Warmth) -> impl Iterator<Item = &Entry> {
        self.pools.iter().filter(
            move |entry| matches!(entry.contestant, Contestant::Pool { warmth, .. } if warmth == which),
        )
    }

    pub(super) fn pool(&self, processes: u16, warmth: Warmth) -> Option<&Entry> {
        self.pools(warmth).find(|entry| entry.contestant.processes() == processes)
    }

    /// The entry of so many processes: started for the work, or none.
    pub(super) fn as_command(&self, processes: u16) -> &Entry {
        self.pool(processes, Warmth::Cold).unwrap_or(&self.single)
    }
}

/// The point from which workers are faster than a single process.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkersPay {
    /// `None`: encrypting and decrypting, one after the other.
    pub(super) operation: Option<Operation>,
    pub(super) warmth: Warmth,
    /// From this size on, with the number of processes of [`Results::pool`].
    pub(super) bytes: Pays<u64>,
    /// From this many processes on, for the largest size.
    pub(super) processes: Pays<u16>,
}

/// Everything that was measured, and on what.
#[derive(Clone, Debug)]
pub struct Results {
    pub(super) machine: Machine,
    /// Where the files were.
    pub(super) folder: PathBuf,
    /// The same, as it is shown.
    pub(super) folder_name: String,
    pub(super) file_system: String,
    /// The user's file.
    pub(super) file: Option<PathBuf>,
    pub(super) file_name: Option<String>,
    pub(super) when: String,
    pub(super) took: Duration,
    pub(super) runs: u16,
    pub(super) processes: Vec<u16>,
    pub(super) ceilings: Ceilings,
    /// CryptStream and other programs, as commands.
    pub(super) programs: Programs,
    /// In ascending order.
    pub(super) sizes: Vec<SizeResult>,
    pub(super) skipped: Vec<Skipped>,
    /// How many outputs were compared with what they must be, byte for byte.
    pub(super) outputs_verified: u64,
}

impl Results {
    /// That on which the advice rests; there is one unless nothing was measured.
    pub(super) fn largest(&self) -> Option<&SizeResult> {
        self.sizes.last()
    }

    /// What the runs with the largest size say about the number of workers of a
    /// command, encrypting and decrypting. All advice follows from this.
    pub(super) fn conclusion(&self) -> Conclusion {
        let Some(size) = self.largest() else { return Conclusion::Inconclusive };
        let pools = size.pools(Warmth::Cold);
        let pools: Vec<_> = pools
            .map(|entry| (entry.contestant.processes(), entry.encrypt_and_decrypt()))
            .collect();
        stats::conclude(&size.single.encrypt_and_decrypt(), &pools, self.default_workers())
    }

    /// The number of processes that is recommended; `None` for the default.
    pub(super) fn recommended(&self) -> Option<u16> {
        match self.conclusion() {
            Conclusion::NoWorkers => Some(0),
            Conclusion::Workers(workers) => Some(workers),
            Conclusion::Inconclusive => None,
        }
    }

    /// The number of processes whose figures stand for CryptStream: the
    /// recommended one, or about what a command uses by default.
    pub(super) fn shown(&self) -> u16 {
        self.recommended().unwrap_or_else(|| self.default_workers())
    }

    /// What a command uses by default, or the next smaller number that was
    /// measured.
    fn default_workers(&self) -> u16 {
        let cores = self.machine.cores;
        let default = if cores < 2 { 0 } else { cores.min(DEFAULT_WORKERS) };
        let measured = self.processes.iter().copied().rev();
        measured.into_iter().find(|count| usize::from(*count) <= default).unwrap_or(0)
    }

    /// The number of processes of the pool that is compared with a single
    /// process: the recommended one, or the largest where that is none.
    pub(super) fn pool(&self) -> u16 {
        match self.shown() {
            0 => self.processes.last().copied().unwrap_or(1),
            processes => processes,
        }
    }

    /// From where on workers pay, for `operation`, or for encrypting and
    /// decrypting.
    pub(super) fn workers_pay(&self, operation: Option<Operation>, warmth: Warmth) -> WorkersPay {
        let compare = |size: &SizeResult, entry: &Entry| match operation {
            Some(operation) => size.comparison(entry, operation),
            None => {
                stats::compare(&size.single.encrypt_and_decrypt(), &entry.encrypt_and_decrypt())
            }
        };
        let sizes = self.sizes.iter().filter_map(|size| {
            let entry = size.pool(self.pool(), warmth)?;
            Some((size.rung.bytes, compare(size, entry)))
        });
        let processes = self.largest().into_iter().flat_map(|size| {
            size.pools(warmth)
                .map(move |entry| (entry.contestant.processes(), compare(size, entry)))
        });
        WorkersPay {
            operation,
            warmth,
            bytes: stats::pays_from(&sizes.collect::<Vec<_>>()),
            processes: stats::pays_from(&processes.collect::<Vec<_>>()),
        }
    }
}
