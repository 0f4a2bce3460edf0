//! What is said by the commands that look at damage: `inspect`, `verify`, and
//! `decrypt --salvage`.

use std::path::Path;

use cryptstream_engine::Error;

use indicatif::{HumanBytes, HumanCount};

use super::{Context, Failure, code, quoted};

/// What the engine reports to a command that writes nothing.
pub(crate) fn engine(error: Error, context: Context) -> Failure {
    if let Error::InputIsDirectory { path } = error {
        return folder(&path);
    }
    let failure = super::engine(error, context);
    let help = match failure.kind {
        "damaged" => "fetch the file again or take another copy",
        "read" => "check the disk or the connection",
        "changed" => "try again when nothing writes to it",
        _ => return failure,
    };
    Failure { help: help.into(), ..failure }
}

fn folder(path: &Path) -> Failure {
    let message = "is a folder, and no name in it ends in .enc or .age";
    let help = "sealed files with other names must be named";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

/// A folder that was to be opened has nothing that could be.
pub(crate) fn nothing_sealed(path: &Path) -> Failure {
    let message = "has no file whose name ends in .enc or .age";
    let help = "is it the right folder? sealed files with other names must be named";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

/// The file that names inputs cannot be read.
pub(crate) fn list_unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("--files-from: cannot be read: {}", super::reason(error));
    let help = "name a file with one name a line, or - for standard input";
    Failure::new(code::NO_INPUT, "input", message, help).about(path).or_shortage(error)
}

pub(crate) fn list_without_output_dir() -> Failure {
    let message = "--files-from needs --output-dir, the folder for the outputs";
    let help = "for one file of all: `tar -c -T LIST | cryptstream encrypt - OUTPUT`";
    Failure::new(code::USAGE, "usage", message, help)
}

/// Names that end with NUL bytes, where lines are wanted.
pub(crate) fn list_has_nul(path: &Path) -> Failure {
    let message = "--files-from: has NUL bytes, so it is not one name a line";
    let help = "use -0 for names as `find -print0` writes them";
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

/// `-` was given more than once.
pub(crate) fn one_stdin() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "standard input can be read only once",
        "write `-` once among the files",
    )
}

/// A damaged file of which other parts may be intact.
pub(crate) fn partly_damaged(failure: Failure) -> Failure {
    let help = "fetch the file again or take another copy; `cryptstream decrypt --salvage` writes \
                what is intact of this one";
    Failure { help: help.into(), ..failure }
}

/// What was damaged at the first reading was not at the second.
pub(crate) fn unsteady(path: &Path) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        "was damaged when it was read first, and intact when it was read again",
        "check the disk, the connection and the memory of this machine",
    )
    .about(path)
}

/// What was damaged; the rest is in the output.
pub(crate) fn salvaged(input: &Path, output: &Path, what: &str) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        format!("is damaged: {what}"),
        format!("{} has what is intact, and zeros where it is not", quoted(output)),
    )
    .about(input)
}

/// Not a single chunk opens.
pub(crate) fn nothing_to_salvage(input: &Path) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        "is damaged from end to end: not one of its chunks opens",
        "nothing was written under the output's name; fetch the file again or take another copy",
    )
    .about(input)
}

impl Failure {
    /// What happened, without the file.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the data is not, or not any more, what was once written.
    pub(crate) fn is_damage(&self) -> bool {
        self.kind == "damaged"
    }
}

/// Said when there was nothing to salvage.
pub(crate) fn nothing_damaged(input: &Path, output: &Path) -> String {
    format!("{} -> {}: nothing is damaged", quoted(input), quoted(output))
}

/// The total of the files in folders that were verified.
pub(crate) fn verified(intact: u64, damaged: u64, failed: u64, bytes: u64) -> String {
    let noun = if intact == 1 { "file" } else { "files" };
    let mut text = format!("{} {noun} intact, {}", HumanCount(intact), HumanBytes(bytes));
    for (count, what) in [(damaged, "damaged"), (failed, "not verified")] {
        if count > 0 {
            text += &format!("; {} {what}", HumanCount(count));
        }
    }
    text + "\n"
}
