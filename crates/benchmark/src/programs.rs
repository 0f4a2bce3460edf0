//! CryptStream as a command, compared with `cp` and with other encryption programs that are
//! installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::engine_run::TestKey;
use crate::file_copy::warm_memory;
use crate::progress::Progress;
use crate::stats::{Comparison, Samples, compare};
use crate::units;
use crate::workspace::Workspace;

/// The programs encrypt one file of at most this size, unless the user names a larger one:
/// the slowest take seconds for it.
const MAX_SIZE: u64 = 256 << 20;
/// The most programs there can be, for the progress bar.
pub(crate) const MAX_PROGRAMS: u64 = 7;
/// The key for openssl; it protects nothing.
const OPENSSL_KEY: &str = "00000000000000000000000000000000";
const COPY: &str = "cp";
const CRYPTSTREAM: &str = "CryptStream";
const CRYPTSTREAM_AGE: &str = "CryptStream, age format";

/// The programs that encrypted one file, and `cp`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs {
    /// The length of the file.
    pub(crate) bytes: u64,
    pub(crate) programs: Vec<Program>,
    /// Programs that are installed, but failed.
    pub(crate) failed: Vec<&'static str>,
}

/// One program, and its times.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The command line, as it is shown.
    pub(crate) command: String,
    pub(crate) samples: Samples,
}

impl Program {
    /// Whether this is CryptStream, in either format.
    pub(crate) fn is_own(&self) -> bool {
        self.name.starts_with(CRYPTSTREAM)
    }

    pub(crate) fn is_copy(&self) -> bool {
        self.name == COPY
    }
}

impl Programs {
    /// The programs, fastest first; `cp` comes before all others.
    pub(crate) fn in_order(&self) -> Vec<&Program> {
        let mut all: Vec<_> = self.programs.iter().collect();
        all.sort_by(|one, other| {
            let key = |program: &Program| (!program.is_copy(), program.samples.median());
            let (one, other) = (key(one), key(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        all
    }

    fn named(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// CryptStream with its native format.
    pub(crate) fn own(&self) -> Option<&Program> {
        self.named(CRYPTSTREAM)
    }

    pub(crate) fn copy(&self) -> Option<&Program> {
        self.named(COPY)
    }

    /// Compares the age format with the native one, if both were measured, and says how many
    /// times as fast it is.
    pub(crate) fn age_format(&self) -> Option<(Comparison, f64)> {
        let (native, age) = (self.own()?, self.named(CRYPTSTREAM_AGE)?);
        let times = native.samples.median() / age.samples.median();
        Some((compare(&native.samples, &age.samples), times))
    }
}

/// How a program is called.
struct CommandLine {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
}

/// Runs the programs.
pub(crate) struct ProgramRunner<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) key: &'a TestKey,
    /// CryptStream's program.
    pub(crate) program: &'a Path,
    pub(crate) runs: u16,
    /// Whether the age format is measured too.
    pub(crate) with_age_format: bool,
}

/// The length of the file that the programs encrypt, where `largest` is the largest size.
pub(crate) fn size(largest: u64) -> u64 {
    largest.min(MAX_SIZE)
}

impl ProgramRunner<'_> {
    /// Has each program encrypt `input` once per round, in changing order.
    pub(crate) fn measure(&self, input: &Path) -> Programs {
        let bytes = fs::metadata(input).map_or(0, |metadata| metadata.len());
        let mut result = Programs { bytes, ..Programs::default() };
        let mut command_lines = Vec::new();
        // A round that does not count shows which programs are installed.
        for command_line in self.command_lines() {
            match self.run(&command_line, input, bytes) {
                Ok(Some(_)) => command_lines.push(command_line),
                Ok(None) => result.failed.push(command_line.name),
                Err(_) => {}
            }
        }
        result.programs = command_lines
            .iter()
            .map(|command_line| Program {
                name: command_line.name,
                command: command_line.shown(),
                samples: Samples::default(),
            })
            .collect();
        for round in 0..usize::from(self.runs) {
            for k in 0..command_lines.len() {
                let index = (k + round) % command_lines.len();
                match self.run(&command_lines[index], input, bytes) {
                    Ok(Some(seconds)) => result.programs[index].samples.add(seconds),
                    _ => result.failed.push(command_lines[index].name),
                }
            }
        }
        let failed = result.failed.clone();
        result.programs.retain(|program| !failed.contains(&program.name));
        result.failed.dedup();
        result
    }

    fn command_lines(&self) -> Vec<CommandLine> {
        let folder = self.workspace.folder();
        let (home, passphrase) = (folder.join("gnupg"), folder.join("passphrase"));
        // If this fails, gpg fails and is left out.
        let _ = fs::create_dir(&home);
        let _ = fs::write(&passphrase, "correct horse battery staple\n");
        let [home, passphrase] = [home, passphrase].map(|path| path.display().to_string());
        let recipient = self.key.recipient();
        let command_line = |name, program: &Path, args: &[&str]| CommandLine {
            name,
            program: program.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        let encrypt = ["--no-config", "-q", "encrypt", IN, OUT, "-r", &recipient];
        let mut all = vec![
            command_line(COPY, Path::new("cp"), &[IN, OUT]),
            command_line(CRYPTSTREAM, self.program, &encrypt),
            command_line("age", Path::new("age"), &["-r", &recipient, "-o", OUT, IN]),
            command_line("rage", Path::new("rage"), &["-r", &recipient, "-o", OUT, IN]),
            command_line(
                "gpg, symmetric",
                Path::new("gpg"),
                &[
                    // An agent would outlive the benchmark.
                    "--batch",
                    "--quiet",
                    "--no-autostart",
                    "--homedir",
                    &home,
                    "--pinentry-mode",
                    "loopback",
                    "--passphrase-file",
                    &passphrase,
                    // The default with an agent; without one gpg cannot find it out.
                    "--s2k-count",
                    "65011712",
                    "-c",
                    "-z0",
                    "-o",
                    OUT,
                    IN,
                ],
            ),
            command_line(
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
            all.push(command_line(CRYPTSTREAM_AGE, self.program, &args));
        }
        all
    }

    /// Runs a program once and returns the seconds it took, or `None` if it failed.
    fn run(&self, command_line: &CommandLine, input: &Path, bytes: u64) -> io::Result<Option<f64>> {
        let folder = self.workspace.folder();
        self.progress.step(&units::size(bytes), command_line.name);
        let output = folder.join("output");
        warm_memory(folder, &[input.to_owned()]);
        let mut command = Command::new(&command_line.program);
        for arg in &command_line.args {
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

/// Placeholders for the paths in `args`.
const IN: &str = "INPUT";
const OUT: &str = "OUTPUT";

impl CommandLine {
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
            let mut samples = Samples::default();
            samples.add(seconds);
            Program { name, command: String::new(), samples }
        };
        let programs = vec![program("age", 3.0), program(COPY, 2.0), program(CRYPTSTREAM, 1.0)];
        let programs = Programs { bytes: 1, programs, failed: Vec::new() };
        let names: Vec<_> = programs.in_order().iter().map(|program| program.name).collect();
        assert_eq!(names, [COPY, CRYPTSTREAM, "age"]);
        assert!(programs.age_format().is_none());
    }
}
