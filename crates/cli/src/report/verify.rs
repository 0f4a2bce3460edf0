//! The report of verified files, in the order in which they were named.

use std::collections::BTreeMap;
use std::time::Instant;

use cryptstream_engine::{DamageReport, SandboxLevel, Summary, WorkerStats};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{ReportWriter, Status};
use crate::args::ReportOptions;
use crate::messages::{self, Failure, inspect_verify};
use crate::report;
use crate::request::Input;

pub(crate) enum Outcome {
    Intact(Summary),
    /// Header and key are right, and other parts may be intact.
    Damaged(DamageReport, Failure),
    Failed(Failure),
}

pub(crate) struct VerifyReport {
    pub(crate) options: ReportOptions,
    /// Report only problems and the total.
    is_brief: bool,
    started: Instant,
    /// Outcomes that wait for those of earlier files.
    waiting: BTreeMap<usize, (Input, Outcome)>,
    next: usize,
    writer: ReportWriter,
    status: Status,
    intact: u64,
    damaged: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Bytes of plaintext that are intact.
    bytes_intact: u64,
    workers: WorkerStats,
}

impl VerifyReport {
    pub(crate) fn new(options: ReportOptions, is_brief: bool) -> Self {
        Self {
            options,
            is_brief,
            started: Instant::now(),
            waiting: BTreeMap::new(),
            next: 0,
            writer: ReportWriter::default(),
            status: Status::default(),
            intact: 0,
            damaged: 0,
            failed: 0,
            bytes_in: 0,
            bytes_out: 0,
            bytes_intact: 0,
            workers: WorkerStats::default(),
        }
    }

    pub(crate) fn add(&mut self, stats: WorkerStats) {
        let WorkerStats { workers, died, redone, sandbox } = stats;
        self.workers.workers = self.workers.workers.max(workers);
        self.workers.died += died;
        self.workers.redone += redone;
        self.workers.sandbox = sandbox.or(self.workers.sandbox);
    }

    pub(crate) fn record(&mut self, number: usize, input: Input, outcome: Outcome) {
        self.waiting.insert(number, (input, outcome));
        while let Some((input, outcome)) = self.waiting.remove(&self.next) {
            self.print_outcome(&input, &outcome);
            self.next += 1;
        }
    }

    fn print_outcome(&mut self, input: &Input, outcome: &Outcome) {
        let (said, failure) = match outcome {
            Outcome::Intact(summary) => {
                self.intact += 1;
                self.bytes_in += summary.bytes_in;
                self.bytes_out += summary.bytes_out;
                self.bytes_intact += summary.bytes_out;
                (format!("intact, {}", HumanBytes(summary.bytes_out)), None)
            }
            Outcome::Damaged(scan, failure) => {
                self.damaged += 1;
                self.bytes_in += scan.bytes_in;
                self.bytes_out += scan.bytes_out;
                self.bytes_intact += scan.bytes_intact;
                (format!("damaged: {}", report::damage::text(scan)), Some(failure))
            }
            Outcome::Failed(failure) if failure.is_damage() => {
                self.damaged += 1;
                (format!("damaged: {}", failure.message()), Some(failure))
            }
            Outcome::Failed(failure) => {
                self.failed += 1;
                (format!("not verified: {}", failure.message()), Some(failure))
            }
        };
        if self.options.json {
            self.writer.print_object(&object(input, outcome), &mut self.status);
        } else if !self.options.quiet && (failure.is_some() || !self.is_brief) {
            let line = format!("{}: {said}\n", report::input_label(input));
            self.writer.print(&line, &mut self.status);
        }
        if let Some(failure) = failure {
            self.status.fail(failure, self.options.json);
        }
    }

    /// Reports the totals.
    pub(crate) fn end(mut self) -> Status {
        if self.is_brief && !self.options.json && !self.options.quiet {
            let (damaged, failed) = (self.damaged, self.failed);
            let text = inspect_verify::verified(self.intact, damaged, failed, self.bytes_intact);
            self.writer.print(&text, &mut self.status);
        }
        let took = self.started.elapsed().as_secs_f64();
        let Self { intact, damaged, failed, bytes_in, bytes_out, workers, .. } = self;
        let sandbox = workers.sandbox.unwrap_or(SandboxLevel::None).name();
        if report::wants_json(self.options) {
            let totals = json!({
                "files": intact + damaged + failed,
                "intact": intact,
                "damaged": damaged,
                "failed": failed,
                "bytes_in": bytes_in,
                "bytes_out": bytes_out,
                "seconds": took,
                "workers": workers.workers,
                "workers_died": workers.died,
                "segments_redone": workers.redone,
                "sandbox": sandbox,
            });
            self.writer.end(totals, self.options, &mut self.status);
        } else if self.options.verbose {
            messages::note(&format!(
                "{intact} intact, {damaged} damaged, {failed} not verified: {} in {took:.2} s \
                 ({}/s), {} workers (sandbox: {sandbox})",
                HumanBytes(bytes_in),
                HumanBytes((bytes_in as f64 / took.max(1e-9)) as u64),
                workers.workers,
            ));
        }
        self.status
    }
}

fn object(input: &Input, outcome: &Outcome) -> Value {
    let (status, mut object, failure) = match outcome {
        Outcome::Intact(summary) => {
            let object = json!({
                "format": report::format_name(summary.format),
                "bytes_in": summary.bytes_in,
                "bytes_out": summary.bytes_out,
                "intact_bytes": summary.bytes_out,
                "bad_bytes": 0,
                "bad_ranges": [],
                "bad_ranges_left_out": 0,
                "end": "whole",
                "trailing_bytes": 0,
            });
            ("intact", object, None)
        }
        Outcome::Damaged(scan, failure) => {
            let mut object = report::damage::object(scan);
            object["format"] = json!(report::format_name(scan.format));
            ("damaged", object, Some(failure))
        }
        Outcome::Failed(failure) if failure.is_damage() => ("damaged", json!({}), Some(failure)),
        Outcome::Failed(failure) => ("failed", json!({}), Some(failure)),
    };
    report::name_file_event(&mut object, "verify", input);
    object["status"] = json!(status);
    if let Some(failure) = failure {
        object["error"] = failure.json();
    }
    object
}
