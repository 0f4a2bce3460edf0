//! Messages about outputs that cannot be written.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cryptstream_engine::Error;
use rustix::io::Errno;

use super::failure::{Failure, code};

pub(crate) fn output_planted(path: &Path, owner: u32) -> Failure {
    let message = Error::OutputPlanted { path: path.to_owned(), owner }.message();
    let help = "name an output in a folder that only you may write to; to write there all the \
                same, use - as OUTPUT and redirect it";
    Failure::new(code::CANNOT_CREATE, "output", message, help).about(path)
}

pub(crate) fn binary_to_terminal() -> Failure {
    let message = Error::BinaryToTerminal { shown: 0 }.message();
    let help = "name an OUTPUT, redirect with `>`, or force it with the output `-`";
    Failure::new(code::USAGE, "terminal", message, help)
}

/// The output was text at first.
pub(crate) fn no_text_to_terminal(shown: u64) -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        format!("after {shown} bytes, the content is no longer text; the rest was not shown"),
        "what was shown is only the beginning; name an OUTPUT, redirect with `>`, or force it \
         with the output `-`",
    )
}

/// A name that only a folder can have, where a file is to be written.
pub(crate) fn output_no_folder(output: &Path) -> Failure {
    let message = "ends in a slash, and there is no such folder";
    let help = "leave out the slash to write this file; to write into a folder, create it first \
                and use --output-dir";
    Failure::new(code::CANNOT_CREATE, "output", message, help).about(output)
}

/// The output would have a name that is too long for the file system.
pub(crate) fn name_too_long(output: &Path) -> Failure {
    let len = output.file_name().map_or(0, std::ffi::OsStr::len);
    let message = format!("cannot be created: the file name is too long ({len} bytes)");
    let help = "name a shorter OUTPUT; in a folder, rename the file or use --archive";
    Failure::new(code::CANNOT_CREATE, "output", message, help).about(output)
}

/// What to do about a name that the file system does not accept.
pub(super) const REFUSED_NAME: &str = "the file system does not seem to accept this name (FAT, \
     exFAT and NTFS refuse \" * : < > ? \\ | and bytes that are not UTF-8): rename it, leave it \
     out with --exclude, or use --archive";

/// Whether the name is probably why a file or folder cannot be created. The answers of file systems
/// do not say for certain.
pub(super) fn is_refused_name(path: &Path, error: &io::Error) -> bool {
    let is_special = |byte: &u8| *byte < b' ' || b"\"*:<>?\\|".contains(byte);
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    match Errno::from_io_error(error) {
        Some(Errno::ILSEQ) => true,
        Some(Errno::INVAL | Errno::NOENT) => name.iter().any(is_special),
        _ => false,
    }
}

/// The input or output of --salvage is not a file.
pub(crate) fn salvage_needs_file(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is not a file, and --salvage needs files as input and output",
        "save it to a file first, and name a file as OUTPUT",
    )
    .about(path)
}
