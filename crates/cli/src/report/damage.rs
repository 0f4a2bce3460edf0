//! Reports about a damaged file.

use std::ops::Range;

use cryptstream_engine::{DamageReport, End};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

/// The maximum number of ranges that are shown to people.
const MAX_SHOWN: usize = 20;

/// How much of a file is intact, and what is damaged, in one line.
pub(crate) fn text(scan: &DamageReport) -> String {
    let mut parts = vec![share(scan)];
    if scan.damage.count > 0 {
        parts.push(format!("bad bytes of the content: {}", ranges(scan).join(", ")));
    }
    parts.extend(end(scan));
    parts.join("; ")
}

/// How much is intact.
pub(crate) fn share(scan: &DamageReport) -> String {
    let header = if scan.is_header_altered { "the header was altered; " } else { "" };
    format!("{header}{} of {} intact", HumanBytes(scan.bytes_intact), HumanBytes(scan.bytes_out))
}

/// The first damaged ranges, and the number of others.
fn ranges(scan: &DamageReport) -> Vec<String> {
    let shown = scan.damage.ranges.iter().take(MAX_SHOWN);
    let mut ranges: Vec<_> = shown.map(range).collect();
    let more = scan.damage.count - ranges.len() as u64;
    if more > 0 {
        ranges.push(format!("and {} more ranges", HumanCount(more)));
    }
    ranges
}

/// First and last byte, as other programs count them.
fn range(range: &Range<u64>) -> String {
    format!("{}-{}", range.start, range.end - 1)
}

fn end(scan: &DamageReport) -> Option<String> {
    match scan.end {
        End::Whole => None,
        End::Followed(1) => Some("1 byte was added after the end".to_owned()),
        End::Followed(len) => Some(format!("{} bytes were added after the end", HumanCount(len))),
        End::Damaged => {
            Some("the last chunk fails authentication, so the end is uncertain".to_owned())
        }
        End::Missing => {
            Some(format!("the end of the content is missing, from byte {} on", scan.bytes_out))
        }
    }
}

/// The holes in a salvaged file, one per line.
pub(crate) fn holes(scan: &DamageReport) -> String {
    let lines = ranges(scan).into_iter().map(|range| match range.starts_with("and ") {
        true => format!("  {range}; --json lists them\n"),
        false => format!("  hole: bytes {range}\n"),
    });
    lines.chain(end(scan).map(|end| format!("  {end}\n"))).collect()
}

/// The damage as a JSON object.
pub(crate) fn object(scan: &DamageReport) -> Value {
    let (end, trailing) = match scan.end {
        End::Whole => ("whole", 0),
        End::Followed(len) => ("followed", len),
        End::Damaged => ("damaged", 0),
        End::Missing => ("missing", 0),
    };
    let ranges = &scan.damage.ranges;
    let bad: Vec<_> = ranges
        .iter()
        .map(|range| json!({ "offset": range.start, "length": range.end - range.start }))
        .collect();
    json!({
        "bytes_in": scan.bytes_in,
        "bytes_out": scan.bytes_out,
        "intact_bytes": scan.bytes_intact,
        "bad_bytes": scan.damage.bytes,
        "bad_ranges": bad,
        "bad_ranges_left_out": scan.damage.count - ranges.len() as u64,
        "end": end,
        "trailing_bytes": trailing,
    })
}
