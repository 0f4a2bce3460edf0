//! `inspect`: describes encrypted files, without a key.

use cryptstream_engine::{Error, Inspection, Parser};

use super::inputs::{Inputs, PendingInput};
use super::session::{CommandResult, Session};
use crate::args::Inspect;
use crate::messages::{self, Failure};
use crate::report::inspect::InspectReport;
use crate::request::{Input, engine_options};
use crate::verb::Verb;

pub(super) fn run(args: Inspect, session: &Session) -> CommandResult {
    let inputs = Inputs::of(args.files, args.file_list.files_from.is_some())?;
    let parser = Parser::new(&engine_options(&args.reading.into()));
    let parser = parser.map_err(|error| messages::engine(error, Verb::Inspect))?;
    let mut report = InspectReport::new(session.options);
    for PendingInput { input, .. } in inputs.iter() {
        let (inspection, failure) = inspect(&input, &parser);
        report.record(&input, inspection.as_ref(), failure);
        if report.is_closed() {
            break;
        }
    }
    Ok(report.end())
}

/// Inspects a file; if its length is impossible, returns a failure as well.
fn inspect(input: &Input, parser: &Parser) -> (Option<Inspection>, Option<Failure>) {
    let failed = |error| messages::engine(error, Verb::Inspect);
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
