//! The report of a run over folders.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cryptstream_engine::{BatchItem, LostAttributes, SandboxLevel, Summary, WorkerStats};
use serde_json::{Value, json};

use super::{ReportWriter, Status, end, wants_json};
use crate::args::ReportOptions;
use crate::counts::Counts;
use crate::json::{SCHEMA, insert_name};
use crate::messages::{self, Failure, Shared};
use crate::tree::Event;

/// The maximum number of failures, and of skipped files, that are printed; others are only
/// counted.
const MAX_PRINTED: u64 = 100;
/// The maximum number that a JSON report lists.
const MAX_LISTED: usize = 1000;

/// What a run is called in its report.
#[derive(Clone, Debug)]
pub(crate) struct TreeRunNames {
    pub(crate) command: &'static str,
    /// The only input; `None` if there are several.
    pub(crate) input: Option<PathBuf>,
    pub(crate) output: PathBuf,
    /// The job, and the number of its shard.
    pub(crate) shard: Option<(String, u32)>,
}

pub(crate) struct TreeReport {
    names: TreeRunNames,
    options: ReportOptions,
    /// In a dry run, which prints a line for each change.
    changes: Option<ReportWriter>,
    started: Instant,
    counts: Counts,
    status: Status,
    dropped: LostAttributes,
    /// The position of the present event in the order of the files.
    place: u64,
    failures: Vec<Value>,
    skipped: Vec<Value>,
    /// The shared reasons already reported, and the number of failures omitted because of them.
    reported: Vec<Shared>,
    omitted: u64,
}

impl TreeReport {
    pub(crate) fn new(names: TreeRunNames, options: ReportOptions, is_dry: bool) -> Self {
        Self {
            names,
            options,
            changes: is_dry.then(ReportWriter::default),
            started: Instant::now(),
            counts: Counts::default(),
            status: Status::default(),
            dropped: LostAttributes::default(),
            place: 0,
            failures: Vec::new(),
            skipped: Vec::new(),
            reported: Vec::new(),
            omitted: 0,
        }
    }

    /// Records an event after this number of files.
    pub(crate) fn record_before(&mut self, files: u64, event: Event) {
        self.place = 2 * files;
        self.record(event);
    }

    /// Records the failure of a file, counted from 0.
    pub(crate) fn failed(&mut self, number: usize, failure: Failure) {
        self.place = 2 * number as u64 + 1;
        self.record(Event::Failed(failure));
    }

    pub(crate) fn done(&mut self, summary: &Summary) {
        self.counts.files += 1;
        self.counts.bytes_in += summary.bytes_in;
        self.counts.bytes_out += summary.bytes_out;
        self.record_lost(summary.dropped);
    }

    /// Counts a file that replaces an existing output.
    pub(crate) fn replaced(&mut self) {
        self.counts.replaced += 1;
    }

    fn record_lost(&mut self, LostAttributes { times, mode, acl }: LostAttributes) {
        self.dropped.times |= times;
        self.dropped.mode |= mode;
        self.dropped.acl |= acl;
    }

    /// Whether nothing has failed so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.counts.failed == 0
    }

    /// Records a file of a dry run.
    pub(crate) fn would_do(&mut self, item: &BatchItem) {
        self.counts.files += 1;
        self.counts.bytes_in += item.len;
        self.counts.replaced += u64::from(item.replaces());
        self.print_change(&messages::tree::dry_run_line(self.names.command, item));
    }

    /// Prints a line about the copy, in a dry run.
    fn print_change(&mut self, line: &str) {
        if let Some(changes) = &mut self.changes
            && !self.options.json
            && !self.options.quiet
        {
            changes.print(line, &mut self.status);
        }
    }

    /// Whether nobody reads the changes of a dry run any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.changes.as_ref().is_some_and(ReportWriter::is_closed)
    }

    pub(crate) fn record(&mut self, event: Event) {
        let skipped = match event {
            Event::Folder => {
                self.counts.folders += 1;
                return;
            }
            Event::Link => {
                self.counts.links += 1;
                return;
            }
            Event::Kept(_) => {
                self.counts.kept += 1;
                return;
            }
            Event::Mode(path, mode) => {
                self.counts.updated += 1;
                return self.print_change(&messages::tree::dry_run_mode(&path, mode));
            }
            Event::Relinked(path) => {
                self.counts.updated += 1;
                return self.print_change(&messages::tree::dry_run_link(&path));
            }
            Event::Removed(path) => {
                self.counts.removed += 1;
                return self.print_change(&messages::tree::dry_run_removal(&path));
            }
            Event::LostAttributes(lost) => return self.record_lost(lost),
            Event::Failed(failure) => return self.fail(&failure),
            Event::Foreign(path) => (path, messages::tree::FOREIGN),
            Event::NotInStores(path, reason) => (path, reason),
            Event::Special(path) => (path, messages::tree::SPECIAL),
            Event::NotEncrypted(path) => (path, messages::tree::NOT_ENCRYPTED),
            Event::Key(path) => (path, messages::tree::IS_KEY),
            Event::Temporary(path) => (path, messages::tree::TEMPORARY),
            Event::Leftover(path) => {
                messages::warn(&messages::tree::leftover(&path));
                return;
            }
        };
        let (path, reason) = skipped;
        self.skip(&path, reason);
    }

    /// Records something that was skipped.
    pub(crate) fn skip(&mut self, path: &Path, reason: &str) {
        self.counts.skipped += 1;
        if wants_json(self.options) && self.skipped.len() < MAX_LISTED {
            let mut skipped = json!({ "reason": reason });
            insert_name(&mut skipped, "file", path);
            self.skipped.push(skipped);
        }
        if !self.options.json && self.counts.skipped <= MAX_PRINTED {
            messages::warn(&messages::tree::skipped(path, reason));
        }
    }

    /// Records a failure that is common to many files, and reports it once.
    pub(crate) fn fail_all(&mut self, files: u64, failure: &Failure) {
        self.fail(failure);
        let others = files.saturating_sub(1);
        self.counts.failed += others;
        self.omitted += others;
    }

    fn fail(&mut self, failure: &Failure) {
        self.counts.failed += 1;
        if wants_json(self.options) && self.failures.len() < MAX_LISTED {
            self.failures.push(failure.json());
        }
        // On a full disk all files in progress fail alike, and so do all links on a file system
        // without any.
        let is_known = |reason: Shared| self.reported.contains(&reason);
        let is_alike = !self.options.verbose && failure.shared().is_some_and(is_known);
        self.reported.extend(failure.shared().filter(|_| !is_alike));
        self.omitted += u64::from(is_alike);
        let is_silent = is_alike || self.counts.failed - self.omitted > MAX_PRINTED;
        self.status.fail_at(self.place, failure, self.options.json || is_silent);
    }

    /// Records that the run was stopped, with the number of all files.
    pub(crate) fn stopped(&mut self, all: u64) {
        let Counts { files, kept, failed, .. } = self.counts;
        self.counts.left = all.saturating_sub(files + kept + failed);
    }

    /// Reports the totals.
    pub(crate) fn end(self, workers: WorkerStats) -> Status {
        use std::io::IsTerminal;
        let took = self.started.elapsed();
        let is_dry = self.changes.is_some();
        let Self {
            names,
            options,
            counts,
            status,
            dropped,
            failures,
            skipped,
            omitted,
            reported,
            ..
        } = self;
        let TreeRunNames { command, input, output, shard } = names;
        if !options.json {
            messages::tree::dropped(dropped, &output).iter().for_each(|text| messages::warn(text));
        }
        let sandbox = workers.sandbox.unwrap_or(SandboxLevel::None).name();
        if wants_json(options) {
            let mut object = json!({
                "schema": SCHEMA,
                "command": command,
                "type": "folder",
                "input": null,
                "dry_run": is_dry,
                "files": counts.files,
                "replaced": counts.replaced,
                "kept": counts.kept,
                "updated": counts.updated,
                "removed": counts.removed,
                "folders": counts.folders,
                "links": counts.links,
                "skipped": counts.skipped,
                "failed": counts.failed,
                "left": counts.left,
                "not_copied": messages::tree::dropped_names(dropped),
                "skipped_files": skipped,
                "errors": failures,
                "bytes_in": counts.bytes_in,
                "bytes_out": counts.bytes_out,
                "seconds": took.as_secs_f64(),
                "workers": workers.workers,
                "workers_died": workers.died,
                "segments_redone": workers.redone,
                "sandbox": sandbox,
            });
            if let Some(input) = input {
                insert_name(&mut object, "input", input);
            }
            insert_name(&mut object, "output", output);
            if let Some((job, shard)) = shard {
                object["command"] = json!("job");
                object["action"] = json!("run");
                object["job"] = json!(job);
                object["shard"] = json!(shard);
            }
            end(object, options, false);
            return status;
        }
        if omitted > 0 {
            messages::note(&messages::tree::failed_alike(omitted, !reported.is_empty()));
        }
        let told_alone = counts.failed - omitted;
        for (count, what) in [(told_alone, "failures"), (counts.skipped, "skipped files")] {
            if count > MAX_PRINTED {
                messages::note(&messages::tree::more_not_listed(count - MAX_PRINTED, what));
            }
        }
        let is_noteworthy = counts.failed > 0 || counts.skipped > 0;
        let is_wanted =
            options.verbose || is_dry || is_noteworthy || std::io::stderr().is_terminal();
        if is_wanted && !options.quiet {
            messages::note(&messages::tree::summary(command, &counts, took, is_dry));
        }
        status
    }
}
