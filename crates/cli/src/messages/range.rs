//! What is said about parts of files.

use cryptstream_engine::RangeSummary;

use super::{Failure, code};

pub(crate) fn range_of_stdin() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--range needs a file that can be read at any place, which standard input is not",
        "name the file as INPUT, or open all of it and cut: | tail -c +START | head -c LENGTH",
    )
}

pub(super) fn not_seekable(is_armored: bool) -> Failure {
    let (message, help) = if is_armored {
        (
            "is armored, so nothing in it stands at a place that is known",
            "open all of it, or take the armor off first: grep -v -e ----- FILE | base64 -d > BINARY",
        )
    } else {
        (
            "--range needs a file that can be read at any place, which this is not",
            "copy it to a file on a disk, or open all of it",
        )
    };
    Failure::new(code::USAGE, "usage", message, help)
}

pub(super) fn after_end(start: u64, len: u64) -> Failure {
    Failure::new(
        code::USAGE,
        "range",
        format!("the range begins at byte {start}, and the content has only {len} bytes"),
        "bytes are counted from 0; -LAST counts from the end",
    )
}

/// A supplement to the line that says what was done.
pub(crate) fn range_opened(opened: &RangeSummary) -> String {
    let RangeSummary { range, plaintext_len, .. } = opened;
    let of = plaintext_len.map_or(String::new(), |len| format!(" of {len}"));
    match range.end.checked_sub(1) {
        Some(last) if range.start <= last => format!("; bytes {}-{last}{of}", range.start),
        _ => format!("; no bytes{of}"),
    }
}
