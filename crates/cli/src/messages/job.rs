//! Messages about jobs.

use std::path::Path;

use cryptstream_job::{Error, Job, State};
use indicatif::{HumanBytes, HumanCount};

use super::failure::{Failure, code};
use super::system::{is_full, reason};
use super::text::quoted;

/// An error in the folder of a job.
pub(crate) fn folder(error: Error) -> Failure {
    match error {
        Error::NoJob { path } => {
            let help = "name the folder that `cryptstream job plan --job` has created";
            Failure::new(code::NO_INPUT, "job", "there is no job in this folder", help).about(&path)
        }
        Error::Exists { path } => {
            let help = "nothing was planned; name another folder, or remove this one";
            Failure::new(code::CANNOT_CREATE, "exists", "has a job already", help).about(&path)
        }
        Error::NotPrivate { path } => {
            let message = "other users can read or change it, or it belongs to somebody else";
            let help = "a job decides whom files are encrypted to: make the folder yours alone \
                        (chmod 700)";
            Failure::new(code::NO_KEY, "permissions", message, help).about(&path)
        }
        Error::Version { path, found } => {
            let message = format!("was written for version {found} of the manifest, not 1");
            let help = "finish the job with the version of cryptstream that has planned it, or \
                        plan it again";
            Failure::new(code::CONFIG, "version", message, help).about(&path)
        }
        Error::Foreign { path } => {
            let help = "it was not used; move it away, and run this again";
            Failure::new(code::DATA, "foreign", "belongs to another job", help).about(&path)
        }
        Error::Damaged { path, line, reason } => {
            let message = format!("line {line} is not as cryptstream has written it: {reason}");
            let help = "plan the job again; outputs that are up to date are kept";
            Failure::new(code::DATA, "damaged", message, help).about(&path)
        }
        Error::Read { path, source } => {
            let message = format!("cannot be read: {}", reason(&source));
            let help = "check the name and the permissions, and whether it is mounted here";
            Failure::new(code::NO_INPUT, "job", message, help).about(&path).or_shortage(&source)
        }
        Error::Write { path, source } => {
            let message = format!("cannot be written: {}", reason(&source));
            let help = "check the permissions and the free space, and run this again; finished \
                        files are kept";
            let code = if is_full(&source) { code::IO } else { code::CANNOT_CREATE };
            Failure::new(code, "job", message, help).about(&path).or_shortage(&source)
        }
    }
}

/// Outputs that cannot be made durable.
pub(crate) fn not_durable(target: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the outputs cannot be written to disk: {}", reason(error));
    let help = "check the disk and the free space, and run the shard again";
    let code = if is_full(error) { code::IO } else { code::TRY_AGAIN };
    Failure::new(code, "write", message, help).about(target)
}

pub(crate) fn not_a_folder(path: &Path) -> Failure {
    let help = "name a folder; a single file needs no job: use `cryptstream encrypt`";
    Failure::new(code::USAGE, "usage", "is not a folder", help).about(path)
}

pub(crate) fn no_urls(path: &Path) -> Failure {
    let help = "jobs work on folders that all machines see; for objects, use `cryptstream encrypt`";
    Failure::new(code::USAGE, "usage", "is a URL", help).about(path)
}

/// A name that cannot be made absolute.
pub(crate) fn no_absolute(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("has no absolute path: {}", reason(error));
    Failure::new(code::NO_INPUT, "input", message, "name it by its whole path").about(path)
}

pub(crate) fn needs_recipients() -> Failure {
    let message = "a job encrypts to recipients, and not with a passphrase";
    let help = "so no machine needs a secret; name a recipient with -r or -R, or with -i the \
                identity that it belongs to";
    Failure::new(code::USAGE, "usage", message, help)
}

/// A recipient that only the owner's plugin knows.
pub(crate) fn nameless_recipient() -> Failure {
    let message = "the recipient of a plugin's identity has no text form that the manifest could \
                   hold";
    Failure::new(code::USAGE, "usage", message, "name the recipient itself with -r")
}

pub(crate) fn needs_no_key() -> Failure {
    let help = "leave the key out: the recipients are in the manifest";
    Failure::new(code::USAGE, "usage", "this job encrypts, which needs no secret", help)
}

/// A source that is not as the plan has seen it.
pub(crate) fn source_changed(path: &Path) -> Failure {
    let message = "is not the file that was planned, or has changed since";
    let help = "the other files are not affected; plan another job for what has changed (--newer)";
    Failure::new(code::DATA, "changed", message, help).about(path)
}

pub(crate) fn source_gone(path: &Path) -> Failure {
    let message = "does not exist any more";
    let help = "the other files are not affected; check that the source is mounted here";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

pub(crate) fn not_open(job: &Path, state: State) -> Failure {
    let (message, help) = match state {
        State::Aborted => ("was aborted", "plan it again; outputs that are up to date are kept"),
        State::Finished => ("is finished", "remove the folder of the job if it is not needed"),
        State::Open => ("is under way", "finish or abort it"),
    };
    Failure::new(code::CONFIG, "state", message, help).about(job)
}

pub(crate) fn bad_shard(text: &str, shards: usize) -> Failure {
    let message = format!("--shard {text} is not a shard of this job, which has {shards}");
    let help = format!("write K/{shards} with K from 0 to {}", shards.saturating_sub(1));
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_shard_variable() -> Failure {
    let message = "no engine has set the number of the shard";
    let help = "name the shard: --shard K/N, counted from 0";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn bad_shard_variable(variable: &str, value: &str, shards: usize) -> Failure {
    let message = format!("{variable}={value:?} is not a shard of this job, which has {shards}");
    let help = "give the array as many tasks as the job has shards, or name the shard: --shard K/N";
    Failure::new(code::USAGE, "usage", message, help)
}

/// An object that is not done. `tried` is the exit status of the last attempt.
pub(crate) fn missing(path: &Path, job: &Job, shard: u32, tried: Option<u8>) -> Failure {
    let message = match tried {
        Some(code) => format!("is not done: shard {shard} failed here, with status {code}"),
        None => format!("is not done: shard {shard} was not run to its end"),
    };
    let help = format!("run it again: {}", run_again(job, shard));
    Failure::new(tried.unwrap_or(code::TRY_AGAIN), "missing", message, help).about(path)
}

fn run_again(job: &Job, shard: u32) -> String {
    format!("cryptstream job run --shard {shard}/{}", job.shards.len())
}

/// An output that is not as its receipt says.
pub(crate) fn output_differs(path: &Path, job: &Job, shard: u32) -> Failure {
    let message = "is missing, or not as this job has written it";
    let help = format!("run its shard again: {}", run_again(job, shard));
    Failure::new(code::TRY_AGAIN, "missing", message, help).about(path)
}

/// A plan that was not written, since something cannot be read.
pub(crate) const NOT_PLANNED: &str =
    "nothing was planned; make everything readable, or leave it out with --exclude";

/// The totals of a plan.
pub(crate) fn planned(job: &Job, path: &Path) -> String {
    let totals = job.totals();
    format!(
        "{} files ({}) in {} shards, planned in {}",
        HumanCount(totals.objects),
        HumanBytes(totals.bytes),
        HumanCount(job.shards.len() as u64),
        quoted(path)
    )
}

/// How far a job is, as text for people.
pub(crate) fn status(job: &Job, counts: &Progress) -> String {
    let totals = job.totals();
    let state = match counts.state {
        State::Finished => "finished",
        State::Aborted => "aborted",
        State::Open if counts.done == totals.objects => "all files are done; finish it",
        State::Open => "open",
    };
    let mut text = format!(
        "{state}: {} of {} files, {} of {} shards",
        HumanCount(counts.done),
        HumanCount(totals.objects),
        HumanCount(counts.shards_done),
        HumanCount(job.shards.len() as u64)
    );
    if counts.failed > 0 {
        text += &format!(", {} files failed", HumanCount(counts.failed));
    }
    text
}

/// How far a job is.
pub(crate) struct Progress {
    pub(crate) state: State,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) shards_done: u64,
    pub(crate) attempts: u64,
}

pub(crate) fn finished(job: &Job, is_first: bool) -> String {
    let totals = job.totals();
    let when = if is_first { "finished" } else { "was finished before" };
    format!("{when}: {} files ({})", HumanCount(totals.objects), HumanBytes(totals.bytes))
}

pub(crate) fn aborted(is_first: bool) -> &'static str {
    if is_first { "aborted; finished outputs stay where they are" } else { "was aborted before" }
}

/// A shard of a finished job.
pub(crate) const NOTHING_TO_RUN: &str = "the job is finished; there is nothing to run";

/// A shard that is run again by this machine.
pub(crate) fn again(shard: u32, status: Option<i32>) -> String {
    match status {
        Some(status) => format!("shard {shard} ended with status {status}, and is run again"),
        None => format!("shard {shard} was killed, and is run again"),
    }
}

pub(crate) fn shard_failed(shard: u32, status: Option<i32>) -> Failure {
    let message = match status {
        Some(status) => format!("shard {shard} failed with status {status}"),
        None => format!("shard {shard} was killed several times"),
    };
    let code = status.and_then(|status| u8::try_from(status).ok()).unwrap_or(code::TRY_AGAIN);
    let help = "see the messages above; `cryptstream job status` shows what is done";
    Failure::new(code, "shard", message, help)
}
