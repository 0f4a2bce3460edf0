//! The command line as it was typed.

mod archive;
mod benchmark;
mod habits;
pub(crate) mod help;
mod listed;
mod look;
mod range;
mod rekey;
mod tree;
mod words;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cryptstream_engine::{ByteRange, Processes};
use cryptstream_format::argon2id::Cost;

use crate::messages::{self, Failure};

pub(crate) use archive::{List, Packing, Unpacking};
pub(crate) use benchmark::Benchmark;
pub(crate) use listed::Listed;
pub(crate) use look::{Inspect, Verify};
pub(crate) use rekey::Rekey;
pub(crate) use tree::Tree;
pub(crate) use words::{Completions, Manual, Shell};

/// File encryption faster than copying, with nothing lost.
#[derive(Debug, Parser)]
#[command(name = "cryptstream", version, after_long_help = help::ROOT, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: Talk,
    /// Do not read the configuration file, see `cryptstream config`
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Seal a file, a pipe, or the files in a folder
    #[command(after_long_help = help::ENCRYPT)]
    Encrypt(Encrypt),
    /// Open a sealed file or pipe, or those in a folder; of a damaged one nothing is
    /// written, see `verify` and --salvage
    #[command(after_long_help = help::DECRYPT)]
    Decrypt(Decrypt),
    /// Say what sealed files are, without any key
    #[command(after_long_help = help::INSPECT)]
    Inspect(Inspect),
    /// Open sealed files and write nothing, to know that all of it is intact
    #[command(after_long_help = help::VERIFY)]
    Verify(Verify),
    /// Show what is in a sealed archive, and write nothing
    #[command(after_long_help = help::LIST)]
    List(List),
    /// Exchange the keys of a sealed file, and leave its content as it is
    #[command(after_long_help = help::REKEY)]
    Rekey(Rekey),
    /// Make a new identity, or show the recipient of one
    #[command(after_long_help = help::KEYGEN)]
    Keygen(Keygen),
    /// Measure how fast this machine is, and how many processes it is worth
    #[command(after_long_help = help::BENCHMARK)]
    Benchmark(Benchmark),
    /// Show the defaults that are in force, and where each comes from
    #[command(after_long_help = help::CONFIG)]
    Config,
    /// Write what completes this program's commands and flags in a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Write the manual, for man(1)
    #[command(after_long_help = help::MANUAL)]
    Man(Manual),
}

/// How much is said, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct Talk {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", overrides_with = "quiet")]
    pub(crate) quiet: bool,
    /// Say what was done
    #[arg(short, long, global = true, overrides_with = "verbose")]
    pub(crate) verbose: bool,
    /// Report as one JSON object: on stdout, or on stderr when stdout is the data; warnings
    /// are lines of JSON on stderr
    #[arg(long, global = true, overrides_with = "json")]
    pub(crate) json: bool,
    /// Show progress; auto: on a terminal, after half a second; json: everything
    /// that is said on standard error as JSON, an event a line, for programs
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) progress: Option<When>,
    /// Use colours; auto: on a terminal, unless NO_COLOR is set [default: auto]
    #[arg(long, global = true, value_name = "WHEN", overrides_with = "no_color")]
    pub(crate) color: Option<Color>,
    /// The same as --color never
    #[arg(long, global = true, overrides_with = "color")]
    pub(crate) no_color: bool,
}

impl Talk {
    /// When progress is shown.
    pub(crate) fn progress(self) -> When {
        self.progress.unwrap_or(When::Auto)
    }

    /// Uses colours as they are wanted from now on.
    pub(crate) fn apply_color(self) {
        let color = if self.no_color { Some(Color::Never) } else { self.color };
        color.unwrap_or(Color::Auto).choice().write_global();
    }
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct Encrypt {
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    /// Format to write: native, or age for age v1 [default: age where the output's
    /// name ends in .age, else native]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write text that can be pasted and mailed: the age format in ASCII armor
    #[arg(short, long)]
    pub(crate) armor: bool,
    #[command(flatten)]
    pub(crate) tree: Tree,
    /// Remove from the copy of a folder what the folder no longer has, if everything went
    /// well; what filters leave out stays, see --dry-run
    #[arg(
        long,
        help_heading = "Folders",
        conflicts_with_all = ["remove_source", "gitignore", "archive"]
    )]
    pub(crate) delete: bool,
    #[command(flatten)]
    pub(crate) packing: Packing,
}

/// Whom to seal for.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Sealing {
    /// Seal for this recipient (age1…, age1pq1…, age1tag1…, ssh-ed25519 …,
    /// ssh-rsa …, or a plugin's); repeatable
    #[arg(short, long, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Seal for the recipients in this file, one a line; repeatable
    #[arg(short = 'R', long, value_name = "FILE")]
    pub(crate) recipients_file: Vec<PathBuf>,
    /// Seal for the owner of this identity file or SSH key; repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Cost of a passphrase: memory, passes, lanes; 64MiB,3,4 or more [default: 256MiB,3,4]
    #[arg(long, value_name = "MEM[,T[,P]]")]
    pub(crate) argon2id: Option<String>,
    /// Cost of a passphrase in files of age: binary logarithm of N, 16 to 22
    /// (64 MiB to 4 GiB) [default: 18]
    #[arg(long, value_name = "LOG_N", value_parser = parse_log_n)]
    pub(crate) scrypt: Option<u8>,
    /// Give a plugin up that has said nothing for so many seconds; 0: never
    /// [default: 120]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) plugin_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
    /// Where no flag names a cost.
    #[arg(skip)]
    pub(crate) usual: UsualCost,
}

impl Sealing {
    /// Whether any of these flags names a key.
    pub(crate) fn names_key(&self) -> bool {
        let Self { recipient, recipients_file, identity, .. } = self;
        !(recipient.is_empty() && recipients_file.is_empty() && identity.is_empty())
    }
}

/// What a passphrase costs by the configuration. Unlike flags, neither is wrong
/// because of the format: each is for its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UsualCost {
    pub(crate) argon2id: Option<Cost>,
    pub(crate) scrypt: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Native,
    Age,
}

#[derive(Args, Debug)]
pub(crate) struct Decrypt {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Write to standard output, as `-o -` does
    #[arg(short = 'c', long, conflicts_with_all = ["output", "named_output", "output_dir"])]
    pub(crate) stdout: bool,
    /// Of a damaged file write what is intact, with zeros for the rest; both must
    /// be files, and the exit status is 65
    #[arg(long, conflicts_with_all = ["remove_source", "verify_output", "range", "output_dir", "dry_run", "newer"])]
    pub(crate) salvage: bool,
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// Open only these bytes of the content: START-END (from 0, END included),
    /// START+LENGTH, START- or -LAST, sizes such as 64KiB too; to standard output
    /// unless OUTPUT is named
    #[arg(
        long,
        value_name = "RANGE",
        value_parser = range::parse,
        allow_hyphen_values = true,
        conflicts_with_all = ["remove_source", "verify_output", "output_dir", "dry_run", "newer"]
    )]
    pub(crate) range: Option<ByteRange>,
    #[command(flatten)]
    pub(crate) tree: Tree,
    #[command(flatten)]
    pub(crate) unpacking: Unpacking,
}

/// What to open with.
#[derive(Args, Debug)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Opening {
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    /// Open with the identities in this file, or with this SSH key; repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Let files ask for as high a passphrase cost as this, if it is more than the
    /// default [default: 2GiB,16,16, and memory times passes 8GiB]
    #[arg(long, value_name = "MEM[,T[,P]]")]
    pub(crate) argon2id_limit: Option<String>,
    /// Give a plugin up that has said nothing for so many seconds; 0: never
    /// [default: 120]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) plugin_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
}

/// What is read and where the result goes.
#[derive(Args, Debug, Default)]
pub(crate) struct Files {
    /// File or folder to read; - or nothing: standard input
    pub(crate) input: Option<PathBuf>,
    /// File or folder to write; -: standard output [default: INPUT.enc, or INPUT
    /// without .enc]
    pub(crate) output: Option<PathBuf>,
    /// Output file or folder, instead of OUTPUT
    #[arg(short = 'o', long = "output", value_name = "OUTPUT", conflicts_with = "output")]
    pub(crate) named_output: Option<PathBuf>,
    /// More files and folders to read, with --output-dir
    #[arg(value_name = "INPUT")]
    pub(crate) more: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) listed: Listed,
    /// Replace an output that exists
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Remove the input when the output is durable under its name, and was read again
    /// as with --verify-output
    #[arg(long)]
    pub(crate) remove_source: bool,
    /// Read the output again, and compare it with the input, before it gets its name
    #[arg(long)]
    pub(crate) verify_output: bool,
    /// Make the output durable before it gets its name
    #[arg(long)]
    pub(crate) sync: bool,
    #[command(flatten)]
    pub(crate) workers: Workers,
}

impl Files {
    /// Takes the output from where it was named.
    pub(crate) fn settle(&mut self, to_stdout: bool) {
        self.output = self.output.take().or(self.named_output.take());
        if to_stdout {
            self.output = Some("-".into());
        }
    }
}

/// The worker processes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Workers {
    /// Worker processes for files from 8 MiB on: a number, 0 for none, or auto
    /// [default: auto, one for each core up to 4]
    #[arg(short = 'j', long, visible_alias = "threads", value_name = "N|auto", value_parser = parse_processes)]
    pub(crate) processes: Option<Processes>,
    /// Whether workers must be locked in: require, auto (as well as the system
    /// can) or off [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
}

/// Who reads what strangers wrote, in commands that have no workers.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Reading {
    /// Whether what reads the file must be locked in: require, auto (this process
    /// reads it) or off [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
}

impl From<Reading> for Workers {
    fn from(Reading { sandbox }: Reading) -> Self {
        Self { processes: None, sandbox }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    Require,
    Auto,
    Off,
}

/// The most workers that can be asked for.
const MAX_PROCESSES: u16 = 256;

pub(crate) fn parse_processes(text: &str) -> Result<Processes, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Processes::Auto),
        Ok(count @ 0..=MAX_PROCESSES) => Ok(Processes::Exactly(count)),
        _ => Err(format!("a number from 0 to {MAX_PROCESSES}, or auto")),
    }
}

pub(crate) fn parse_log_n(text: &str) -> Result<u8, String> {
    let (least, most) = (cryptstream_keys::MIN_LOG_N, cryptstream_keys::MAX_LOG_N);
    let in_range = |log_n: &u8| (least..=most).contains(log_n);
    text.parse().ok().filter(in_range).ok_or_else(|| format!("a number from {least} to {most}"))
}

/// Where a passphrase comes from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Keys")]
#[group(multiple = false)]
pub(crate) struct Passphrase {
    /// Passphrase on the command line, where other users can see it for a moment;
    /// in earnest use -p, --passphrase-file or -r
    // The value itself was taken away before parsing.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) key: Option<OsString>,
    /// Ask for a passphrase on the terminal
    #[arg(short, long)]
    pub(crate) passphrase: bool,
    /// Read the passphrase from a file (without one newline at its end)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from an open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

impl Passphrase {
    /// Whether any of these flags was typed.
    pub(crate) fn is_given(&self) -> bool {
        let Self { key, passphrase, passphrase_file, passphrase_fd } = self;
        key.is_some() || *passphrase || passphrase_file.is_some() || passphrase_fd.is_some()
    }
}

/// Where the passphrase of protected keys comes from, for jobs without a terminal.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
#[group(multiple = false)]
pub(crate) struct KeyPassphrase {
    /// Read the passphrase of protected identity files and SSH keys from a file (without
    /// one newline at its end) instead of asking for it
    #[arg(long, value_name = "FILE")]
    pub(crate) identity_passphrase_file: Option<PathBuf>,
    /// Read it from an open file descriptor
    #[arg(long, value_name = "N")]
    pub(crate) identity_passphrase_fd: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Keygen {
    /// File for the identity, which must not exist; default: standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Make an identity that withstands quantum computers (ML-KEM-768 and X25519)
    #[arg(long, conflicts_with = "recipient_of")]
    pub(crate) pq: bool,
    /// Print the recipients of the identities in this file instead
    #[arg(short = 'y', value_name = "FILE", conflicts_with = "output")]
    pub(crate) recipient_of: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
}

/// Parses the arguments; help, version and mistakes have been answered when
/// this returns an exit status.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let arguments = habits::with_command(arguments);
    let (has_report, is_in_events) = wanted_json(&arguments);
    messages::speak_to_programs(has_report, is_in_events);
    wanted_color(&arguments).choice().write_global();
    if let Some(command) = habits::command_of(&arguments) {
        messages::set_command(command);
    }
    let refuse = |failure: &Failure| {
        match has_report {
            true => messages::print_json_error(failure, false),
            false => messages::print_error(failure),
        }
        Err(ExitCode::from(failure.code))
    };
    if let Some(failure) = habits::misread(&arguments) {
        return refuse(&failure);
    }
    let error = match Cli::try_parse_from(&arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    match error.kind() {
        DisplayHelp | DisplayVersion => match error.print() {
            // Nobody may be reading; that is no failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let failure = messages::stdout_failed(error, false);
                messages::print_error(&failure);
                Err(ExitCode::from(failure.code))
            }
            _ => Err(ExitCode::SUCCESS),
        },
        DisplayHelpOnMissingArgumentOrSubcommand if is_in_events => refuse(&messages::no_command()),
        DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(ExitCode::from(messages::code::USAGE))
        }
        _ => {
            let command = habits::command_of(&arguments);
            let answer = habits::answer(&error, &arguments);
            refuse(&answer.unwrap_or_else(|| messages::usage(&error.to_string(), command)))
        }
    }
}

/// The environment variable that sets `--progress`.
pub(crate) const PROGRESS_VARIABLE: &str = "CRYPTSTREAM_PROGRESS";

/// Whether a report is wanted, and whether events are, as far as it can be known before the
/// arguments are parsed.
fn wanted_json(arguments: &[OsString]) -> (bool, bool) {
    let mut has_report = false;
    let mut progress = std::env::var_os(PROGRESS_VARIABLE);
    let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word.to_str().unwrap_or_default() {
            "--json" => has_report = true,
            "--progress" => progress = words.next().cloned(),
            text => {
                if let Some(when) = text.strip_prefix("--progress=") {
                    progress = Some(when.into());
                }
            }
        }
    }
    (has_report, progress.is_some_and(|when| when == "json"))
}

/// As far as it can be known before the arguments are parsed.
fn wanted_color(arguments: &[OsString]) -> Color {
    let mut color = Color::Auto;
    let named = |name: &OsStr| Color::from_str(name.to_str().unwrap_or_default(), false).ok();
    for (at, argument) in arguments.iter().enumerate() {
        let value = match argument.to_str() {
            Some("--") => break,
            Some("--no-color") => Some(Color::Never),
            Some("--color") => arguments.get(at + 1).and_then(|value| named(value)),
            Some(text) => text.strip_prefix("--color=").and_then(|value| named(value.as_ref())),
            None => None,
        };
        color = value.unwrap_or(color);
    }
    color
}

/// Whether a name stands for standard input or output.
pub(crate) fn is_dash(path: &OsStr) -> bool {
    path == "-"
}

/// Whether an input's name stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    is_dash(path.as_os_str()) || descriptor(path) == Some(0)
}

/// Whether an output's name stands for standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    is_dash(path.as_os_str()) || descriptor(path) == Some(1)
}

/// The descriptor of this process that a path stands for, as `/dev/fd/63` does, which is
/// what shells write for `<(command)`.
pub(crate) fn descriptor(path: &Path) -> Option<u32> {
    let names = ["/dev/stdin", "/dev/stdout", "/dev/stderr"];
    if let Some(number) = names.iter().position(|name| path == Path::new(name)) {
        return u32::try_from(number).ok();
    }
    let name = path.strip_prefix("/dev/fd").or_else(|_| path.strip_prefix("/proc/self/fd")).ok()?;
    name.to_str()?.parse().ok()
}
