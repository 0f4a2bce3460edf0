//! What goes wrong with a benchmark.

use std::path::Path;

use indicatif::HumanBytes;

use super::{Failure, code, quoted};

/// An output is not what it must be. Never to be seen.
pub(crate) fn output_differs(path: &Path, offset: u64, how: &str) -> Failure {
    Failure::new(
        code::INTERNAL,
        "output-differs",
        format!("an output of {how} differs from its input at byte {offset}"),
        "this is a bug in cryptstream, or this machine makes mistakes; please report it with this line",
    )
    .about(path)
}

/// The file and its outputs do not fit beside each other.
pub(crate) fn no_room(folder: &Path, needed: u64, free: u64) -> Failure {
    Failure::new(
        code::IO,
        "no-room",
        format!("{} are needed and {} are free", HumanBytes(needed), HumanBytes(free)),
        "make room, or name another folder with --folder",
    )
    .about(folder)
}

/// `--max-size` is below the smallest size that is measured.
pub(crate) fn nothing_fits(smallest: u64) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        format!("--max-size: the smallest size is {}", HumanBytes(smallest)),
        "choose a larger one",
    )
}

/// The file is of a kind that says nothing about speed.
pub(crate) fn not_measurable(path: &Path, why: &str) -> Failure {
    Failure::new(code::NO_INPUT, "input", why, "name a plain file that is not empty").about(path)
}

pub(crate) fn report_written(path: &Path) -> String {
    format!("Report: {}", quoted(path))
}
