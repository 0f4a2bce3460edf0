//! The command line as it was typed.

mod archive;
mod benchmark;
mod completions_man;
pub(crate) mod help;
mod inspect_verify;
mod keys;
mod listed;
mod range;
mod rekey;
mod streams;
mod talk;
mod tree;
mod workers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cryptstream_engine::ByteRange;

pub(crate) use archive::{List, Packing, Unpacking};
pub(crate) use benchmark::Benchmark;
pub(crate) use completions_man::{Completions, Manual, Shell};
pub(crate) use inspect_verify::{Inspect, Verify};
pub(crate) use keys::{KeyPassphrase, Opening, Passphrase, Sealing, UsualCost, parse_log_n};
pub(crate) use listed::Listed;
pub(crate) use rekey::Rekey;
pub(crate) use streams::{descriptor, is_dash, is_stdin, is_stdout};
pub(crate) use talk::{Color, PROGRESS_VARIABLE, Talk, When};
pub(crate) use tree::Tree;
pub(crate) use workers::{Reading, Sandbox, Workers, parse_processes};

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
