//! Reports about jobs.

use std::path::Path;

use cryptstream_job::{Job, State};
use serde_json::{Value, json};

use super::{ReportWriter, Status, end, wants_json};
use crate::args::ReportOptions;
use crate::json::{SCHEMA, insert_name};
use crate::messages::job::Progress;
use crate::messages::{self, Failure};
use crate::tree::Event;

/// The maximum number of failures, and of skipped files, that are printed.
const MAX_PRINTED: u64 = 100;
/// The maximum number that a JSON report lists.
const MAX_LISTED: usize = 1000;

/// Failures, of which there may be any number.
struct Failed {
    options: ReportOptions,
    status: Status,
    count: u64,
    listed: Vec<Value>,
}

impl Failed {
    fn new(options: ReportOptions) -> Self {
        Self { options, status: Status::default(), count: 0, listed: Vec::new() }
    }

    fn add(&mut self, failure: &Failure) {
        self.count += 1;
        if wants_json(self.options) && self.listed.len() < MAX_LISTED {
            self.listed.push(failure.json());
        }
        self.status.fail(failure, self.options.json || self.count > MAX_PRINTED);
    }

    /// Says how many were not listed.
    fn note_rest(&self, what: &str) {
        if self.count > MAX_PRINTED && !wants_json(self.options) {
            messages::note(&messages::tree::more_not_listed(self.count - MAX_PRINTED, what));
        }
    }
}

/// Ends a report for programs with this content; `job` is `None` if there is none.
fn end_action(action: &str, job: Option<&Job>, content: Value, options: ReportOptions) {
    let mut object = json!({
        "schema": SCHEMA,
        "command": "job",
        "action": action,
        "job": job.map(|job| &job.job),
    });
    if let (Some(object), Value::Object(content)) = (object.as_object_mut(), content) {
        object.extend(content);
    }
    end(object, options, false);
}

/// The report of a plan.
pub(crate) struct PlanReport {
    failures: Failed,
    skipped: u64,
    skipped_files: Vec<Value>,
}

impl PlanReport {
    pub(crate) fn new(options: ReportOptions) -> Self {
        Self { failures: Failed::new(options), skipped: 0, skipped_files: Vec::new() }
    }

    pub(crate) fn record(&mut self, event: Event) {
        let (path, reason) = match event {
            Event::Failed(failure) => return self.failures.add(&failure),
            Event::Special(path) => (path, messages::tree::SPECIAL),
            Event::NotEncrypted(path) => (path, messages::tree::NOT_ENCRYPTED),
            Event::Key(path) => (path, messages::tree::IS_KEY),
            Event::Temporary(path) => (path, messages::tree::TEMPORARY),
            Event::Leftover(path) => return messages::warn(&messages::tree::leftover(&path)),
            _ => return,
        };
        self.skipped += 1;
        let options = self.failures.options;
        if wants_json(options) && self.skipped_files.len() < MAX_LISTED {
            let mut skipped = json!({ "reason": reason });
            insert_name(&mut skipped, "file", &path);
            self.skipped_files.push(skipped);
        }
        if !options.json && self.skipped <= MAX_PRINTED {
            messages::warn(&messages::tree::skipped(&path, reason));
        }
    }

    /// Whether nothing has failed so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures.count == 0
    }

    /// Ends without a plan. The first failure counts.
    pub(crate) fn failed(self) -> Status {
        self.failures.note_rest("failures");
        let Failed { options, status, listed, .. } = self.failures;
        if wants_json(options) {
            end_action("plan", None, json!({ "errors": listed }), options);
        } else {
            messages::note(messages::job::NOT_PLANNED);
        }
        status
    }

    /// Reports the job that was planned in the folder at `path`.
    pub(crate) fn end(self, job: &Job, path: &Path) -> Status {
        let options = self.failures.options;
        if wants_json(options) {
            let totals = job.totals();
            let mut object = json!({
                "shards": job.shards.len(),
                "files": totals.objects,
                "bytes": totals.bytes,
                "folders": job.folders,
                "links": job.links,
                "skipped": self.skipped,
                "skipped_files": self.skipped_files,
                "errors": [],
            });
            insert_name(&mut object, "folder", path);
            end_action("plan", Some(job), object, options);
        } else if !options.quiet {
            messages::note(&messages::job::planned(job, path));
        }
        self.failures.status
    }
}

/// The report of the end of a job.
pub(crate) struct FinishReport(Failed);

impl FinishReport {
    pub(crate) fn new(options: ReportOptions) -> Self {
        Self(Failed::new(options))
    }

    /// Something is missing, or cannot be completed.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.0.add(failure);
    }

    /// Whether nothing is missing so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.count == 0
    }

    /// Reports whether the job is finished, and whether this process has finished it.
    pub(crate) fn end(self, job: &Job, is_first: bool) -> Status {
        self.0.note_rest("files");
        let Failed { options, status, count, listed } = self.0;
        if wants_json(options) {
            let totals = job.totals();
            let object = json!({
                "finished": count == 0,
                "files": totals.objects,
                "bytes": totals.bytes,
                "missing": count,
                "errors": listed,
            });
            end_action("finish", Some(job), object, options);
        } else if !options.quiet && count == 0 {
            messages::note(&messages::job::finished(job, is_first));
        }
        status
    }
}

/// Reports how far a job is.
pub(crate) fn status(job: &Job, progress: &Progress, options: ReportOptions) -> Status {
    let mut status = Status::default();
    if wants_json(options) {
        let totals = job.totals();
        let object = json!({
            "state": match progress.state {
                State::Open => "open",
                State::Finished => "finished",
                State::Aborted => "aborted",
            },
            "files": totals.objects,
            "bytes": totals.bytes,
            "files_done": progress.done,
            "files_failed": progress.failed,
            "shards": job.shards.len(),
            "shards_done": progress.shards_done,
            "attempts": progress.attempts,
        });
        end_action("status", Some(job), object, options);
    } else {
        let line = format!("{}\n", messages::job::status(job, progress));
        ReportWriter::default().print(&line, &mut status);
    }
    status
}

/// Reports what was submitted to an engine, under the numbers or names that it has given.
pub(crate) fn submitted(job: &Job, engine: &str, ids: &[String], options: ReportOptions) -> Status {
    if wants_json(options) {
        let object = json!({ "engine": engine, "shards": job.shards.len(), "ids": ids });
        end_action("submit", Some(job), object, options);
    } else if !options.quiet {
        messages::note(&messages::submit::submitted(job, ids));
    }
    Status::default()
}

/// Reports that a job was given up.
pub(crate) fn aborted(job: &Job, is_first: bool, options: ReportOptions) -> Status {
    if wants_json(options) {
        end_action("abort", Some(job), json!({}), options);
    } else if !options.quiet {
        messages::note(messages::job::aborted(is_first));
    }
    Status::default()
}
