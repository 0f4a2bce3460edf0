//! Times every configuration once per round, and compares every output with its input.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error as EngineError, WorkerProgram};

use crate::engine_run::{EngineRun, TestKey};
use crate::error::Error;
use crate::file_copy::{copy_file, warm_memory};
use crate::progress::Progress;
use crate::results::{Configuration, Measurement, Operation, SizeClass, SizeResult, Start};
use crate::stats::Samples;

/// Bytes that are compared at a time.
const PIECE: usize = 256 << 10;

/// What is the same for all sizes.
pub(crate) struct Harness<'a> {
    pub(crate) key: &'a TestKey,
    pub(crate) worker_program: Option<&'a WorkerProgram>,
    pub(crate) cores: usize,
    pub(crate) runs: u16,
    pub(crate) configurations: &'a [Configuration],
    /// Where outputs are written.
    pub(crate) folder: &'a Path,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) outputs_verified: u64,
}

/// Pairs of input and output.
type Files = Vec<(PathBuf, PathBuf)>;

impl<'a> Harness<'a> {
    /// Number of measurements for one size.
    pub(crate) fn steps(runs: u16, configurations: usize) -> u64 {
        // A copy per round, and the round that does not count.
        u64::from(runs) * (configurations as u64 + 1) + 2
    }

    /// Measures all configurations with `inputs`, in rounds, so that a disturbance affects
    /// all alike.
    pub(crate) fn measure_size(
        &mut self,
        size_class: SizeClass,
        inputs: &[PathBuf],
    ) -> Result<SizeResult, Error> {
        let warm = self.configurations.iter().map(|configuration| self.warm_engine(*configuration));
        let mut warm = warm.collect::<Result<Vec<_>, _>>()?;
        let mut samples = vec![<[Samples; 3]>::default(); self.configurations.len()];
        let mut copy = Samples::default();

        // A round that does not count: the memory for the outputs has to be allocated.
        self.measure_copy(size_class, inputs)?;
        self.measure_once(size_class, Configuration::Single, &mut None, inputs)?;
        for round in 0..usize::from(self.runs) {
            copy.add(self.measure_copy(size_class, inputs)?);
            // Rotated, so that none always runs after the same other one.
            for k in 0..self.configurations.len() {
                let index = (k + round) % self.configurations.len();
                let seconds = self.measure_once(
                    size_class,
                    self.configurations[index],
                    &mut warm[index],
                    inputs,
                )?;
                for (all, seconds) in samples[index].iter_mut().zip(seconds) {
                    all.add(seconds);
                }
            }
        }
        let mut measurements = self
            .configurations
            .iter()
            .zip(samples)
            .map(|(configuration, samples)| Measurement { configuration: *configuration, samples });
        let single = measurements
            .next()
            .ok_or_else(|| Error::Internal("nothing was measured".to_owned()))?;
        Ok(SizeResult { size_class, copy, single, pools: measurements.collect() })
    }

    /// The engine with all workers started, for a warm configuration.
    fn warm_engine(&self, configuration: Configuration) -> Result<Option<EngineRun<'a>>, Error> {
        match configuration {
            Configuration::Pool { processes, start: Start::Warm } => {
                let mut engine_run = self.engine_run(processes);
                engine_run.warm_up()?;
                Ok(Some(engine_run))
            }
            _ => Ok(None),
        }
    }

    /// Encrypts, decrypts and verifies with one configuration, and returns how long each took
    /// in seconds. The encrypted output is what is decrypted, so if the plaintext is the
    /// input, both outputs are right.
    fn measure_once(
        &mut self,
        size_class: SizeClass,
        configuration: Configuration,
        warm: &mut Option<EngineRun<'a>>,
        inputs: &[PathBuf],
    ) -> Result<[f64; 3], Error> {
        self.progress.step(&size_class.label(), &configuration.label());
        let before: Vec<_> = inputs.iter().map(|input| state(input)).collect();
        let encrypting = self.outputs("encrypted", inputs.iter());
        let decrypting =
            self.outputs("decrypted", encrypting.iter().map(|(_, encrypted)| encrypted));
        warm_memory(self.folder, inputs);
        let engine_run = |processes| self.engine_run(processes);
        let mut timed = |operation| {
            let files = if operation == Operation::Encrypt { &encrypting } else { &decrypting };
            let started = Instant::now();
            // A cold one starts and ends within the measured time.
            let mut cold = None;
            let engine_run = match warm {
                Some(engine_run) => engine_run,
                None => cold.insert(engine_run(configuration.processes())),
            };
            match operation {
                Operation::Encrypt => engine_run.encrypt_files(files)?,
                Operation::Decrypt => engine_run.decrypt_files(files)?,
                Operation::Verify => engine_run.verify_files(files)?,
            }
            drop(cold);
            Ok::<_, Error>(started.elapsed().as_secs_f64())
        };
        let seconds =
            [timed(Operation::Encrypt)?, timed(Operation::Decrypt)?, timed(Operation::Verify)?];
        for ((input, before), (_, decrypted)) in inputs.iter().zip(before).zip(&decrypting) {
            match first_difference(input, decrypted)? {
                None => self.outputs_verified += 2,
                Some(_) if state(input) != before => {
                    return Err(EngineError::InputChanged { path: input.clone() }.into());
                }
                Some(offset) => {
                    return Err(Error::OutputDiffers {
                        input: input.clone(),
                        offset,
                        configuration: configuration.label(),
                    });
                }
            }
        }
        remove(encrypting.iter().chain(&decrypting));
        Ok(seconds)
    }

    fn engine_run(&self, processes: u16) -> EngineRun<'a> {
        EngineRun::new(self.key, processes, self.cores, self.worker_program.cloned())
    }

    fn measure_copy(&self, size_class: SizeClass, inputs: &[PathBuf]) -> Result<f64, Error> {
        self.progress.step(&size_class.label(), "file copy");
        let files = self.outputs("copy", inputs.iter());
        warm_memory(self.folder, inputs);
        let mut buffer = Vec::new();
        let started = Instant::now();
        for (from, to) in &files {
            copy_file(from, to, &mut buffer)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        remove(files.iter());
        Ok(seconds)
    }

    fn outputs<'p>(&self, name: &str, inputs: impl Iterator<Item = &'p PathBuf>) -> Files {
        let output = |index| self.folder.join(format!("{name}-{index}"));
        inputs.enumerate().map(|(index, input)| (input.clone(), output(index))).collect()
    }
}

/// Files that remain are removed with the folder, or fail the next measurement.
fn remove<'p>(files: impl Iterator<Item = &'p (PathBuf, PathBuf)>) {
    files.for_each(|(_, output)| drop(fs::remove_file(output)));
}

/// What changes when someone writes to a file.
fn state(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// The offset of the first byte in which two files differ.
fn first_difference(one: &Path, other: &Path) -> Result<Option<u64>, Error> {
    let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
    let (first, second) = (open(one)?, open(other)?);
    let mut offset = 0;
    loop {
        let our_len = read(&first, one, &mut ours, offset)?;
        let their_len = read(&second, other, &mut theirs, offset)?;
        let (ours, theirs) = (&ours[..our_len], &theirs[..their_len]);
        if ours != theirs {
            let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
            return Ok(Some(offset + same as u64));
        }
        if our_len == 0 {
            return Ok(None);
        }
        offset += our_len as u64;
    }
}

fn open(path: &Path) -> Result<File, Error> {
    Ok(File::open(path).map_err(|source| EngineError::Open { path: path.to_owned(), source })?)
}

/// Fills `buffer` as far as the file goes.
fn read(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], offset + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(EngineError::Read { path: path.to_owned(), offset, source }.into());
            }
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let content = vec![7; 2 * PIECE + 3];
        let mut other = content.clone();
        other[PIECE + 1] = 8;
        let input = write("input", &content);
        let difference =
            |content: &[u8]| first_difference(&input, &write("other", content)).unwrap();
        assert_eq!(difference(&content), None);
        assert_eq!(difference(&other), Some(PIECE as u64 + 1));
        assert_eq!(difference(&content[..PIECE]), Some(PIECE as u64));
        assert_eq!(difference(&[&content[..], b"x"].concat()), Some(content.len() as u64));
        assert_eq!(difference(b""), Some(0));
    }
}
