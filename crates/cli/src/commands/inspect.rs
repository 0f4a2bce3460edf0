//! `inspect`: describes encrypted files, without a key.

use cryptstream_engine::{Error, Inspection, Parser};
use serde_json::{Value, json};

use super::inputs::{Inputs, PendingInput};
use super::session::{CommandResult, Session};
use crate::args::Inspect;
use crate::messages::{Context, Failure, inspect_verify};
use crate::report::{self, ReportWriter, Status};
use crate::request::{Input, worker_options};

pub(super) fn run(args: Inspect, session: &Session) -> CommandResult {
    let options = session.options;
    let inputs = Inputs::of(args.files, args.file_list.files_from.is_some())?;
    let parser = Parser::new(&worker_options(&args.reading.into()));
    let parser = parser.map_err(|error| inspect_verify::engine(error, Context::default()))?;
    let (mut status, mut writer) = (Status::default(), ReportWriter::default());
    let (mut files, mut failed) = (0u64, 0u64);
    for PendingInput { input, .. } in inputs.iter() {
        let (inspection, failure) = inspect(&input, &parser);
        if options.json {
            let object = object(&input, inspection.as_ref(), failure.as_ref());
            writer.print_object(&object, &mut status);
        } else if let (Some(inspection), false) = (&inspection, options.quiet) {
            let gap = if files == 0 { "" } else { "\n" };
            let text = report::inspect::text(&report::input_label(&input), inspection);
            writer.print(&format!("{gap}{text}"), &mut status);
        }
        files += 1;
        if let Some(failure) = failure {
            failed += 1;
            status.fail(&failure, options.json);
        }
        if writer.is_closed() {
            break;
        }
    }
    if report::wants_json(options) {
        let totals = json!({
            "files": files,
            "failed": failed,
        });
        writer.end(totals, options, &mut status);
    }
    Ok(status)
}

/// Inspects a file; if its length is impossible, returns a failure as well.
fn inspect(input: &Input, parser: &Parser) -> (Option<Inspection>, Option<Failure>) {
    let failed = |error| inspect_verify::engine(error, Context::default());
    let mut source = match input.open() {
        Ok(source) => source.parsed_by(parser),
        Err(error) => return (None, Some(failed(error))),
    };
    match Inspection::of(&mut source) {
        Err(error) => (None, Some(failed(error))),
        Ok(inspection) => {
            let wrong = inspection.layout().and_then(Result::err);
            let path = source.path().to_owned();
            let failure = wrong.map(|source| failed(Error::Layout { path, source }));
            (Some(inspection), failure)
        }
    }
}

fn object(input: &Input, inspection: Option<&Inspection>, failure: Option<&Failure>) -> Value {
    let mut object = inspection.map_or_else(|| json!({}), report::inspect::object);
    report::name_file_event(&mut object, "inspect", input);
    if let Some(failure) = failure {
        object["error"] = failure.json();
    }
    object
}
