//! Inputs that cannot be read, and outputs that cannot be written.

use std::path::{Path, PathBuf};

use cryptstream_engine::Error;

use super::engine::{Context, engine};
use super::failure::{Failure, code};
use super::system::reason;
use super::text::quoted;
use crate::system;

/// There is no such input. A similar name that exists is suggested.
pub(crate) fn missing(input: &Path) -> Failure {
    let near = near_names(input).into_iter().find(|name| name.exists());
    let help = match near {
        Some(name) => format!("there is {}", quoted(&name)),
        None => "check the name".to_owned(),
    };
    Failure::new(code::NO_INPUT, "input", "no such file or folder", help).about(input)
}

/// Names that may have been meant: this one with .enc or .age completed, added or removed.
fn near_names(input: &Path) -> Vec<PathBuf> {
    let Some(name) = input.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let suffixes = ["enc", "age"];
    let begun = suffixes.iter().filter(|suffix| suffix.starts_with(end));
    let completed = begun.map(|suffix| format!("{stem}.{suffix}"));
    let appended = suffixes.iter().map(|suffix| format!("{name}.{suffix}"));
    let without = suffixes.contains(&end).then(|| stem.to_owned());
    completed.chain(appended).chain(without).map(|name| input.with_file_name(name)).collect()
}

/// An input that the system does not let this user look at.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let source = match error.raw_os_error() {
        Some(number) => std::io::Error::from_raw_os_error(number),
        None => std::io::Error::new(error.kind(), reason(error)),
    };
    let is_too_long = source.kind() == std::io::ErrorKind::InvalidFilename;
    let failure = engine(Error::Open { path: path.to_owned(), source }, Context::default());
    match is_too_long {
        true => {
            let help = "the system allows paths of up to 4,095 bytes: move the folder up, or leave it \
                        out with --exclude";
            Failure { help: help.to_owned(), ..failure }
        }
        false => failure,
    }
}

pub(crate) fn no_default_name(input: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "does not end in .enc or .age, so there is no default name for the output",
        "name the OUTPUT, or `-` for standard output",
    )
    .about(input)
}

/// An input that is a descriptor, without a name for its output.
pub(crate) fn nameless(input: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is a pipe or an open file without a name, so there is no default name for the output",
        "use it alone and name the OUTPUT, or `-` for standard output",
    )
    .about(input)
}

/// Why a pipe or a device with the name of an encrypted file is not read.
pub(crate) const SPECIAL_IN_FOLDER: &str =
    "it is a pipe or a device, and only files are read in folders; name it to read it";

/// Standard output could not be written. If it carries data, a reader that closes it early is no
/// failure.
pub(crate) fn stdout_failed(source: std::io::Error, is_data: bool) -> Failure {
    if system::is_output_closed() {
        return closed_output();
    }
    let path = PathBuf::from("standard output");
    let error = match source.kind() {
        std::io::ErrorKind::BrokenPipe => Error::BrokenPipe { path },
        _ => Error::Write { path, offset: 0, source },
    };
    engine(error, Context { is_stream: is_data, ..Context::default() })
}

/// Standard output was closed when the program started.
pub(crate) fn closed_output() -> Failure {
    Failure::new(
        code::IO,
        "write",
        "is closed; the output would be lost",
        "name an OUTPUT, or redirect with `>`; to discard the output, use `> /dev/null`",
    )
    .about(Path::new("standard output"))
}

/// A report for programs could not be written.
pub(crate) fn report_lost(error: &std::io::Error) -> Failure {
    let message = match system::is_output_closed() {
        true => "is closed; the report is lost".to_owned(),
        false => format!("the report cannot be written: {}", reason(error)),
    };
    let help = "only the report is lost; the work itself was done, unless an error says otherwise";
    Failure::new(code::IO, "write", message, help).about(Path::new("standard output"))
}
