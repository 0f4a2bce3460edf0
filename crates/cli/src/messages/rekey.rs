//! Messages about rekeying.

use std::path::Path;
use std::time::Duration;

use cryptstream_engine::{Error, RekeyMethod};
use indicatif::HumanCount;

use super::engine::error_text;
use super::{Context, Failure, code, engine, quoted};

pub(crate) fn not_a_stream() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "rekeying changes a file in place, which is impossible for standard input",
        "name a file",
    )
}

pub(crate) fn no_new_key() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "no new key was given",
        "use --new-recipient RECIPIENT, --new-recipients-file FILE, --new-identity FILE, \
         --new-passphrase or --new-passphrase-file FILE",
    )
}

/// Errors of the engine, where the input is also the output.
pub(crate) fn failed(error: Error, has_passphrase: bool) -> Failure {
    let (code, kind, help) = match &error {
        Error::NotRegular { .. } => (
            code::NO_INPUT,
            "input",
            "name the file itself; for a pipe, use `decrypt - | encrypt - OUTPUT`",
        ),
        Error::NotChangeable { .. } => (
            code::CANNOT_CREATE,
            "output",
            "check its permissions, and whether its file system can change files; else decrypt it \
             and encrypt it again",
        ),
        Error::Busy { .. } => {
            (code::TRY_AGAIN, "busy", "it may be another rekey: try again when that is done")
        }
        Error::Armored { .. } => (
            code::USAGE,
            "armored",
            "only binary files can be rekeyed: decrypt it, and encrypt it again to the new keys",
        ),
        Error::JournalInTheWay { .. } => (
            code::CANNOT_CREATE,
            "journal",
            "move it away, unless it belongs to a file that was renamed and no longer decrypts",
        ),
        _ => {
            let is_in_folder = matches!(error, Error::Create { .. });
            let context = Context { has_passphrase, ..Context::default() };
            return with_help_for_rekey(engine(error, context), is_in_folder);
        }
    };
    let failure = Failure::new(code, kind, error_text(&error), help);
    let failure = match &error {
        Error::NotChangeable { source, .. } => failure.or_shortage(source),
        _ => failure,
    };
    Failure { file: error.path().map(Path::to_owned), ..failure }
}

/// Replaces help that assumes an output beside the input. `is_in_folder` tells whether a file
/// could not be created beside it.
fn with_help_for_rekey(failure: Failure, is_in_folder: bool) -> Failure {
    let help = match (failure.kind, failure.code) {
        ("changed", _) => "nothing was done; try again when nothing else writes to it",
        ("damaged", _) => "nothing was done; fetch the file again or use another copy",
        ("read", _) => "nothing was done; check the disk or the connection",
        ("output", code::CANNOT_CREATE) if is_in_folder => {
            "its folder must be writable, since a copy or a journal is kept beside it for a moment"
        }
        ("write", _) => "the old file is still there; make room, or check the disk",
        ("durable", _) => "check the disk; the file has its new keys",
        _ => return failure,
    };
    Failure { help: help.into(), ..failure }
}

pub(crate) fn names_left(file: &Path, names: u64) -> String {
    let (names, verb) = match names {
        1 => ("one other name (hard link)".to_owned(), "keeps"),
        _ => (format!("{names} other names (hard links)"), "keep"),
    };
    format!("{}: {names} {verb} the old file with the old keys", quoted(file))
}

pub(crate) fn done(file: &Path, method: RekeyMethod, written: &str, took: Duration) -> String {
    let how = match method {
        RekeyMethod::InPlace => "replaced the header in place",
        RekeyMethod::Shared => "replaced the file by a copy that shares its blocks",
        RekeyMethod::Rewritten => "rewrote the file",
        RekeyMethod::Reencrypted => "re-encrypted the content",
    };
    format!("{}: {how}, {written} written in {:.2} s", quoted(file), took.as_secs_f64())
}

/// The total of all files.
pub(crate) fn done_many(done: u64, failed: u64, written: &str, took: Duration) -> String {
    let noun = if done == 1 { "file has" } else { "files have" };
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {} failed", HumanCount(failed)),
    };
    let (done, seconds) = (HumanCount(done), took.as_secs_f64());
    format!("{done} {noun} new keys{failed}: {written} written in {seconds:.2} s")
}
