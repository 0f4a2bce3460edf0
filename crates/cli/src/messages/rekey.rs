//! Messages about rekeying.

use std::path::Path;
use std::time::Duration;

use cryptstream_engine::RekeyMethod;
use indicatif::HumanCount;

use super::{Failure, code, quoted};

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

pub(crate) fn names_left(file: &Path, names: u64) -> String {
    let (names, verb) = match names {
        1 => ("one other name (hard link)".to_owned(), "keeps"),
        _ => (format!("{names} other names (hard links)"), "keep"),
    };
    format!("{}: {names} {verb} the old file with the old keys", quoted(file))
}

/// `file` is the only one of the run, if there is only one.
pub(crate) fn lost_access(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("{}: none of the keys given can decrypt it any more", quoted(file)),
        None => "none of the keys given can decrypt the rekeyed files any more".to_owned(),
    }
}

pub(crate) fn done(file: &Path, method: RekeyMethod, written: &str, took: Duration) -> String {
    let how = match method {
        RekeyMethod::InPlace => "replaced the header in place",
        RekeyMethod::Shared => "replaced the file by a copy that shares its blocks",
        RekeyMethod::Copied => "replaced the object, whose content the store has copied",
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
