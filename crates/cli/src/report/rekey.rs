//! Reports of rekeyed files.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use cryptstream_engine::RekeySummary;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{Lines, Status, end, is_for_programs};
use crate::args::Talk;
use crate::json::{SCHEMA, put_name};
use crate::messages::{self, Failure};
use crate::report;
use crate::request::Input;

/// Reports the only file of a run.
pub(crate) fn tell(file: &Path, summary: &RekeySummary, took: Duration, talk: Talk) {
    note(file, summary, took, talk);
    if is_for_programs(talk) {
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
        put_name(&mut object, "input", file);
        put_name(&mut object, "output", file);
        put_work(&mut object, took);
        end(object, talk, false);
    }
}

/// Reports one file to people.
fn note(file: &Path, summary: &RekeySummary, took: Duration, talk: Talk) {
    if summary.names_left > 0 {
        messages::warn(&messages::rekey::names_left(file, summary.names_left));
    }
    if talk.verbose && !is_for_programs(talk) {
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
fn put_work(object: &mut Value, took: Duration) {
    object["seconds"] = json!(took.as_secs_f64());
    for name in ["workers", "workers_died", "segments_redone"] {
        object[name] = json!(0);
    }
    object["sandbox"] = json!("none");
}

/// The report of several files.
pub(crate) struct Total {
    talk: Talk,
    started: Instant,
    lines: Lines,
    status: Status,
    done: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    bytes_written: u64,
}

impl Total {
    pub(crate) fn new(talk: Talk) -> Self {
        Self {
            talk,
            started: Instant::now(),
            lines: Lines::default(),
            status: Status::default(),
            done: 0,
            failed: 0,
            bytes_in: 0,
            bytes_out: 0,
            bytes_written: 0,
        }
    }

    /// Reports one file.
    pub(crate) fn put_down(
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
                note(input.path().unwrap_or(Path::new("-")), summary, took, self.talk);
            }
            Err(failure) => {
                self.failed += 1;
                self.status.fail(failure, self.talk.json);
            }
        }
        if self.talk.json {
            let mut object = done.as_ref().map_or_else(|_| json!({}), object);
            report::name_file_event(&mut object, "rekey", input);
            if let Err(failure) = &done {
                object["error"] = failure.json();
            }
            self.lines.print_object(&object, &mut self.status);
        }
    }

    /// Reports the totals.
    pub(crate) fn end(mut self) -> Status {
        let Self { talk, done, failed, bytes_written, .. } = self;
        let took = self.started.elapsed();
        if is_for_programs(talk) {
            let mut totals = json!({
                "files": done + failed,
                "failed": failed,
                "bytes_in": self.bytes_in,
                "bytes_out": self.bytes_out,
                "bytes_written": bytes_written,
            });
            put_work(&mut totals, took);
            self.lines.end(totals, talk, &mut self.status);
        } else if !talk.quiet && (talk.verbose || failed > 0 || io::stderr().is_terminal()) {
            let written = HumanBytes(bytes_written).to_string();
            messages::note(&messages::rekey::done_many(done, failed, &written, took));
        }
        self.status
    }
}
