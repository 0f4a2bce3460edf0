//! CryptStream as a command, beside `cp` and other programs that encrypt, as far
//! as they are installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::measure::warm_memory;
use super::progress::Progress;
use super::stats::{Comparison, Timing, compare};
use super::subject::Key;
use super::units;
use super::workspace::Workspace;

/// Commands are measured with one file of at most this size, unless the user
/// names a larger one: the slowest take seconds for it.
const MAX_SIZE: u64 = 256 << 20;
/// How many programs there may be, for the progress bar.
pub(super) const MOST: u64 = 7;
/// The key of the measurement with openssl; it protects nothing.
const OPENSSL_KEY: &str = "00000000000000000000000000000000";
const COPY: &str = "cp";
const CRYPTSTREAM: &str = "CryptStream";
const CRYPTSTREAM_AGE: &str = "CryptStream, age format";

/// The programs that encrypted one file, `cp` first where it is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    /// The length of the file.
    pub(super) bytes: u64,
    pub(super) programs: Vec<Program>,
    /// Installed, but its command failed.
    pub(super) failed: Vec<&'static str>,
}

/// One program, and its times.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// The arguments, to be shown.
    pub(super) command: String,
    pub(super) timing: Timing,
}

impl Program {
    /// Whether this is CryptStream, in either format.
    pub(super) fn is_own(&self) -> bool {
        self.name.starts_with(CRYPTSTREAM)
    }

    pub(super) fn is_copy(&self) -> bool {
        self.name == COPY
    }
}

impl Programs {
    /// The programs, the quickest first; `cp` stays in front of all.
    pub(super) fn in_order(&self) -> Vec<&Program> {
        let mut all: Vec<_> = self.programs.iter().collect();
        all.sort_by(|one, other| {
            let key = |program: &Program| (!program.is_copy(), program.timing.median());
            let (one, other) = (key(one), key(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        all
    }

    fn named(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// CryptStream with its own format.
    pub(super) fn own(&self) -> Option<&Program> {
        self.named(CRYPTSTREAM)
    }

    pub(super) fn copy(&self) -> Option<&Program> {
        self.named(COPY)
    }

    /// The age format against the native one, where both were measured: what
    /// the runs say, and how many times as fast it is.
    pub(super) fn age_format(&self) -> Option<(Comparison, f64)> {
        let (native, age) = (self.own()?, self.named(CRYPTSTREAM_AGE)?);
        let times = native.timing.median() / age.timing.median();
        Some((compare(&native.timing, &age.timing), times))
    }
}

/// A command line without its program, and its standard input.
struct Candidate {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
}

/// What all commands are measured with.
pub(super) struct Setting<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) progress: &'a dyn Progress,
    pub(super) key: &'a Key,
    /// CryptStream.
    pub(super) program: &'a Path,
    pub(super) runs: u16,
    /// Whether the age format is measured too.
    pub(super) with_age_format: bool,
}

/// The file that the commands encrypt, where the sizes up to `largest` are
/// measured.
pub(super) fn size(largest: u64) -> u64 {
    largest.min(MAX_SIZE)
}

impl Setting<'_> {
    /// Each program encrypts `input` once a round, in changing order.
    pub(super) fn measure(&self, input: &Path) -> Programs {
        let bytes = fs::metadata(input).map_or(0, |metadata| metadata.len());
        let mut result = Programs { bytes, ..Programs::default() };
        let mut candidates = Vec::new();
        // A round that does not count tells which programs are there.
        for candidate in self.candidates() {
            match self.run(&candidate, input, bytes) {
                Ok(Some(_)) => candidates.push(candidate),
                Ok(None) => result.failed.push(candidate.name),
                Err(_) => {}
            }
        }
        result.programs = candidates
            .iter()
            .map(|candidate| Program {
                name: candidate.name,
                command: candidate.shown(),
                timing: Timing::default(),
            })
            .collect();
        for round in 0..usize::from(self.runs) {
            for k in 0..candidates.len() {
                let index = (k + round) % candidates.len();
                match self.run(&candidates[index], input, bytes) {
                    Ok(Some(seconds)) => result.programs[index].timing.add(seconds),
                    _ => result.failed.push(candidates[index].name),
                }
            }
        }
        let failed = result.failed.clone();
        result.programs.retain(|program| !failed.contains(&program.name));
        result.failed.dedup();
        result
    }

    fn candidates(&self) -> Vec<Candidate> {
        let folder = self.workspace.folder();
        let (home, passphrase) = (folder.join("gnupg"), folder.join("passphrase"));
        // Without them gpg fails, and is left out.
        let _ = fs::create_dir(&home);
        let _ = fs::write(&passphrase, "correct horse battery staple\n");
        let [home, passphrase] = [home, passphrase].map(|path| path.display().to_string());
        let recipient = self.key.recipient();
        let candidate = |name, program: &Path, args: &[&str]| Candidate {
            name,
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        let encrypt = ["--no-config", "-q", "encrypt", IN, OUT, "-r", &recipient];
        let mut all = vec![
            candidate(COPY, Path::new("cp"), &[IN, OUT]),
            candidate(CRYPTSTREAM, self.program, &encrypt),
            candidate("age", Path::new("age"), &["-r", &recipient, "-o", OUT, IN]),
            candidate("rage", Path::new("rage"), &["-r", &recipient, "-o", OUT, IN]),
            candidate(
                "gpg, symmetric",
                Path::new("gpg"),
                &[
                    // No agent is started, which would outlive the benchmark.
                    "--batch",
                    "--quiet",
                    "--no-autostart",
                    "--homedir",
                    &home,
                    "--pinentry-mode",
                    "loopback",
                    "--passphrase-file",
                    &passphrase,
                    // As an agent would say; without one gpg cannot ask.
                    "--s2k-count",
                    "65011712",
                    "-c",
                    "-z0",
                    "-o",
                    OUT,
                    IN,
                ],
            ),
            candidate(
                "openssl, no authentication",
                Path::new("openssl"),
                &[
                    "enc",
                    "-aes-256-ctr",
                    "-K",
                    OPENSSL_KEY,
                    "-iv",
                    OPENSSL_KEY,
                    "-in",
                    IN,
                    "-out",
                    OUT,
                ],
            ),
        ];
        if self.with_age_format {
            let args = [&encrypt[..], &["--format", "age"]].concat();
            all.push(candidate(CRYPTSTREAM_AGE, self.program, &args));
        }
        all
    }

    /// Runs a command once; how long it took, or `None` where it failed.
    fn run(&self, candidate: &Candidate, input: &Path, bytes: u64) -> io::Result<Option<f64>> {
        let folder = self.workspace.folder();
        self.progress.step(&units::size(bytes), candidate.name);
        let output = folder.join("output");
        warm_memory(folder, &[input.to_owned()]);
        let mut command = Command::new(&candidate.program);
        for arg in &candidate.args {
            match arg.as_str() {
                IN => command.arg(input),
                OUT => command.arg(&output),
                other => command.arg(other),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = self.workspace.wait(command);
        let seconds = started.elapsed().as_secs_f64();
        // A program that wrote less than the file did not encrypt it.
        let is_whole = fs::metadata(&output).is_ok_and(|metadata| metadata.len() >= bytes);
        let _ = fs::remove_file(&output);
        Ok((status?.success() && is_whole).then_some(seconds))
    }
}

/// Stand for the paths.
const IN: &str = "INPUT";
const OUT: &str = "OUTPUT";

impl Candidate {
    fn shown(&self) -> String {
        let program = self
            .program
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let args = self.args.iter().map(|arg| match arg.starts_with('/') {
            true => "FILE",
            false => arg,
        });
        [program.as_str()].into_iter().chain(args).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_comes_first_and_then_the_quickest() {
        let program = |name, seconds: f64| {
            let mut timing = Timing::default();
            timing.add(seconds);
            Program { name, command: String::new(), timing }
        };
        let programs = vec![program("age", 3.0), program(COPY, 2.0), program(CRYPTSTREAM, 1.0)];
        let programs = Programs { bytes: 1, programs, failed: Vec::new() };
        let names: Vec<_> = programs.in_order().iter().map(|program| program.name).collect();
        assert_eq!(names, [COPY, CRYPTSTREAM, "age"]);
        assert!(programs.age_format().is_none());
    }
}
