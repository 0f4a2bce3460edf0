//! Prints messages: for people, or for programs as lines of JSON.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::failure::{Failure, code};
use super::inputs_outputs::{Printed, report_lost, stdout_failed};
use super::text::{escaped_json, quoted};
use crate::json::SCHEMA;

/// Prints a failure as two lines on standard error.
pub(crate) fn print_error(failure: &Failure) {
    use anstream::stream::IsTerminal;
    if failure.code == code::OK {
        return;
    }
    if wants_json() {
        return print_event("error", failure.json());
    }
    let (red, cyan, off) = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m");
    let mut stderr = anstream::stderr().lock();
    // The progress line may be there.
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    let file = failure.file.as_deref().map_or(String::new(), |file| format!("{}: ", quoted(file)));
    // Standard error may be closed; there is nowhere else to report that.
    let _ = writeln!(stderr, "{clear}{red}error:{off} {file}{}", failure.message);
    if !failure.help.is_empty() {
        let _ = writeln!(stderr, "{cyan}help:{off} {}", failure.help);
    }
}

/// Prints a failure as JSON.
pub(crate) fn print_json_error(failure: &Failure, is_stdout_data: bool) {
    if failure.code == code::OK {
        return;
    }
    if wants_json_events() {
        print_event("error", failure.json());
        // Both would go to standard error.
        if is_stdout_data {
            return;
        }
    }
    print_json(&json_error(failure), is_stdout_data);
}

/// Writes one JSON object in one line.
pub(crate) fn print_json(object: &Value, is_stdout_data: bool) {
    mark_ended();
    let object = escaped_json(object);
    if is_stdout_data {
        // Standard error may be closed; there is nowhere else to report that.
        let _ = writeln!(std::io::stderr(), "{object}");
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{object}").and_then(|()| stdout.flush())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        IS_REPORT_LOST.store(true, Ordering::Relaxed);
        print_error(&report_lost(&error));
    }
}

/// Whether it was said how the run has ended, which an interruption has then not changed.
static IS_END_REPORTED: AtomicBool = AtomicBool::new(false);

/// An interruption from now on changes nothing: the end is being said.
pub(crate) fn mark_ended() {
    IS_END_REPORTED.store(true, Ordering::SeqCst);
}

/// Whether it was said how the run has ended.
pub(crate) fn is_end_reported() -> bool {
    IS_END_REPORTED.load(Ordering::SeqCst)
}

/// Whether a report could not be written.
static IS_REPORT_LOST: AtomicBool = AtomicBool::new(false);

/// Whether a report could not be written.
pub(crate) fn is_report_lost() -> bool {
    IS_REPORT_LOST.load(Ordering::Relaxed)
}

/// Writes what a command makes to standard output.
pub(crate) fn print_output(bytes: &[u8], what: Printed) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| stdout_failed(&error, what))
}

/// A failure as the one object about a run.
pub(crate) fn json_error(failure: &Failure) -> Value {
    json!({ "schema": SCHEMA, "command": command(), "error": failure.json() })
}

/// Prints a warning.
pub(crate) fn warn(text: &str) {
    let (yellow, off) = ("\x1b[1;33m", "\x1b[0m");
    if IS_QUIET.load(Ordering::Relaxed) {
        return;
    }
    if wants_json() {
        print_event("warning", json!({ "message": text }));
    } else {
        // Standard error may be closed; there is nowhere else to report that.
        let _ = writeln!(anstream::stderr().lock(), "{yellow}warning:{off} {text}");
    }
}

/// Prints a note.
pub(crate) fn note(text: &str) {
    if wants_json() {
        return print_event("note", json!({ "message": text }));
    }
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes an event with these fields as one line of JSON on standard error.
pub(crate) fn print_event(name: &str, fields: Value) {
    let line = escaped_json(&event(name, fields));
    // Standard error may be closed; there is nowhere else to report that.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// One event as an object.
pub(crate) fn event(event: &str, mut fields: Value) -> Value {
    fields["schema"] = json!(SCHEMA);
    fields["command"] = json!(command());
    fields["event"] = json!(event);
    fields
}

/// Whether to print errors only.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Prints errors only from now on, or everything.
pub(crate) fn set_quiet(is_quiet: bool) {
    IS_QUIET.store(is_quiet, Ordering::Relaxed);
}

/// Whether a report is wanted (--json).
static WANTS_JSON_REPORT: AtomicBool = AtomicBool::new(false);

/// Whether events are wanted (--progress json).
static WANTS_JSON_EVENTS: AtomicBool = AtomicBool::new(false);

/// Prints reports or events for a program from now on, or both.
pub(crate) fn set_json_output(wants_json_report: bool, wants_json_events: bool) {
    WANTS_JSON_REPORT.store(wants_json_report, Ordering::Relaxed);
    WANTS_JSON_EVENTS.store(wants_json_events, Ordering::Relaxed);
}

/// Whether a report is wanted.
pub(crate) fn wants_json_report() -> bool {
    WANTS_JSON_REPORT.load(Ordering::Relaxed)
}

/// Whether events are wanted.
pub(crate) fn wants_json_events() -> bool {
    WANTS_JSON_EVENTS.load(Ordering::Relaxed)
}

/// Whether every line on standard error must be JSON.
fn wants_json() -> bool {
    wants_json_report() || wants_json_events()
}

/// Whether standard output carries the data, so that reports go elsewhere.
static IS_STDOUT_DATA: AtomicBool = AtomicBool::new(false);

/// Sets whether standard output carries the data. Until then reports go there.
pub(crate) fn set_stdout_data(is_stdout_data: bool) {
    IS_STDOUT_DATA.store(is_stdout_data, Ordering::Relaxed);
}

pub(crate) fn is_stdout_data() -> bool {
    IS_STDOUT_DATA.load(Ordering::Relaxed)
}

/// The command of this run, for reports.
static COMMAND: OnceLock<String> = OnceLock::new();

/// Names the command in all reports from now on.
pub(crate) fn set_command(name: &str) {
    let _ = COMMAND.set(name.to_owned());
}

fn command() -> Option<&'static str> {
    COMMAND.get().map(String::as_str)
}
