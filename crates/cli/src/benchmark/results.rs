//! What came out, for whoever shows it.

use std::path::PathBuf;
use std::time::Duration;

use super::ceilings::Ceilings;
use super::machine::Machine;
use super::stats::{self, Rate, Timing, speed_up};

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

    fn is_gain(&self, entry: &Entry, operation: Operation) -> bool {
        stats::is_gain(self.single.timing(operation), entry.timing(operation))
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

    /// Whoever did it in the shortest time.
    pub(super) fn best(&self, operation: Operation) -> &Entry {
        self.pools.iter().fold(&self.single, |best, entry| {
            let is_better = entry.timing(operation).median() < best.timing(operation).median();
            if is_better { entry } else { best }
        })
    }
}

/// The point from which workers pay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pays {
    pub(super) operation: Operation,
    pub(super) warmth: Warmth,
    /// From this size on, with the number of processes of [`Results::pool`].
    pub(super) from_bytes: Option<u64>,
    /// From this many processes on, for the largest size.
    pub(super) from_processes: Option<u16>,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct Results {
    pub(super) machine: Machine,
    /// Where the files were.
    pub(super) folder: PathBuf,
    pub(super) file_system: String,
    /// The user's file.
    pub(super) file: Option<PathBuf>,
    pub(super) when: String,
    pub(super) took: Duration,
    pub(super) runs: u16,
    pub(super) processes: Vec<u16>,
    pub(super) ceilings: Ceilings,
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

    /// The number of processes with which a command on a file of the largest
    /// size takes the least time, encrypting and decrypting; 0 for no workers.
    pub(super) fn recommended(&self) -> u16 {
        let Some(size) = self.largest() else { return 0 };
        let both =
            |entry: &Entry| entry.timing(Operation::Encrypt).and(entry.timing(Operation::Decrypt));
        let pools = size.pools(Warmth::Cold);
        let pools: Vec<_> =
            pools.map(|entry| (entry.contestant.processes(), both(entry))).collect();
        stats::recommended(&both(&size.single), &pools)
    }

    /// The number of processes of the pool that is shown where one has to do:
    /// the recommended one, or the largest where that is none.
    pub(super) fn pool(&self) -> u16 {
        match self.recommended() {
            0 => self.processes.last().copied().unwrap_or(1),
            processes => processes,
        }
    }

    /// From where on workers pay.
    pub(super) fn pays(&self) -> Vec<Pays> {
        let both = [Warmth::Cold, Warmth::Warm];
        let all = both.into_iter().flat_map(|warmth| Operation::ALL.map(|one| (one, warmth)));
        all.map(|(operation, warmth)| {
            let sizes = self.sizes.iter().filter_map(|size| {
                let entry = size.pool(self.pool(), warmth)?;
                Some((size.rung.bytes, size.is_gain(entry, operation)))
            });
            let processes = self.largest().into_iter().flat_map(|size| {
                size.pools(warmth).map(move |entry| {
                    (entry.contestant.processes(), size.is_gain(entry, operation))
                })
            });
            Pays {
                operation,
                warmth,
                from_bytes: stats::pays_from(&sizes.collect::<Vec<_>>()),
                from_processes: stats::pays_from(&processes.collect::<Vec<_>>()),
            }
        })
        .collect()
    }
}
