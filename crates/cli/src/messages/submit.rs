//! Messages about jobs that engines run.

use std::path::Path;

use cryptstream_job::Job;
use indicatif::HumanCount;

use super::failure::{Failure, code};
use super::system::reason;

pub(crate) fn nothing_to_print() -> Failure {
    let message = "--print, --option and --program are for engines that get scripts";
    let help = "leave them out with --engine local, or name another engine";
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn parallel_is_local() -> Failure {
    let message = "--parallel is for --engine local";
    let help = "other engines decide themselves how many shards run at a time";
    Failure::new(code::USAGE, "usage", message, help)
}

/// An option that the job sets itself.
pub(crate) fn own_option(name: &str) -> Failure {
    let message = format!("--option {name} is set by the job itself");
    Failure::new(code::USAGE, "usage", message, "leave it out, or print the script and change it")
}

/// A name that cannot stand in a script.
pub(crate) fn unprintable(path: &Path) -> Failure {
    let message = "has bytes in its name that cannot stand in a script";
    let help = "name it in UTF-8 and without control characters, for example through a link";
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

pub(crate) fn no_program(error: &std::io::Error) -> Failure {
    let message = format!("the path of this program is not known: {}", reason(error));
    Failure::new(code::CONFIG, "program", message, "name it with --program")
}

pub(crate) fn no_sbatch(error: &std::io::Error) -> Failure {
    let message = format!("sbatch cannot be started: {}", reason(error));
    let help = "run this where jobs are submitted to Slurm; or print the script with --print, and \
                run that there";
    Failure::new(code::CONFIG, "engine", message, help).or_shortage(error)
}

pub(crate) fn sbatch_failed() -> Failure {
    let message = "sbatch has refused the job";
    let help = "its message is above; nothing runs. Give it what it needs with --option, such as \
                --option partition=NAME";
    Failure::new(code::CONFIG, "engine", message, help)
}

/// What was submitted, as text for people.
pub(crate) fn submitted(job: &Job, ids: &[String]) -> String {
    let (shards, finish) = match ids.split_last() {
        Some((finish, shards)) => (shards.join(", "), finish.as_str()),
        None => (String::new(), ""),
    };
    let count = HumanCount(job.shards.len() as u64);
    format!("submitted {count} shards as {shards}, and the end of the job as {finish}")
}
