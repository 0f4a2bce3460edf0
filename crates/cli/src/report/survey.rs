//! What is said about a damaged file.

use std::ops::Range;

use cryptstream_engine::{DamageReport, End};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

/// The most damaged ranges that are shown to people.
const MAX_SHOWN: usize = 20;

/// How much of a file is intact, and what is not, in one line.
pub(crate) fn text(survey: &DamageReport) -> String {
    let mut parts = vec![share(survey)];
    if survey.damage.count > 0 {
        parts.push(format!("bad: bytes {}", ranges(survey).join(", ")));
    }
    parts.extend(end(survey));
    parts.join("; ")
}

/// How much is intact.
pub(crate) fn share(survey: &DamageReport) -> String {
    format!("{} of {} intact", HumanBytes(survey.bytes_intact), HumanBytes(survey.bytes_out))
}

/// The damaged ranges, the first of them, and how many there are besides.
fn ranges(survey: &DamageReport) -> Vec<String> {
    let shown = survey.damage.ranges.iter().take(MAX_SHOWN);
    let mut ranges: Vec<_> = shown.map(range).collect();
    let more = survey.damage.count - ranges.len() as u64;
    if more > 0 {
        ranges.push(format!("and {} more ranges", HumanCount(more)));
    }
    ranges
}

/// First and last byte, as other programs count them.
fn range(range: &Range<u64>) -> String {
    format!("{}-{}", range.start, range.end - 1)
}

fn end(survey: &DamageReport) -> Option<String> {
    match survey.end {
        End::Whole => None,
        End::Followed(1) => Some("1 byte was added after the end".to_owned()),
        End::Followed(len) => Some(format!("{} bytes were added after the end", HumanCount(len))),
        End::Damaged => Some("the last chunk does not open, so the end is uncertain".to_owned()),
        End::Missing => Some(format!("the end is missing, from byte {} on", survey.bytes_out)),
    }
}

/// The holes in what was salvaged, a line each.
pub(crate) fn holes(survey: &DamageReport) -> String {
    let lines = ranges(survey).into_iter().map(|range| match range.starts_with("and ") {
        true => format!("  {range}; --json lists them\n"),
        false => format!("  hole: bytes {range}\n"),
    });
    lines.chain(end(survey).map(|end| format!("  {end}\n"))).collect()
}

/// The same for programs.
pub(crate) fn object(survey: &DamageReport) -> Value {
    let (end, trailing) = match survey.end {
        End::Whole => ("whole", 0),
        End::Followed(len) => ("followed", len),
        End::Damaged => ("damaged", 0),
        End::Missing => ("missing", 0),
    };
    let ranges = &survey.damage.ranges;
    let bad: Vec<_> = ranges
        .iter()
        .map(|range| json!({ "offset": range.start, "length": range.end - range.start }))
        .collect();
    json!({
        "bytes_in": survey.bytes_in,
        "bytes_out": survey.bytes_out,
        "intact_bytes": survey.bytes_intact,
        "bad_bytes": survey.damage.bytes,
        "bad_ranges": bad,
        "bad_ranges_left_out": survey.damage.count - ranges.len() as u64,
        "end": end,
        "trailing_bytes": trailing,
    })
}
