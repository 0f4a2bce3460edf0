//! The measuring: every contestant once a round, and every output compared.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error as EngineError, WorkerProgram};

use super::ceilings::copy_file;
use super::error::Error;
use super::progress::Progress;
use super::results::{Contestant, Entry, Operation, Rung, SizeResult, Warmth};
use super::stats::Timing;
use super::subject::{Key, Subject};
use super::units;

/// What is compared in one go.
const PIECE: usize = 256 << 10;

/// What is the same for all sizes.
pub(super) struct Measuring<'a> {
    pub(super) key: &'a Key,
    pub(super) worker_program: Option<&'a WorkerProgram>,
    pub(super) cores: usize,
    pub(super) runs: u16,
    pub(super) contestants: &'a [Contestant],
    /// Where outputs go.
    pub(super) folder: &'a Path,
    pub(super) progress: &'a dyn Progress,
    pub(super) outputs_verified: u64,
}

/// Pairs of an input and the output that it becomes.
type Files = Vec<(PathBuf, PathBuf)>;

impl<'a> Measuring<'a> {
    /// Steps that a size takes.
    pub(super) fn steps(runs: u16, contestants: usize) -> u64 {
        // A copy in each round, and the round that does not count.
        u64::from(runs) * (contestants as u64 + 1) + 2
    }

    /// Measures everybody with `inputs`, in rounds: what befalls the machine
    /// meanwhile, befalls all alike.
    pub(super) fn size(&mut self, rung: Rung, inputs: &[PathBuf]) -> Result<SizeResult, Error> {
        let warm = self.contestants.iter().map(|contestant| self.warmed_up(*contestant));
        let mut warm = warm.collect::<Result<Vec<_>, _>>()?;
        let mut timings = vec![[const { Vec::new() }; 3]; self.contestants.len()];
        let mut copy = Timing::default();

        // A round that does not count, in which the memory for the outputs is
        // fetched from wherever it is.
        self.copy(rung, inputs)?;
        self.turn(rung, Contestant::Single, &mut None, inputs)?;
        for round in 0..usize::from(self.runs) {
            copy.add(self.copy(rung, inputs)?);
            // Nobody always comes after the same one.
            for k in 0..self.contestants.len() {
                let index = (k + round) % self.contestants.len();
                let seconds = self.turn(rung, self.contestants[index], &mut warm[index], inputs)?;
                for (all, seconds) in timings[index].iter_mut().zip(seconds) {
                    all.push(seconds);
                }
            }
        }
        let mut entries = self.contestants.iter().zip(timings).map(|(contestant, timings)| {
            let timings = timings.map(|seconds| {
                let mut timing = Timing::default();
                seconds.into_iter().for_each(|seconds| timing.add(seconds));
                timing
            });
            Entry { contestant: *contestant, timings }
        });
        let single =
            entries.next().ok_or_else(|| Error::Internal("nothing was measured".to_owned()))?;
        Ok(SizeResult { rung, copy, single, pools: entries.collect() })
    }

    /// A pool whose workers are there before the clock starts; `None` for
    /// everybody else.
    fn warmed_up(&self, contestant: Contestant) -> Result<Option<Subject<'a>>, Error> {
        match contestant {
            Contestant::Pool { processes, warmth: Warmth::Warm } => {
                let mut subject = self.subject(processes);
                subject.warm_up()?;
                Ok(Some(subject))
            }
            _ => Ok(None),
        }
    }

    /// One contestant encrypts, decrypts and verifies; returns how long each
    /// took. What is opened is what was sealed, so both outputs are right if
    /// what comes out is what went in.
    fn turn(
        &mut self,
        rung: Rung,
        contestant: Contestant,
        warm: &mut Option<Subject<'a>>,
        inputs: &[PathBuf],
    ) -> Result<[f64; 3], Error> {
        self.progress.step(&units::rung(rung), &contestant.label());
        let before: Vec<_> = inputs.iter().map(|input| state(input)).collect();
        let sealing = self.outputs("sealed", inputs.iter());
        let opening = self.outputs("opened", sealing.iter().map(|(_, sealed)| sealed));
        warm_memory(self.folder, inputs);
        let subject = |processes| self.subject(processes);
        let mut timed = |operation| {
            let files = if operation == Operation::Encrypt { &sealing } else { &opening };
            let started = Instant::now();
            // Whoever is cold starts anew; its end is part of the run too.
            let mut cold = None;
            let subject = match warm {
                Some(subject) => subject,
                None => cold.insert(subject(contestant.processes())),
            };
            match operation {
                Operation::Encrypt => subject.encrypt_files(files)?,
                Operation::Decrypt => subject.decrypt_files(files)?,
                Operation::Verify => subject.verify_files(files)?,
            }
            drop(cold);
            Ok::<_, Error>(started.elapsed().as_secs_f64())
        };
        let seconds =
            [timed(Operation::Encrypt)?, timed(Operation::Decrypt)?, timed(Operation::Verify)?];
        for ((input, before), (_, opened)) in inputs.iter().zip(before).zip(&opening) {
            match first_difference(input, opened)? {
                None => self.outputs_verified += 2,
                Some(_) if state(input) != before => {
                    return Err(EngineError::InputChanged { path: input.clone() }.into());
                }
                Some(offset) => {
                    return Err(Error::OutputDiffers {
                        input: input.clone(),
                        offset,
                        configuration: contestant.label(),
                    });
                }
            }
        }
        remove(sealing.iter().chain(&opening));
        Ok(seconds)
    }

    fn subject(&self, processes: u16) -> Subject<'a> {
        Subject::new(self.key, processes, self.cores, self.worker_program.cloned())
    }

    fn copy(&self, rung: Rung, inputs: &[PathBuf]) -> Result<f64, Error> {
        self.progress.step(&units::rung(rung), "file copy");
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

/// Inputs of fewer bytes than this need no memory that a host has taken back.
const MIN_WARM: u64 = 16 << 20;

/// Writes and removes two copies of the inputs, as much as what follows writes. A
/// virtual machine gives free memory back to its host after some seconds, and
/// whatever runs next would pay for getting it again.
pub(super) fn warm_memory(folder: &Path, inputs: &[PathBuf]) {
    let bytes: u64 = inputs.iter().filter_map(|input| Some(fs::metadata(input).ok()?.len())).sum();
    if bytes < MIN_WARM {
        return;
    }
    let copies = ["warm-0", "warm-1"].map(|name| folder.join(name));
    let mut buffer = Vec::new();
    for copy in &copies {
        for (index, input) in inputs.iter().enumerate() {
            // Where this fails, so will what is measured, and says why.
            let _ = copy_file(input, &copy.with_extension(index.to_string()), &mut buffer);
        }
    }
    for copy in &copies {
        (0..inputs.len()).for_each(|index| {
            drop(fs::remove_file(copy.with_extension(index.to_string())));
        });
    }
}

/// What is left is removed with the folder, or in the way of the next.
fn remove<'p>(files: impl Iterator<Item = &'p (PathBuf, PathBuf)>) {
    files.for_each(|(_, output)| drop(fs::remove_file(output)));
}

/// What changes when somebody writes to a file.
fn state(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// The first byte in which two files differ.
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
