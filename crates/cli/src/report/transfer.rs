//! Reports about the encryption or decryption of one file.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use cryptstream_archive::{Packed, Unpacked};
use cryptstream_engine::{RangeSummary, SandboxLevel, Summary};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{end, format_name, insert_input_output, wants_json};
use crate::args::ReportOptions;
use crate::json::SCHEMA;
use crate::messages;
use crate::request::Transfer;

/// Reports that a file was encrypted or decrypted.
pub(crate) fn done(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    options: ReportOptions,
) {
    report_transfer(command, transfer, summary, took, options, None, None);
}

/// Reports that a part of a file was decrypted.
pub(crate) fn range(
    transfer: &Transfer,
    part: &RangeSummary,
    took: Duration,
    options: ReportOptions,
) {
    report_transfer("decrypt", transfer, part.summary, took, options, Some(part), None);
}

/// Reports that a folder was packed; `skipped` entries are not in the archive.
pub(crate) fn packed(
    transfer: &Transfer,
    summary: Summary,
    packed: &Packed,
    skipped: u64,
    took: Duration,
    options: ReportOptions,
) {
    let extra = Extra {
        fields: vec![("entries", packed.entries.into()), ("skipped", skipped.into())],
        text: messages::archive::packed(packed),
    };
    report_transfer("encrypt", transfer, summary, took, options, None, Some(&extra));
}

/// Reports that an archive was unpacked; `level` is the sandbox of the parser process.
pub(crate) fn unpacked(
    transfer: &Transfer,
    summary: Summary,
    (unpacked, is_zstd): &(Unpacked, bool),
    level: Option<SandboxLevel>,
    took: Duration,
    options: ReportOptions,
) {
    let Unpacked { entries, bytes, differences, .. } = unpacked;
    let extra = Extra {
        fields: vec![
            ("entries", (*entries).into()),
            ("content_bytes", (*bytes).into()),
            ("skipped", differences.special.into()),
            ("replaced", differences.replaced.into()),
            ("zstd", (*is_zstd).into()),
            ("unpacking_sandbox", messages::archive::level(level).into()),
        ],
        text: messages::archive::unpacked(*entries, *bytes, level),
    };
    report_transfer("decrypt", transfer, summary, took, options, None, Some(&extra));
}

/// What is also reported of an archive.
struct Extra {
    /// For programs.
    fields: Vec<(&'static str, Value)>,
    /// Added to the line for people.
    text: String,
}

fn report_transfer(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    options: ReportOptions,
    part: Option<&RangeSummary>,
    extra: Option<&Extra>,
) {
    let output = transfer.target.path().unwrap_or(Path::new("-"));
    messages::tree::dropped(summary.dropped, output).iter().for_each(|text| messages::warn(text));
    let workers = summary.workers;
    let sandbox = workers.sandbox.unwrap_or(SandboxLevel::None).name();
    if wants_json(options) {
        let mut object = json!({
            "schema": SCHEMA,
            "command": command,
            "type": if extra.is_some() { "archive" } else { "file" },
            "files": 1,
            "failed": 0,
            "format": format_name(summary.format),
            "armored": summary.is_armored,
            "bytes_in": summary.bytes_in,
            "bytes_out": summary.bytes_out,
            "seconds": took.as_secs_f64(),
            "workers": workers.workers,
            "workers_died": workers.died,
            "segments_redone": workers.redone,
            "sandbox": sandbox,
        });
        insert_input_output(&mut object, &transfer.input, &transfer.target);
        if let Some(RangeSummary { range, plaintext_len, .. }) = part {
            // `end` is exclusive; `length` is that of the whole plaintext, if it was verified.
            object["range"] =
                json!({ "start": range.start, "end": range.end, "length": plaintext_len });
        }
        for (name, value) in extra.iter().flat_map(|extra| &extra.fields) {
            object[*name] = value.clone();
        }
        end(object, options, transfer.is_stdout_data());
    } else if options.verbose || shows_summary(transfer, options) {
        let rate = summary.bytes_in as f64 / took.as_secs_f64().max(1e-9);
        let died = match workers.died {
            0 => String::new(),
            died => format!("; {died} died, {} segments done again", workers.redone),
        };
        let by = match workers.workers {
            0 => "one process".to_owned(),
            1 => format!("1 worker (sandbox: {sandbox}{died})"),
            started => format!("{started} workers (sandbox: {sandbox}{died})"),
        };
        let part = part.map_or(String::new(), messages::range_note);
        let extra = extra.map_or("", |extra| &extra.text);
        let armored = if summary.is_armored { ", armored" } else { "" };
        let by = if options.verbose { format!(", {by}") } else { String::new() };
        messages::note(&format!(
            "{} -> {}: {} -> {} in {:.2} s ({}/s){by}{part}{extra}{armored}",
            messages::quoted(transfer.input.path().unwrap_or(Path::new("-"))),
            messages::quoted(output),
            HumanBytes(summary.bytes_in),
            HumanBytes(summary.bytes_out),
            took.as_secs_f64(),
            HumanBytes(rate as u64),
        ));
    }
}

/// Whether the user watches a terminal and the output is a file: then one line reports success,
/// as with folders.
fn shows_summary(transfer: &Transfer, options: ReportOptions) -> bool {
    !options.quiet && !transfer.is_stdout_data() && io::stderr().is_terminal()
}
