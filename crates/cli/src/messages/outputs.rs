//! Outputs that cannot be written.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;

use super::failure::{Failure, code};

pub(crate) fn output_planted(path: &Path, owner: u32) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "output",
        format!("belongs to another user (id {owner}) and is a link, a pipe or a device"),
        "name an output in a folder that only you may write to; to write there all the same, \
         use -o - and redirect standard output with the shell",
    )
    .about(path)
}

pub(crate) fn binary_to_terminal() -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        "the output is binary and standard output is a terminal",
        "name an OUTPUT, redirect with `>`, or force it with the output `-`",
    )
}

/// The output was text at first.
pub(crate) fn no_text_to_terminal(shown: u64) -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        format!("after {shown} bytes the content is not text any more, and was not shown"),
        "what was shown before is the content's beginning; name an OUTPUT, redirect with `>`, \
         or force it with the output `-`",
    )
}

/// The output would have a name that the file system does not take.
pub(crate) fn name_too_long(output: &Path) -> Failure {
    let len = output.file_name().map_or(0, std::ffi::OsStr::len);
    let message = format!("cannot be created: file name too long ({len} bytes)");
    let help = "name a shorter OUTPUT; in a folder, rename the file or use --archive";
    Failure::new(code::CANNOT_CREATE, "output", message, help).about(output)
}

/// What to do about a name that the file system does not take.
pub(super) const REFUSED_NAME: &str = "the file system there does not seem to take this name (FAT, exFAT and NTFS refuse \" * : < > \
     ? \\ | and bytes that are not UTF-8): rename it, leave it out with --exclude, or make an \
     archive (--archive)";

/// Whether a file or folder cannot be created because of its name. What file systems answer
/// then does not tell that for certain.
pub(super) fn is_refused_name(path: &Path, error: &io::Error) -> bool {
    let is_special = |byte: &u8| *byte < b' ' || b"\"*:<>?\\|".contains(byte);
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    match Errno::from_io_error(error) {
        Some(Errno::ILSEQ) => true,
        Some(Errno::INVAL | Errno::NOENT) => name.iter().any(is_special),
        _ => false,
    }
}

/// What is salvaged must be a file, and so must what it becomes.
pub(crate) fn salvage_needs_file(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is not a file: only from one file into another can be salvaged",
        "store it in a file first, and name a file as OUTPUT",
    )
    .about(path)
}
