//! Reports that are written to standard output during a run.

use std::io::{self, Write};

use serde_json::Value;

use super::{Status, store};
use crate::args::ReportOptions;
use crate::messages::{self, Printed, escaped_json};

/// Standard output, until it is closed.
#[derive(Debug, Default)]
pub(crate) struct ReportWriter {
    is_closed: bool,
}

impl ReportWriter {
    /// Writes `text` at once, so that errors appear after what they belong to. A closed pipe is
    /// not a failure.
    pub(crate) fn print(&mut self, text: &str, status: &mut Status) {
        if self.is_closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        if let Err(source) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.is_closed = true;
            if source.kind() != io::ErrorKind::BrokenPipe {
                status.fail(&messages::stdout_failed(&source, Printed::Text), false);
            }
        }
    }

    /// Writes a JSON object as a line.
    pub(crate) fn print_object(&mut self, object: &Value, status: &mut Status) {
        self.print(&format!("{}\n", escaped_json(object)), status);
    }

    /// Reports the totals to a program, as the last line, the last event, or both. `totals` is an
    /// object.
    pub(crate) fn end(&mut self, totals: Value, options: ReportOptions, status: &mut Status) {
        messages::mark_ended();
        let mut object = messages::event("end", totals);
        store::insert(&mut object);
        if options.json {
            self.print_object(&object, status);
        }
        if messages::wants_json_events() {
            messages::print_event("end", object);
        }
    }

    /// Whether the reader has closed the output.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }
}
