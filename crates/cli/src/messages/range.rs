//! Messages about ranges.

use cryptstream_engine::RangeSummary;

use super::{Failure, code};
use crate::verb::Verb;

pub(crate) fn range_of_stdin() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--range needs a file by its name, and standard input is read from its beginning to its \
         end",
        "name the file as INPUT, or decrypt everything and cut, counting from 1: \
         | tail -c +START | head -c LENGTH",
    )
}

pub(super) fn not_seekable(is_armored: bool, verb: Verb) -> Failure {
    let (message, help) = match (is_armored, verb) {
        // Each damaged character becomes another one, so that what follows keeps its place.
        (true, Verb::Salvage) => (
            "is armored, and --salvage needs a binary file",
            "remove the armor, and salvage the result: tr -d '\\r' < FILE | grep -av -e ----- | \
             tr -c 'A-Za-z0-9+/=\\n' A | base64 -d > BINARY.enc",
        ),
        (true, _) => (
            "is armored, so nothing in it is at a known offset",
            "decrypt everything, or remove the armor first: tr -d '\\r' < FILE | \
             grep -v -e ----- | base64 -d > BINARY.enc",
        ),
        (false, _) => (
            "--range needs a file it can seek in, which this is not",
            "copy it to a file on a disk, or decrypt everything",
        ),
    };
    Failure::new(code::USAGE, "usage", message, help)
}

/// Added to the line that says what was done.
pub(crate) fn range_note(part: &RangeSummary) -> String {
    let RangeSummary { range, plaintext_len, .. } = part;
    let of = plaintext_len.map_or(String::new(), |len| format!(" of {len}"));
    match range.end.checked_sub(1) {
        Some(last) if range.start <= last => format!("; bytes {}-{last}{of}", range.start),
        _ => format!("; no bytes{of}"),
    }
}
