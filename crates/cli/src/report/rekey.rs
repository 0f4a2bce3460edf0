//! Reports of rekeyed files.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use cryptstream_engine::RekeySummary;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{ReportWriter, Status, end, wants_json};
use crate::args::ReportOptions;
use crate::json::{SCHEMA, insert_name};
use crate::messages::{self, Failure};
use crate::report;
use crate::request::Input;

/// Reports the only file of a run.
pub(crate) fn done(file: &Path, summary: &RekeySummary, took: Duration, options: ReportOptions) {
    note(file, summary, took, options);
    if wants_json(options) {
        let mut object = object(summary);
        for (name, value) in [
            ("schema", json!(SCHEMA)),
            ("command", json!("rekey")),
            ("type", json!("file")),
            ("files", json!(1)),
            ("failed", json!(0)),
        ] {
            object[name] = value;
        }
        insert_name(&mut object, "input", file);
        insert_name(&mut object, "output", file);
        insert_run_fields(&mut object, took);
        end(object, options, false);
    }
}

/// Reports one file to people.
fn note(file: &Path, summary: &RekeySummary, took: Duration, options: ReportOptions) {
    if summary.names_left > 0 {
        messages::warn(&messages::rekey::names_left(file, summary.names_left));
    }
    if options.verbose && !wants_json(options) {
        let written = HumanBytes(summary.bytes_written).to_string();
        messages::note(&messages::rekey::done(file, summary.method, &written, took));
    }
}

fn object(summary: &RekeySummary) -> Value {
    json!({
        "format": report::format_name(summary.format),
        "method": summary.method.name(),
        "header_before": summary.old_header_len,
        "header_after": summary.new_header_len,
        "bytes_in": summary.bytes_in,
        "bytes_out": summary.bytes_out,
        "bytes_written": summary.bytes_written,
        "names_left": summary.names_left,
    })
}

/// This command has no workers.
fn insert_run_fields(object: &mut Value, took: Duration) {
    object["seconds"] = json!(took.as_secs_f64());
    for name in ["workers", "workers_died", "segments_redone"] {
        object[name] = json!(0);
    }
    object["sandbox"] = json!("none");
}

/// The report of several files.
pub(crate) struct RekeyReport {
    options: ReportOptions,
    started: Instant,
    writer: ReportWriter,
    status: Status,
    done: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    bytes_written: u64,
}

impl RekeyReport {
    pub(crate) fn new(options: ReportOptions) -> Self {
        Self {
            options,
            started: Instant::now(),
            writer: ReportWriter::default(),
            status: Status::default(),
            done: 0,
            failed: 0,
            bytes_in: 0,
            bytes_out: 0,
            bytes_written: 0,
        }
    }

    /// Reports one file.
    pub(crate) fn record(
        &mut self,
        input: &Input,
        done: Result<RekeySummary, Failure>,
        took: Duration,
    ) {
        match &done {
            Ok(summary) => {
                self.done += 1;
                self.bytes_in += summary.bytes_in;
                self.bytes_out += summary.bytes_out;
                self.bytes_written += summary.bytes_written;
                note(input.path().unwrap_or(Path::new("-")), summary, took, self.options);
            }
            Err(failure) => {
                self.failed += 1;
                self.status.fail(failure, self.options.json);
            }
        }
        if self.options.json {
            let mut object = done.as_ref().map_or_else(|_| json!({}), object);
            report::name_file_event(&mut object, "rekey", input);
            if let Err(failure) = &done {
                object["error"] = failure.json();
            }
            self.writer.print_object(&object, &mut self.status);
        }
    }

    /// Reports the totals.
    pub(crate) fn end(mut self) -> Status {
        let Self { options, done, failed, bytes_written, .. } = self;
        let took = self.started.elapsed();
        if wants_json(options) {
            let mut totals = json!({
                "files": done + failed,
                "failed": failed,
                "bytes_in": self.bytes_in,
                "bytes_out": self.bytes_out,
                "bytes_written": bytes_written,
            });
            insert_run_fields(&mut totals, took);
            self.writer.end(totals, options, &mut self.status);
        } else if !options.quiet && (options.verbose || failed > 0 || io::stderr().is_terminal()) {
            let written = HumanBytes(bytes_written).to_string();
            messages::note(&messages::rekey::done_many(done, failed, &written, took));
        }
        self.status
    }
}
