//! The command line as it was typed.

mod archive;
mod benchmark;
mod completions_man;
mod file_list;
mod format;
pub(crate) mod help;
mod inspect_verify;
mod job;
mod keys;
mod range;
mod rekey;
mod report_options;
mod storage_options;
mod store;
mod streams;
mod tree;
mod workers;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use cryptstream_engine::ByteRange;

pub(crate) use archive::{Packing, Unpacking};
pub(crate) use benchmark::Benchmark;
pub(crate) use completions_man::{Completions, Manual, Shell};
pub(crate) use file_list::FileList;
pub(crate) use format::Format;
pub(crate) use inspect_verify::{DecryptInputs, Inspect};
pub(crate) use job::{
    EngineOption, Job, JobAction, JobEngine, JobName, JobPlan, JobRun, JobSubmit,
};
pub(crate) use keys::{
    DecryptionArgs, DefaultCost, EncryptionArgs, KeyPassphrase, Passphrase, RecipientArgs,
    parse_log_n,
};
pub(crate) use rekey::Rekey;
pub(crate) use report_options::{Color, PROGRESS_VARIABLE, ReportOptions, When};
pub(crate) use storage_options::StorageOptions;
pub(crate) use store::{Store, StoreContent};
pub(crate) use streams::{descriptor, is_dash, is_stdin, is_stdout};
pub(crate) use tree::Tree;
pub(crate) use workers::{CacheMode, Reading, Sandbox, Workers, parse_processes};

/// Fast, sandboxed file encryption that reads and writes age files
#[derive(Debug, Parser)]
#[command(
    name = "cryptstream",
    version,
    after_long_help = help::ROOT,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) general: General,
}

// Without a description, which would become that of the program.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct General {
    /// Ignore the configuration file (see `cryptstream config`)
    #[arg(long, global = true)]
    pub(crate) no_config: bool,
    #[command(flatten)]
    pub(crate) options: ReportOptions,
}

impl Cli {
    /// The definition without all other commands, of those that are called most. It takes a
    /// fraction of the time and the memory, which shows when the file is small. What it accepts
    /// means the same as in the whole definition, which knows the right words for everything else.
    pub(crate) fn of_command(name: &str) -> Option<clap::Command> {
        let command = match name {
            "encrypt" => Encrypt::augment_args(clap::Command::new("encrypt")),
            "decrypt" => Decrypt::augment_args(clap::Command::new("decrypt")),
            _ => return None,
        };
        Some(General::augment_args(clap::Command::new("cryptstream")).subcommand(command))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Encrypt a file, a pipe, or the files in a folder
    #[command(
        after_long_help = help::ENCRYPT,
        mut_args(help::describe_encrypted_output)
    )]
    Encrypt(Encrypt),
    /// Decrypt a file, a pipe, or the files in a folder
    ///
    /// Damaged input produces no output; see `verify` and --salvage.
    #[command(
        after_long_help = help::DECRYPT,
        mut_args(help::describe_decrypted_output)
    )]
    Decrypt(Decrypt),
    /// Describe encrypted files, without a key
    #[command(after_long_help = help::INSPECT)]
    Inspect(Inspect),
    /// Check that encrypted files are intact, without writing anything
    #[command(after_long_help = help::VERIFY)]
    Verify(DecryptInputs),
    /// List what is in an encrypted archive, without writing anything
    #[command(
        after_long_help = help::LIST,
        mut_arg("files", |files| files.help(inspect_verify::ARCHIVES_TO_LIST))
    )]
    List(DecryptInputs),
    /// Change the keys of encrypted files, without re-encrypting the content
    #[command(after_long_help = help::REKEY)]
    Rekey(Rekey),
    /// Divide work among many machines
    #[command(after_long_help = help::JOB)]
    Job(Job),
    /// Find what failed runs have left in object stores
    #[command(after_long_help = help::STORE)]
    Store(Store),
    /// Generate an identity, or show the recipient of one
    #[command(after_long_help = help::KEYGEN)]
    Keygen(Keygen),
    /// Measure how fast this machine is, and recommend a worker count
    #[command(after_long_help = help::BENCHMARK)]
    Benchmark(Benchmark),
    /// Show the defaults in effect, and where each comes from
    #[command(after_long_help = help::CONFIG)]
    Config,
    /// Generate shell completions
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Generate the manual pages
    #[command(after_long_help = help::MANUAL)]
    Man(Manual),
}

impl Command {
    /// How processes are to be sandboxed, if that was said.
    pub(crate) fn sandbox(&self) -> Option<Sandbox> {
        match self {
            Self::Encrypt(Encrypt { files, .. }) | Self::Decrypt(Decrypt { files, .. }) => {
                files.workers.sandbox
            }
            Self::Verify(args) | Self::List(args) => args.workers.sandbox,
            Self::Inspect(args) => args.reading.sandbox,
            Self::Job(Job { action: JobAction::Run(args) }) => args.workers.sandbox,
            _ => None,
        }
    }

    /// The options of object stores that were given.
    pub(crate) fn storage_options(&self) -> &[OsString] {
        let storage = match self {
            Self::Encrypt(Encrypt { files, .. }) | Self::Decrypt(Decrypt { files, .. }) => {
                &files.storage
            }
            Self::Verify(args) | Self::List(args) => &args.storage,
            Self::Inspect(args) => &args.storage,
            Self::Rekey(args) => &args.storage,
            Self::Store(args) => &args.storage,
            _ => return &[],
        };
        &storage.storage_options
    }
}

#[derive(Args, Debug)]
pub(crate) struct Encrypt {
    /// Output format [default: age if the output's name ends in .age, otherwise native]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write ASCII armor, text that can be pasted and mailed; implies --format age
    #[arg(short, long)]
    pub(crate) armor: bool,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) passphrase: Passphrase,
    #[command(flatten)]
    pub(crate) encryption: EncryptionArgs,
    #[command(flatten)]
    pub(crate) tree: Tree,
    /// Delete from the copy what is gone from the folder, if everything else succeeded. Keeps what
    /// filters exclude. Try it with --dry-run first
    #[arg(
        long,
        help_heading = "Folders",
        conflicts_with_all = ["remove_source", "gitignore", "archive"]
    )]
    pub(crate) delete: bool,
    #[command(flatten)]
    pub(crate) packing: Packing,
}

#[derive(Args, Debug)]
pub(crate) struct Decrypt {
    /// Write to standard output (same as -o -)
    #[arg(short = 'c', long, conflicts_with_all = ["output", "named_output", "output_dir"])]
    pub(crate) stdout: bool,
    /// Write what is intact of a damaged file, with zeros for the rest, and exit with 65; input and
    /// output must be files
    #[arg(
        long,
        conflicts_with_all = [
            "remove_source", "verify_output", "range", "output_dir", "dry_run", "newer"
        ]
    )]
    pub(crate) salvage: bool,
    /// Decrypt only this part of the content: START-END (from 0, END included), START+LENGTH,
    /// START- or -LAST, also with units such as 64KiB; writes to standard output unless OUTPUT is
    /// given
    #[arg(
        long,
        value_name = "RANGE",
        value_parser = range::parse,
        allow_hyphen_values = true,
        conflicts_with_all = ["remove_source", "verify_output", "output_dir", "dry_run", "newer"]
    )]
    pub(crate) range: Option<ByteRange>,
    #[command(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    pub(crate) decryption: DecryptionArgs,
    #[command(flatten)]
    pub(crate) tree: Tree,
    #[command(flatten)]
    pub(crate) unpacking: Unpacking,
}

/// What is read and where the result goes.
#[derive(Args, Debug, Default)]
pub(crate) struct Files {
    /// File or folder to read; - or nothing for standard input
    pub(crate) input: Option<PathBuf>,
    /// File or folder to write; - for standard output
    pub(crate) output: Option<PathBuf>,
    /// Output file or folder (same as OUTPUT)
    #[arg(
        short = 'o',
        long = "output",
        value_name = "OUTPUT",
        conflicts_with_all = ["output", "output_dir"]
    )]
    pub(crate) named_output: Option<PathBuf>,
    /// More files and folders to read, with --output-dir
    #[arg(value_name = "INPUT")]
    pub(crate) more: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) file_list: FileList,
    /// Replace an existing output
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Delete the input once the output is safely on disk, or in its store; implies --verify-output
    /// and --sync
    #[arg(long)]
    pub(crate) remove_source: bool,
    /// Read the output back and compare it with the input before renaming it into place
    #[arg(long)]
    pub(crate) verify_output: bool,
    /// Call fsync on the output before renaming it into place
    #[arg(long)]
    pub(crate) sync: bool,
    #[command(flatten)]
    pub(crate) workers: Workers,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

impl Files {
    /// Takes the output from where it was named.
    pub(crate) fn resolve_output(&mut self, to_stdout: bool) {
        self.output = self.output.take().or(self.named_output.take());
        if to_stdout {
            self.output = Some("-".into());
        }
    }

    /// All inputs and outputs that are named.
    pub(crate) fn names(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.input.iter_mut().chain(&mut self.output).chain(&mut self.more)
    }
}

#[derive(Args, Debug)]
pub(crate) struct Keygen {
    /// Write the identity to FILE, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Generate a post-quantum identity (ML-KEM-768 and X25519)
    #[arg(long, conflicts_with = "recipient_of")]
    pub(crate) pq: bool,
    /// Print the recipients of the identities in FILE
    #[arg(short = 'y', value_name = "FILE", conflicts_with = "output")]
    pub(crate) recipient_of: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
}
