//! `store`: what failed runs have left in object stores.

use std::time::{Duration, SystemTime};

use cryptstream_remote::UnfinishedUpload;
use serde_json::{Value, json};

use super::session::{CommandResult, Session};
use crate::args::{Store, StoreContent};
use crate::json::SCHEMA;
use crate::messages::{self, Failure};
use crate::report::{self, ReportWriter, Status};
use crate::{objects, verb::Verb};

/// With `--abort`, no upload that is younger: it may be under way.
const MIN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn run(args: &Store, session: &Session) -> CommandResult {
    let Store { what: StoreContent::Uploads, url, abort, older_than, .. } = args;
    let url = match objects::url(url) {
        Some(Ok(parsed)) if parsed.is_web() => {
            return Err(messages::objects::read_only(url).into());
        }
        Some(Ok(parsed)) if parsed.scheme().is_azure() => {
            return Err(messages::objects::no_uploads_in_azure(url).into());
        }
        Some(Ok(url)) => url,
        Some(Err(error)) => return Err(messages::objects::bad_url(url, &error).into()),
        None => return Err(messages::objects::no_url(url).into()),
    };
    let min_age = older_than.unwrap_or(if *abort { MIN_AGE } else { Duration::ZERO });
    let mut report = UploadReport::new(session);
    let listed = objects::list_uploads(&url, |upload| {
        let age = upload.started().map(|at| at.elapsed().unwrap_or_default());
        // One without a time may be under way.
        if age.map_or(min_age.is_zero(), |age| age >= min_age) {
            let aborted = abort.then(|| {
                objects::abort_upload(&upload)
                    .map_err(|error| messages::objects::not_aborted(&upload, &error))
            });
            report.record(&upload, age, aborted);
        }
        !report.writer.is_closed()
    });
    if let Err(error) = listed {
        return Err(messages::engine(error, Verb::Inspect).into());
    }
    Ok(report.end(*abort))
}

struct UploadReport<'a> {
    session: &'a Session,
    writer: ReportWriter,
    status: Status,
    uploads: u64,
    aborted: u64,
    failed: u64,
}

impl<'a> UploadReport<'a> {
    fn new(session: &'a Session) -> Self {
        let (writer, status) = (ReportWriter::default(), Status::default());
        Self { session, writer, status, uploads: 0, aborted: 0, failed: 0 }
    }

    fn record(
        &mut self,
        upload: &UnfinishedUpload,
        age: Option<Duration>,
        aborted: Option<Result<(), Failure>>,
    ) {
        self.uploads += 1;
        let is_json = self.session.options.json;
        if is_json {
            let object = object(upload, age, aborted.as_ref());
            self.writer.print_object(&object, &mut self.status);
        } else if !self.session.options.quiet {
            let is_aborted = matches!(aborted, Some(Ok(())));
            let line = messages::objects::upload_line(upload, age, is_aborted);
            self.writer.print(&line, &mut self.status);
        }
        match aborted {
            Some(Ok(())) => self.aborted += 1,
            Some(Err(failure)) => {
                self.failed += 1;
                self.status.fail(&failure, is_json);
            }
            None => {}
        }
    }

    fn end(mut self, abort: bool) -> Status {
        let Self { session, uploads, aborted, failed, .. } = self;
        if report::wants_json(session.options) {
            let totals = json!({ "uploads": uploads, "aborted": aborted, "failed": failed });
            self.writer.end(totals, session.options, &mut self.status);
        } else if !session.options.quiet {
            messages::note(&messages::objects::uploads_found(uploads, aborted, abort));
        }
        self.status
    }
}

fn object(
    upload: &UnfinishedUpload,
    age: Option<Duration>,
    aborted: Option<&Result<(), Failure>>,
) -> Value {
    let seconds = |at: SystemTime| Some(at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs());
    let mut object = json!({
        "schema": SCHEMA,
        "command": "store",
        "event": "upload",
        "object": upload.to_string(),
        "upload": upload.id(),
        "started": upload.started().and_then(seconds),
        "age_seconds": age.map(|age| age.as_secs()),
        "aborted": matches!(aborted, Some(Ok(()))),
    });
    if let Some(Err(failure)) = aborted {
        object["error"] = failure.json();
    }
    object
}
