//! Reports of commands, for people and for programs.

pub(crate) mod damage;
pub(crate) mod inspect;
pub(crate) mod rekey;
mod status;
pub(crate) mod tree;
pub(crate) mod verify;
mod writer;

pub(crate) use status::{Failures, Status};
pub(crate) use writer::ReportWriter;

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cryptstream_engine::program::{OnInterrupt, pending_signal, report_on_interrupt};
use cryptstream_engine::{RangeSummary, SandboxLevel, Summary, Target};
use cryptstream_format::Format;
use indicatif::HumanBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::args::{ReportOptions, When};
use crate::json::{SCHEMA, insert_name};
use crate::messages::{self, Failure};
use crate::request::{Input, Transfer};

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
pub(crate) fn done_range(
    transfer: &Transfer,
    part: &RangeSummary,
    took: Duration,
    options: ReportOptions,
) {
    report_transfer("decrypt", transfer, part.summary, took, options, Some(part), None);
}

/// What is also reported of an archive.
pub(crate) struct Extra {
    /// For programs.
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// Added to the line for people.
    pub(crate) text: String,
}

/// Reports that a folder was packed, or an archive unpacked.
pub(crate) fn done_archive(
    command: &str,
    transfer: &Transfer,
    summary: Summary,
    took: Duration,
    options: ReportOptions,
    extra: &Extra,
) {
    report_transfer(command, transfer, summary, took, options, None, Some(extra));
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
    let output = output_name(&transfer.target);
    messages::tree::dropped(summary.dropped, &output).iter().for_each(|text| messages::warn(text));
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
            messages::quoted(Path::new(&input_name(&transfer.input))),
            messages::quoted(Path::new(&output_name(&transfer.target))),
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

/// Whether a program reads the report.
pub(crate) fn wants_json(options: ReportOptions) -> bool {
    options.json || options.progress() == When::Json
}

/// Reports the end of a run to a program: as an object, as the last event, or both.
pub(crate) fn end(object: Value, options: ReportOptions, is_stdout_data: bool) {
    if options.json && !(is_stdout_data && messages::wants_json_events()) {
        messages::print_json(&object, is_stdout_data);
    }
    if messages::wants_json_events() {
        messages::mark_ended();
        messages::print_event("end", object);
    }
}

/// The number of finished files, and of all files, if known.
static FILES: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// Sets the numbers that an interruption reports.
pub(crate) fn set_files(files: Option<(u64, u64)>) {
    *FILES.lock().unwrap_or_else(PoisonError::into_inner) = files;
}

/// Reports an interruption to a program, as long as the result lives.
pub(crate) fn report_interruptions(options: ReportOptions) -> Option<OnInterrupt> {
    let report_interruption = move || {
        if messages::is_end_reported() {
            return;
        }
        let is_stdout_data = messages::is_stdout_data();
        // Locked only briefly, but perhaps by a thread that is stuck.
        let files = FILES.try_lock().map_or(None, |files| *files);
        let failure = messages::interruption(pending_signal().unwrap_or(0), files, is_stdout_data);
        report_without_locks("interrupted", &failure, is_stdout_data);
    };
    // Without the thread nothing is reported.
    wants_json(options).then(|| report_on_interrupt(Box::new(report_interruption)).ok()).flatten()
}

/// Reports an internal error from any thread.
pub(crate) fn report_internal_error(failure: &Failure) {
    if messages::wants_json_report() || messages::wants_json_events() {
        report_without_locks("error", failure, messages::is_stdout_data());
    } else {
        messages::print_error(failure);
    }
}

/// Reports the end of a run to a program without taking locks, which may be held.
fn report_without_locks(event: &str, failure: &Failure, is_stdout_data: bool) {
    let line = |object: &Value| format!("{}\n", messages::escaped_json(object));
    if messages::wants_json_events() {
        let event = messages::event(event, failure.json());
        write_if_ready(io::stderr().as_fd(), &line(&event));
    }
    let object = line(&messages::json_error(failure));
    match (messages::wants_json_report(), is_stdout_data) {
        (true, false) => write_if_ready(io::stdout().as_fd(), &object),
        (true, true) if !messages::wants_json_events() => {
            write_if_ready(io::stderr().as_fd(), &object);
        }
        _ => {}
    }
}

/// Writes a line, unless that would block.
fn write_if_ready(to: BorrowedFd<'_>, line: &str) {
    let mut fds = [PollFd::new(&to, PollFlags::OUT)];
    let now = Timespec::default();
    if poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0) {
        // The stream may be closed; there is nowhere else to report that.
        let _ = rustix::io::write(to, line.as_bytes());
    }
}

/// Adds input and output to an object.
pub(crate) fn insert_input_output(object: &mut Value, input: &Input, output: &Target) {
    insert_name(object, "input", input.path().unwrap_or(Path::new("-")));
    insert_name(object, "output", output.path().unwrap_or(Path::new("-")));
}

/// Reports a new identity to a program.
pub(crate) fn new_identity(
    output: Option<&Path>,
    recipient: &dyn std::fmt::Display,
    options: ReportOptions,
    is_stdout_data: bool,
) {
    let mut object = json!({
        "schema": SCHEMA,
        "command": "keygen",
        "recipient": recipient.to_string(),
    });
    insert_name(&mut object, "output", output.unwrap_or(Path::new("-")));
    end(object, options, is_stdout_data);
}

/// Reports to a program the recipients of the identities in a file.
pub(crate) fn recipients(input: &Path, recipients: &[String], options: ReportOptions) {
    let mut object = json!({ "schema": SCHEMA, "command": "keygen", "recipients": recipients });
    insert_name(&mut object, "input", input);
    end(object, options, false);
}

/// A format's name.
pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Native => "native",
        Format::Age => "age",
    }
}

/// The exit status of a run, which has failed if its report was lost.
pub(crate) fn final_exit_code(exit_code: ExitCode) -> ExitCode {
    match messages::is_report_lost() && exit_code == ExitCode::SUCCESS {
        true => ExitCode::from(messages::code::IO),
        false => exit_code,
    }
}

/// Turns an object about one of several files into an event.
pub(crate) fn name_file_event(object: &mut Value, command: &str, input: &Input) {
    object["schema"] = json!(SCHEMA);
    object["command"] = json!(command);
    object["event"] = json!("file");
    insert_name(object, "file", input.path().unwrap_or(Path::new("-")));
}

/// The input's name for messages.
pub(crate) fn input_label(input: &Input) -> String {
    input.path().map_or_else(|| "standard input".to_owned(), messages::quoted)
}

pub(crate) fn input_name(input: &Input) -> String {
    input.path().map_or_else(|| "-".to_owned(), |path| path.to_string_lossy().into_owned())
}

pub(crate) fn output_name(target: &Target) -> String {
    target.path().map_or("-".to_owned(), |path| path.to_string_lossy().into_owned())
}
