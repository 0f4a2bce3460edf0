//! What is said about a run that succeeded.

pub(crate) mod inspect;
pub(crate) mod survey;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cryptstream_engine::{RangeSummary, SandboxLevel, Summary, Target};
use cryptstream_format::Format;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::args::{Talk, When};
use crate::messages;
use crate::request::{Input, Transfer};

/// The number of the JSON objects' shape; it changes when a field is removed
/// or gets another meaning.
pub(crate) const SCHEMA: u32 = 1;

/// Reports a finished run as far as somebody wants to know.
pub(crate) fn done(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    talk: Talk,
) {
    tell(command, transfer, summary, took, talk, None, None);
}

/// Reports that a part of a file was opened.
pub(crate) fn done_range(transfer: &Transfer, opened: &RangeSummary, took: Duration, talk: Talk) {
    tell("decrypt", transfer, opened.summary, took, talk, Some(opened), None);
}

/// What is said of an archive besides.
pub(crate) struct Extra {
    /// For programs.
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// A supplement to the line that says what was done.
    pub(crate) text: String,
}

/// Reports that a folder was packed, or an archive unpacked.
pub(crate) fn done_archive(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    talk: Talk,
    extra: &Extra,
) {
    tell(command, transfer, summary, took, talk, None, Some(extra));
}

fn tell(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    talk: Talk,
    part: Option<&RangeSummary>,
    extra: Option<&Extra>,
) {
    let workers = summary.workers;
    let sandbox = workers.sandbox.unwrap_or(SandboxLevel::None).name();
    if talk.json || talk.progress() == When::Json {
        let mut object = json!({
            "schema": SCHEMA,
            "command": command,
            "input": input_name(&transfer.input),
            "output": output_name(&transfer.target),
            "format": format_name(summary.format),
            "armored": summary.is_armored,
            "bytes_in": summary.bytes_in,
            "bytes_out": summary.bytes_out,
            "seconds": took.as_secs_f64(),
            "processes": workers.workers,
            "workers_died": workers.died,
            "segments_redone": workers.redone,
            "sandbox": sandbox,
        });
        if let Some(RangeSummary { range, plaintext_len, .. }) = part {
            // The byte at `end` is not in it; the length is that of the whole
            // plaintext, where it was verified.
            object["range"] =
                json!({ "start": range.start, "end": range.end, "length": plaintext_len });
        }
        for (name, value) in extra.iter().flat_map(|extra| &extra.fields) {
            object[*name] = value.clone();
        }
        match talk.json {
            true => print_json(&object, transfer.is_stdout_data()),
            false => messages::print_event("end", object),
        }
    } else if talk.verbose || is_seen(transfer, talk) {
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
        let part = part.map_or(String::new(), messages::range_opened);
        let extra = extra.map_or("", |extra| &extra.text);
        let armored = if summary.is_armored { ", armored" } else { "" };
        let by = if talk.verbose { format!(", {by}") } else { String::new() };
        messages::note(&format!(
            "{} -> {}: {} -> {} in {:.2} s ({}/s){by}{part}{extra}{armored}",
            messages::quoted(Path::new(&input_name(&transfer.input))),
            messages::quoted(Path::new(&output_name(&transfer.target))),
            HumanBytes(summary.bytes_in),
            HumanBytes(summary.bytes_out),
            took.as_secs_f64(),
            HumanBytes(rate as u64),
        ));
    }
}

/// Whether the user watches, and the output is a file: then one line says that it is
/// done, as with folders.
fn is_seen(transfer: &Transfer, talk: Talk) -> bool {
    !talk.quiet && !transfer.is_stdout_data() && io::stderr().is_terminal()
}

/// Reports a new identity to a program.
pub(crate) fn new_identity(
    output: Option<&Path>,
    recipient: &dyn std::fmt::Display,
    is_stdout_data: bool,
) {
    let object = json!({
        "schema": SCHEMA,
        "command": "keygen",
        "output": output.map_or("-".into(), Path::to_string_lossy),
        "recipient": recipient.to_string(),
    });
    print_json(&object, is_stdout_data);
}

/// A format's name.
pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Native => "native",
        Format::Age => "age",
    }
}

/// Whether a report could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// The exit status of a run: one whose report is lost has failed.
pub(crate) fn settled(exit_code: ExitCode) -> ExitCode {
    match IS_LOST.load(Ordering::Relaxed) && exit_code == ExitCode::SUCCESS {
        true => ExitCode::from(messages::code::IO),
        false => exit_code,
    }
}

/// Writes one JSON object in one line.
pub(crate) fn print_json(object: &Value, is_stdout_data: bool) {
    let object = messages::escaped_json(object);
    if is_stdout_data {
        // Nobody may be reading; there is nobody else to tell.
        let _ = writeln!(io::stderr(), "{object}");
        return;
    }
    let mut stdout = io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{object}").and_then(|()| stdout.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        IS_LOST.store(true, Ordering::Relaxed);
        messages::print_error(&messages::report_lost(&error));
    }
}

/// Makes of what is said of one file among several the event that a program reads: a line
/// for each file, and one at the end.
pub(crate) fn name_file_event(object: &mut Value, command: &str, input: &Input) {
    object["schema"] = json!(SCHEMA);
    object["command"] = json!(command);
    object["event"] = json!("file");
    object["file"] = json!(input_name(input));
}

/// The input's name as it can be shown.
pub(crate) fn input_label(input: &Input) -> String {
    input.path().map_or_else(|| "standard input".to_owned(), messages::quoted)
}

pub(crate) fn input_name(input: &Input) -> String {
    input.path().map_or_else(|| "-".to_owned(), |path| path.to_string_lossy().into_owned())
}

pub(crate) fn output_name(target: &Target) -> String {
    target.path().map_or("-".to_owned(), |path| path.to_string_lossy().into_owned())
}
