//! Inputs that cannot be read, and outputs that cannot be written.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::failure::{Failure, code};
use super::system::{is_full, reason};
use super::text::quoted;
use crate::system;
use crate::verb::Verb;

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
    let message = format!("cannot be opened: {}", reason(error));
    let help = match error.kind() {
        std::io::ErrorKind::InvalidFilename => {
            "the system allows paths of up to 4,095 bytes: move the folder up, or leave it out \
             with --exclude"
        }
        _ => "check the name and the permissions",
    };
    Failure::new(code::NO_INPUT, "input", message, help).about(path).or_shortage(error)
}

/// An input that is a folder, where this command needs a file.
pub(super) fn is_folder(path: &Path, verb: Verb) -> Failure {
    let (message, help) = match verb {
        Verb::Verify | Verb::List | Verb::Inspect if path == Path::new("standard input") => {
            ("is a folder, not a file", "name the folder")
        }
        Verb::Verify | Verb::List | Verb::Inspect | Verb::Rekey => (
            "is a folder without a file named *.enc or *.age",
            "name encrypted files that have other names",
        ),
        Verb::Range => ("is a folder, and --range needs a file", "name one of its files"),
        Verb::Salvage => (
            "is a folder, and --salvage needs a file",
            "name one of its files; `cryptstream verify FOLDER` finds those that are damaged",
        ),
        Verb::Extract => (
            "is a folder, and --extract needs an archive",
            "name one archive; to decrypt all files of a folder, leave --extract out",
        ),
        Verb::Encrypt | Verb::Decrypt => {
            ("is a folder, not a file", "name the folder as INPUT, with its path")
        }
        Verb::Pack | Verb::Keygen | Verb::Benchmark | Verb::Man => {
            ("is a folder, not a file", "name a file")
        }
    };
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

/// An input that can only be a file, and is named like a folder that exists.
pub(crate) fn check_is_file(input: Option<&Path>, verb: Verb) -> Result<(), Failure> {
    match input.filter(|input| input.is_dir()) {
        Some(folder) => Err(is_folder(folder, verb)),
        None => Ok(()),
    }
}

pub(crate) fn no_default_name(input: &Path) -> Failure {
    let name = input.as_os_str().as_bytes();
    let message = match name.ends_with(b".enc") || name.ends_with(b".age") {
        true => "has no name before .enc or .age that the output could get",
        false => "does not end in .enc or .age, so there is no default name for the output",
    };
    let help = "name the OUTPUT, or `-` for standard output";
    Failure::new(code::USAGE, "usage", message, help).about(input)
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

/// What a command writes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Printed {
    /// What is encrypted or decrypted.
    Data,
    /// A new identity.
    Identity,
    /// A report, a list or a help text, which only standard output gets.
    Text,
}

/// Standard output could not be written. A reader that closes it early is no failure.
pub(crate) fn stdout_failed(source: &std::io::Error, what: Printed) -> Failure {
    if system::is_output_closed() {
        return closed_output(what);
    }
    if source.kind() == std::io::ErrorKind::BrokenPipe {
        return Failure::new(code::OK, "broken-pipe", "", "");
    }
    let help = match what {
        Printed::Data => "anything already written is only the beginning and must not be used",
        Printed::Identity => {
            "the identity is incomplete and must not be used: generate another, with -o FILE"
        }
        Printed::Text if is_full(source) => "make room, or redirect the output to another place",
        Printed::Text => "redirect the output to another place",
    };
    Failure::new(code::IO, "write", format!("write failed: {}", reason(source)), help)
        .full(is_full(source))
        .about(Path::new("standard output"))
        .or_shortage(source)
}

/// Standard output was closed when the program started.
pub(crate) fn closed_output(what: Printed) -> Failure {
    let help = match what {
        Printed::Data => {
            "name an OUTPUT, or redirect with `>`; to discard the output, use `> /dev/null`"
        }
        Printed::Identity => "write it to a file with -o FILE, or redirect with `>`",
        Printed::Text => "redirect it with `>`; to discard the output, use `> /dev/null`",
    };
    Failure::new(code::IO, "write", "is closed; the output would be lost", help)
        .about(Path::new("standard output"))
}

/// A native file gets the name of an age file.
pub(crate) fn native_named_as_age(output: &Path) -> String {
    format!(
        "{}: is written in the native format, which age cannot decrypt, although its name ends in \
         .age; without --format it would be an age file",
        quoted(output)
    )
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
