//! Messages about ranges.

use cryptstream_engine::RangeSummary;

use super::{Failure, code};

pub(crate) fn range_of_stdin() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--range needs a file it can seek in, and standard input is a stream",
        "name the file as INPUT, or decrypt everything and cut: | tail -c +START | head -c LENGTH",
    )
}

pub(super) fn not_seekable(is_armored: bool) -> Failure {
    let (message, help) = if is_armored {
        (
            "is armored, so nothing in it is at a known offset",
            "decrypt everything, or remove the armor first: grep -v -e ----- FILE | base64 -d > BINARY",
        )
    } else {
        (
            "--range needs a file it can seek in, which this is not",
            "copy it to a file on a disk, or decrypt everything",
        )
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
