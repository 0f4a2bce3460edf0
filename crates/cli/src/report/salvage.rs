//! The report of `decrypt --salvage`.

use std::path::Path;
use std::time::Duration;

use cryptstream_engine::DamageReport;
use serde_json::{Value, json};

use super::{Status, damage, end, format_name, insert_input_output, wants_json};
use crate::args::ReportOptions;
use crate::json::SCHEMA;
use crate::messages::{self, Failure, inspect_verify};
use crate::request::Transfer;

/// Reports what was salvaged from `input` to `output`. A file that is not intact is a failure.
pub(crate) fn done(
    transfer: &Transfer,
    (input, output): (&Path, &Path),
    scan: &DamageReport,
    took: Duration,
    options: ReportOptions,
) -> Status {
    let failure = match (scan.is_intact(), scan.chunks_intact) {
        (true, _) => None,
        (false, 0) => Some(inspect_verify::nothing_to_salvage(input)),
        (false, _) if scan.is_content_intact() => Some(inspect_verify::salvaged_all(input, output)),
        (false, _) => Some(inspect_verify::salvaged(input, output, &damage::share(scan), scan)),
    };
    let mut status = Status::default();
    if let Some(failure) = &failure {
        status.fail(failure, options.json);
    }
    if wants_json(options) {
        end(object(transfer, scan, failure.as_ref(), took), options, false);
    } else if failure.is_some() && scan.chunks_intact > 0 {
        let holes = damage::holes(scan);
        if !holes.is_empty() {
            messages::note(holes.trim_end());
        }
    } else if options.verbose {
        messages::note(&inspect_verify::nothing_damaged(input, output));
    }
    status
}

fn object(
    transfer: &Transfer,
    scan: &DamageReport,
    failure: Option<&Failure>,
    took: Duration,
) -> Value {
    let mut object = damage::object(scan);
    object["schema"] = json!(SCHEMA);
    object["command"] = json!("decrypt");
    object["salvaged"] = json!(true);
    object["type"] = json!("file");
    object["files"] = json!(1);
    object["failed"] = json!(u8::from(failure.is_some()));
    insert_input_output(&mut object, &transfer.input, &transfer.target);
    if scan.chunks_intact == 0 {
        object["output"] = Value::Null;
    }
    object["format"] = json!(format_name(scan.format));
    object["seconds"] = json!(took.as_secs_f64());
    if let Some(failure) = failure {
        object["error"] = failure.json();
    }
    object
}
