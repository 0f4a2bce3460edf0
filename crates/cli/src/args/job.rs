//! The flags of `job`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use super::format::Format;
use super::keys::{DecryptionArgs, KeyPassphrase, RecipientArgs};
use super::tree::Tree;
use super::workers::Workers;
use super::{help, range};

#[derive(Args, Debug)]
pub(crate) struct Job {
    #[command(subcommand)]
    pub(crate) action: JobAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// List what is to be done, in shards of about the same size
    #[command(after_long_help = help::JOB_PLAN)]
    Plan(JobPlan),
    /// Process one shard; run again, it does what is left of it
    #[command(after_long_help = help::JOB_RUN)]
    Run(JobRun),
    /// Check that all is done, and complete folders and links
    #[command(after_long_help = help::JOB_FINISH)]
    Finish(JobFinish),
    /// Show how much is done
    Status(JobName),
    /// Give a job up: nothing more is done for it, and finished outputs stay
    Abort(JobName),
    /// Have an engine run all shards, and finish the job
    #[command(after_long_help = help::JOB_SUBMIT)]
    Submit(JobSubmit),
}

/// Which job.
#[derive(Args, Clone, Debug)]
pub(crate) struct JobName {
    /// The folder of the job, which all machines see under this name
    #[arg(long, value_name = "JOB")]
    pub(crate) job: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct JobPlan {
    /// Folder to read
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,
    /// Folder to write
    #[arg(value_name = "DST")]
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) name: JobName,
    /// Plan to decrypt; each machine gets the identity with `job run -i`
    #[arg(
        long,
        conflicts_with_all = ["recipient", "recipients_file", "identity", "format"]
    )]
    pub(crate) decrypt: bool,
    /// Divide the files into this many shards, 1 to 100000
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100_000),
        conflicts_with = "shard_size"
    )]
    pub(crate) shards: Option<u32>,
    /// Divide the files into shards of about this size [default: 64GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) shard_size: Option<u64>,
    /// Replace existing outputs
    #[arg(short, long, conflicts_with = "newer")]
    pub(crate) force: bool,
    /// Replace outputs that differ from their input in time or length
    #[arg(long)]
    pub(crate) newer: bool,
    /// Output format [default: native]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) recipients: RecipientArgs,
    #[command(flatten)]
    pub(crate) key_passphrase: KeyPassphrase,
    #[command(flatten)]
    pub(crate) filters: JobFilters,
}

/// Which files are part of the job.
#[derive(Args, Debug)]
#[command(next_help_heading = "Folders")]
pub(crate) struct JobFilters {
    /// Process only files that match GLOB, such as '*.jpg'; repeatable
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Skip what matches GLOB, such as 'cache/'; repeatable, and wins over --include
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Exclude patterns from FILE (.gitignore syntax); repeatable
    #[arg(long, visible_alias = "exclude-from", value_name = "FILE")]
    ignore_file: Vec<PathBuf>,
    /// Respect .gitignore files in the folders
    #[arg(long)]
    gitignore: bool,
}

impl JobFilters {
    /// The same as the flags of a run over folders.
    pub(crate) fn as_tree(&self) -> Tree {
        let Self { include, exclude, ignore_file, gitignore } = self;
        Tree {
            include: include.clone(),
            exclude: exclude.clone(),
            ignore_file: ignore_file.clone(),
            gitignore: *gitignore,
            ..Tree::default()
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct JobRun {
    #[command(flatten)]
    pub(crate) name: JobName,
    /// The shard: K/N is shard K of N, counted from 0; auto takes the number from the variables
    /// that Slurm, Kubernetes and other engines set
    #[arg(long, value_name = "K/N", default_value = "auto")]
    pub(crate) shard: String,
    #[command(flatten)]
    pub(crate) workers: Workers,
    #[command(flatten)]
    pub(crate) decryption: DecryptionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct JobFinish {
    #[command(flatten)]
    pub(crate) name: JobName,
}

#[derive(Args, Debug)]
pub(crate) struct JobSubmit {
    #[command(flatten)]
    pub(crate) name: JobName,
    /// Who runs the shards
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: JobEngine,
    /// With --engine local: shards to run at a time; one uses all cores, and more help where
    /// storage is slow
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) parallel: Option<u32>,
    /// Print what the engine would get, and submit nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Something that the engine is to do, which depends on it: with --engine slurm any option of
    /// sbatch, such as partition=long or cpus-per-task=8; repeatable
    #[arg(short, long = "option", value_name = "NAME[=VALUE]")]
    pub(crate) options: Vec<EngineOption>,
    /// The program on the machines [default: this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,
    /// Decrypt with the identities in FILE, which all machines see under this name; repeatable
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
}

/// Who runs the shards of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobEngine {
    /// Processes on this machine
    Local,
    /// Slurm, as an array and a task that finishes the job
    Slurm,
}

/// Something that an engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineOption {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl FromStr for EngineOption {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.starts_with('-') || name.is_empty() || !name.bytes().all(is_name) {
            return Err("write NAME=VALUE, with the name of the option without dashes before it");
        }
        if value.is_some_and(|value| value.chars().any(char::is_control)) {
            return Err("a control character");
        }
        Ok(Self { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

fn parse_size(text: &str) -> Result<u64, &'static str> {
    let size = range::size(text).filter(|size| *size > 0);
    size.ok_or("not a size: write a number of bytes, or with KiB, MiB, GiB or TiB, such as 64GiB")
}
