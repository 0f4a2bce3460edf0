//! Reports of commands, for people and for programs.

pub(crate) mod benchmark;
mod damage;
pub(crate) mod inspect;
pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod rekey;
pub(crate) mod salvage;
mod status;
pub(crate) mod store;
pub(crate) mod transfer;
pub(crate) mod tree;
pub(crate) mod verify;
mod writer;

pub(crate) use status::{Failures, Status};
pub(crate) use writer::ReportWriter;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use cryptstream_engine::Target;
use cryptstream_engine::program::{OnInterrupt, pending_signal, report_on_interrupt};
use cryptstream_format::Format;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::args::{ReportOptions, When};
use crate::json::{SCHEMA, insert_name};
use crate::messages::{self, Failure};
use crate::request::Input;

/// Whether a program reads the report.
pub(crate) fn wants_json(options: ReportOptions) -> bool {
    options.json || options.progress() == When::Json
}

/// Reports the end of a run to a program: as an object, as the last event, or both.
pub(crate) fn end(mut object: Value, options: ReportOptions, is_stdout_data: bool) {
    store::insert(&mut object);
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
