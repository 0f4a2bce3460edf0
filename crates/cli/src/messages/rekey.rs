//! What is said about exchanging keys.

use std::path::Path;
use std::time::Duration;

use cryptstream_engine::{Error, RekeyMethod};
use indicatif::HumanCount;

use super::{Context, Failure, code, engine, quoted, reason};

pub(crate) fn not_a_stream() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "a file is rekeyed where it stands, which standard input cannot be",
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

/// What the engine reports, where the input is the output.
pub(crate) fn failed(error: Error, has_passphrase: bool) -> Failure {
    let failure = match error {
        Error::NotRegular { path } => Failure::new(
            code::NO_INPUT,
            "input",
            "is no plain file, and only in a file can keys be exchanged",
            "name the file itself; what comes from a pipe: `decrypt - | encrypt - OUTPUT`",
        )
        .about(&path),
        Error::NotChangeable { path, source } => Failure::new(
            code::CANNOT_CREATE,
            "output",
            format!("cannot be changed: {}", reason(&source)),
            "check its permissions, and whether its file system can change files; else decrypt it and encrypt it anew",
        )
        .about(&path)
        .or_shortage(&source),
        Error::Busy { path } => Failure::new(
            code::TRY_AGAIN,
            "busy",
            "is locked by another program, such as another rekey",
            "try again when that is done",
        )
        .about(&path),
        Error::Armored { path } => Failure::new(
            code::USAGE,
            "armored",
            "is armored (age's text form), and only binary files can be rekeyed",
            "decrypt it, and encrypt it again for the new keys",
        )
        .about(&path),
        Error::JournalInTheWay { path } => Failure::new(
            code::CANNOT_CREATE,
            "journal",
            "stands where the journal must be, and is none of this file",
            "move it away, unless it belongs to a file that was renamed and does not open any more",
        )
        .about(&path),
        error => engine(error, Context { has_passphrase, ..Context::default() }),
    };
    let help = match (failure.kind, failure.code) {
        ("changed", _) => "nothing was done; try again when nothing else writes to it",
        ("damaged", _) => "nothing was done; fetch the file again or take another copy",
        ("read", _) => "nothing was done; check the disk or the connection",
        ("output", code::CANNOT_CREATE) if failure.message.starts_with("cannot be created") => {
            "its folder must be writable: a copy or a journal has to stand beside it for a moment"
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
        RekeyMethod::InPlace => "the header was exchanged in place",
        RekeyMethod::Shared => "a copy that shares its blocks has taken its place",
        RekeyMethod::Rewritten => "the file was written anew",
        RekeyMethod::Reencrypted => "the content was sealed anew",
    };
    format!("{}: {how}, {written} written in {:.2} s", quoted(file), took.as_secs_f64())
}

/// All files together.
pub(crate) fn done_many(done: u64, failed: u64, written: &str, took: Duration) -> String {
    let noun = if done == 1 { "file has" } else { "files have" };
    let failed = match failed {
        0 => String::new(),
        failed => format!(", {} failed", HumanCount(failed)),
    };
    let (done, seconds) = (HumanCount(done), took.as_secs_f64());
    format!("{done} {noun} new keys{failed}: {written} written in {seconds:.2} s")
}
