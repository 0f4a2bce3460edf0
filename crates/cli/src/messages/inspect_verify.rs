//! Messages of the commands that find damage: `inspect`, `verify`, and `decrypt --salvage`.

use std::path::Path;

use cryptstream_engine::{DamageReport, End};
use indicatif::{HumanBytes, HumanCount};

use super::{Failure, code, quoted};

/// A folder to decrypt contains nothing that could be decrypted.
pub(crate) fn nothing_encrypted(path: &Path) -> Failure {
    let message = "contains no file named *.enc or *.age";
    let help = "is it the right folder? name encrypted files that have other names";
    Failure::new(code::NO_INPUT, "input", message, help).about(path)
}

/// The list of inputs cannot be read.
pub(crate) fn list_unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("--files-from: cannot be read: {}", super::reason(error));
    let help = "name a file with one name per line, or - for standard input";
    Failure::new(code::NO_INPUT, "input", message, help).about(path).or_shortage(error)
}

pub(crate) fn list_without_output_dir() -> Failure {
    let message = "--files-from needs --output-dir, the folder for the outputs";
    let help = "to make a single file: `tar -c -T LIST | cryptstream encrypt - OUTPUT`";
    Failure::new(code::USAGE, "usage", message, help)
}

/// The list has NUL bytes, where lines were expected.
pub(crate) fn list_has_nul(path: &Path) -> Failure {
    let message = "--files-from: contains NUL bytes, so it is not one name per line";
    let help = "use -0 for names from `find -print0`";
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

/// A name in the list is longer than any path.
pub(crate) fn list_has_long_name(path: &Path, most: u64, is_null: bool) -> Failure {
    let most = HumanCount(most);
    let message = format!("--files-from: contains a name of more than {most} bytes");
    let help = match is_null {
        true => "is it the right file? without -0, a name ends at the end of its line",
        false => "is it the right file? name one with one name per line",
    };
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

pub(crate) fn list_too_long(path: &Path, most: u64) -> Failure {
    let message = format!("--files-from: is longer than {}", HumanBytes(most));
    let help = "divide the list, or name a folder and choose files with --include";
    Failure::new(code::USAGE, "usage", message, help).about(path)
}

/// `-` was given more than once.
pub(crate) fn one_stdin() -> Failure {
    Failure::new(code::USAGE, "usage", "standard input can be read only once", "name `-` only once")
}

/// A damaged file whose other parts may be intact.
pub(crate) fn partly_damaged(failure: Failure) -> Failure {
    let help = "fetch the file again or use another copy; `cryptstream decrypt --salvage` recovers \
                what is intact in this one";
    Failure { help: help.into(), ..failure }
}

/// A file that was damaged when first read was intact the second time.
pub(crate) fn unsteady(path: &Path) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        "was damaged when it was first read, and intact when it was read again",
        "check the disk, the connection and the memory of this machine",
    )
    .about(path)
}

/// What is damaged; the rest is in the output.
pub(crate) fn salvaged(input: &Path, output: &Path, what: &str, scan: &DamageReport) -> Failure {
    let contains = match (scan.damage.count, scan.end) {
        (0, End::Followed(_)) => "contains all of it, without what was added after its end",
        (0, _) => "contains what is intact, up to where the input was cut off",
        (_, End::Missing) => {
            "contains what is intact up to where the input was cut off, with zeros for the rest"
        }
        (_, _) => "contains what is intact, with zeros for the rest",
    };
    Failure::new(
        code::DATA,
        "damaged",
        format!("is damaged: {what}"),
        format!("{} {contains}", quoted(output)),
    )
    .about(input)
}

/// Only the header is damaged; the whole content is in the output.
pub(crate) fn salvaged_all(input: &Path, output: &Path) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        "the header was altered, but all of the content is intact",
        format!(
            "{} is complete; encrypt it again, since other commands refuse this file",
            quoted(output)
        ),
    )
    .about(input)
}

/// Not a single chunk is intact.
pub(crate) fn nothing_to_salvage(input: &Path) -> Failure {
    Failure::new(
        code::DATA,
        "damaged",
        "is damaged from end to end: not one chunk is intact",
        "the output was not written; fetch the file again or use another copy",
    )
    .about(input)
}

impl Failure {
    /// What happened, without the file name.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether the data is no longer what was once written.
    pub(crate) fn is_damage(&self) -> bool {
        self.kind == "damaged"
    }
}

/// Printed if there was nothing to salvage.
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
