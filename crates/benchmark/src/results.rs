//! What was measured, and the conclusions.

use std::path::PathBuf;
use std::time::Duration;

use crate::ceilings::Ceilings;
use crate::machine::Machine;
use crate::programs::Programs;
use crate::stats::{self, BreakEven, Comparison, Conclusion, Rate, Samples, speed_up};
use crate::units;

/// The most workers that the engine starts by default.
const DEFAULT_WORKERS: usize = 4;

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Encrypt,
    Decrypt,
    Verify,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Encrypt, Self::Decrypt, Self::Verify];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::Verify => "verify",
        }
    }
}

/// Whether the workers are running when the work begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// They are started for it, as in a command with one file.
    Cold,
    /// They are running, as from the second file of a command on.
    Warm,
}

impl Start {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
        }
    }
}

/// With which processes the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    Single,
    Pool { processes: u16, start: Start },
}

impl Configuration {
    /// The number of worker processes.
    pub(crate) fn processes(self) -> u16 {
        match self {
            Self::Single => 0,
            Self::Pool { processes, .. } => processes,
        }
    }

    pub(crate) fn label(self) -> String {
        match self {
            Self::Single => "single process".to_owned(),
            Self::Pool { processes, start } => {
                let plural = if processes == 1 { "" } else { "s" };
                format!("{processes} worker{plural}, {}", start.name())
            }
        }
    }
}

/// A file size, and how many files of it make one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeClass {
    pub(crate) bytes: u64,
    pub(crate) files: usize,
}

impl SizeClass {
    pub(crate) fn total(self) -> u64 {
        self.bytes.saturating_mul(self.files as u64)
    }

    /// As it is shown, such as `4 KiB × 500`.
    pub(crate) fn label(self) -> String {
        match self.files {
            1 => units::size(self.bytes),
            files => format!("{} × {}", units::size(self.bytes), units::grouped(files as u64)),
        }
    }
}

/// A size that was left out because there was too little room for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SkippedSize {
    pub(crate) bytes: u64,
    pub(crate) needed: u64,
    pub(crate) available: u64,
    /// What there was too little of.
    pub(crate) shortage_of: &'static str,
}

/// The times of one configuration, for each of [`Operation::ALL`].
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    pub(crate) configuration: Configuration,
    pub(crate) samples: [Samples; 3],
}

impl Measurement {
    pub(crate) fn samples(&self, operation: Operation) -> &Samples {
        &self.samples[operation as usize]
    }

    /// The sums of the times to encrypt and to decrypt.
    pub(crate) fn encrypt_and_decrypt(&self) -> Samples {
        self.samples(Operation::Encrypt).and(self.samples(Operation::Decrypt))
    }
}

/// What was measured with one size.
#[derive(Clone, Debug)]
pub(crate) struct SizeResult {
    pub(crate) size_class: SizeClass,
    /// The file copy.
    pub(crate) copy: Samples,
    pub(crate) single: Measurement,
    pub(crate) pools: Vec<Measurement>,
}

impl SizeResult {
    /// All configurations, the single process first.
    pub(crate) fn measurements(&self) -> impl Iterator<Item = &Measurement> {
        [&self.single].into_iter().chain(&self.pools)
    }

    pub(crate) fn copy_rate(&self) -> Rate {
        self.copy.rate(self.size_class.total())
    }

    pub(crate) fn rate(&self, measurement: &Measurement, operation: Operation) -> Rate {
        measurement.samples(operation).rate(self.size_class.total())
    }

    pub(crate) fn speed_up(&self, measurement: &Measurement, operation: Operation) -> f64 {
        speed_up(self.single.samples(operation), measurement.samples(operation))
    }

    /// Compares a configuration with the single process.
    pub(crate) fn comparison(&self, measurement: &Measurement, operation: Operation) -> Comparison {
        stats::compare(self.single.samples(operation), measurement.samples(operation))
    }

    /// The rate as a fraction of the file copy's.
    pub(crate) fn share(&self, measurement: &Measurement, operation: Operation) -> f64 {
        speed_up(&self.copy, measurement.samples(operation))
    }

    /// The cold or the warm configurations, in ascending number of processes.
    pub(crate) fn pools(&self, which: Start) -> impl Iterator<Item = &Measurement> {
        self.pools.iter().filter(
            move |measurement| matches!(measurement.configuration, Configuration::Pool { start, .. } if start == which),
        )
    }

    pub(crate) fn pool(&self, processes: u16, start: Start) -> Option<&Measurement> {
        self.pools(start).find(|measurement| measurement.configuration.processes() == processes)
    }

    /// The cold configuration with so many processes; for 0 the single process.
    pub(crate) fn as_command(&self, processes: u16) -> &Measurement {
        self.pool(processes, Start::Cold).unwrap_or(&self.single)
    }
}

/// From where on workers are faster than a single process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkersBreakEven {
    /// `None`: encrypting and then decrypting.
    pub(crate) operation: Option<Operation>,
    pub(crate) start: Start,
    /// From this size on, with [`Results::compared_workers`].
    pub(crate) bytes: BreakEven<u64>,
    /// From this number of processes on, at the largest size.
    pub(crate) processes: BreakEven<u16>,
}

/// What was measured, and on which machine.
#[derive(Clone, Debug)]
pub struct Results {
    pub(crate) machine: Machine,
    /// The folder of the test files.
    pub(crate) folder: PathBuf,
    /// The same, as it is shown to the user.
    pub(crate) folder_name: String,
    pub(crate) file_system: String,
    /// The user's file, if it was measured.
    pub(crate) file: Option<PathBuf>,
    pub(crate) file_name: Option<String>,
    pub(crate) when: String,
    pub(crate) took: Duration,
    pub(crate) runs: u16,
    pub(crate) processes: Vec<u16>,
    pub(crate) ceilings: Ceilings,
    /// CryptStream and other programs, as commands.
    pub(crate) programs: Programs,
    /// In ascending order.
    pub(crate) sizes: Vec<SizeResult>,
    pub(crate) skipped: Vec<SkippedSize>,
    /// The number of outputs that were compared, byte for byte.
    pub(crate) outputs_verified: u64,
}

impl Results {
    /// The largest size, on which all advice is based.
    pub(crate) fn largest(&self) -> Option<&SizeResult> {
        self.sizes.last()
    }

    /// Which number of workers is fastest at encrypting and decrypting the largest size. All
    /// advice follows from this.
    pub(crate) fn conclusion(&self) -> Conclusion {
        let Some(size) = self.largest() else { return Conclusion::Inconclusive };
        let pools = size.pools(Start::Cold);
        let pools: Vec<_> = pools
            .map(|measurement| {
                (measurement.configuration.processes(), measurement.encrypt_and_decrypt())
            })
            .collect();
        stats::conclude(&size.single.encrypt_and_decrypt(), &pools, self.default_workers())
    }

    /// The recommended number of workers; `None`: the default.
    pub(crate) fn recommended(&self) -> Option<u16> {
        match self.conclusion() {
            Conclusion::NoWorkers => Some(0),
            Conclusion::Workers(workers) => Some(workers),
            Conclusion::Inconclusive => None,
        }
    }

    /// The number of workers whose figures stand for CryptStream: the recommended one, else
    /// the default.
    pub(crate) fn displayed_workers(&self) -> u16 {
        self.recommended().unwrap_or_else(|| self.default_workers())
    }

    /// The default number of workers, or the next smaller one that was measured.
    fn default_workers(&self) -> u16 {
        let cores = self.machine.cores;
        let default = if cores < 2 { 0 } else { cores.min(DEFAULT_WORKERS) };
        let measured = self.processes.iter().copied().rev();
        measured.into_iter().find(|count| usize::from(*count) <= default).unwrap_or(0)
    }

    /// The number of workers that is compared with a single process: the recommended one, or
    /// the largest if no workers are recommended.
    pub(crate) fn compared_workers(&self) -> u16 {
        match self.displayed_workers() {
            0 => self.processes.last().copied().unwrap_or(1),
            processes => processes,
        }
    }

    /// From where on workers are faster, for `operation` or for encrypting and decrypting.
    pub(crate) fn workers_break_even(
        &self,
        operation: Option<Operation>,
        start: Start,
    ) -> WorkersBreakEven {
        let compare = |size: &SizeResult, measurement: &Measurement| match operation {
            Some(operation) => size.comparison(measurement, operation),
            None => stats::compare(
                &size.single.encrypt_and_decrypt(),
                &measurement.encrypt_and_decrypt(),
            ),
        };
        let sizes = self.sizes.iter().filter_map(|size| {
            let measurement = size.pool(self.compared_workers(), start)?;
            Some((size.size_class.bytes, compare(size, measurement)))
        });
        let processes = self.largest().into_iter().flat_map(|size| {
            size.pools(start).map(move |measurement| {
                (measurement.configuration.processes(), compare(size, measurement))
            })
        });
        WorkersBreakEven {
            operation,
            start,
            bytes: stats::break_even(&sizes.collect::<Vec<_>>()),
            processes: stats::break_even(&processes.collect::<Vec<_>>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_labels() {
        assert_eq!(SizeClass { bytes: 4096, files: 500 }.label(), "4 KiB × 500");
        assert_eq!(SizeClass { bytes: 1 << 30, files: 1 }.label(), "1 GiB");
    }
}
