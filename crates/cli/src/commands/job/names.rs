//! What the description of a job means for a run.

use cryptstream_engine::OutputFormat;
use cryptstream_format::Format;
use cryptstream_job::{Job, Operation, Replace};

use crate::file_names::{AGE_SUFFIX, SUFFIX, suffix_of};
use crate::messages::{self, Failure};
use crate::report::format_name;
use crate::tree::{Naming, Plan, Rules};

/// The format that a job writes.
pub(super) fn format_of(job: &Job) -> Result<OutputFormat, Failure> {
    let formats = [Format::Native, Format::Age];
    let format = formats.into_iter().find(|format| format_name(*format) == job.format);
    let unknown = || messages::internal(&format!("a job in the format {:?}", job.format));
    format.map(OutputFormat::Binary).ok_or_else(unknown)
}

/// How a job changes the names of files.
pub(super) fn naming_of(job: &Job) -> Result<Naming, Failure> {
    match job.operation {
        Operation::Encrypt => Ok(Naming::Add(suffix_of(format_of(job)?.format()))),
        Operation::Decrypt => Ok(Naming::TakeOff([SUFFIX, AGE_SUFFIX])),
    }
}

/// The source and the target of a job.
pub(super) fn plan_of(job: &Job) -> Result<Plan, Failure> {
    let (source, target) = (job.source.0.clone(), job.target.0.clone());
    // The filters have done their work when the job was planned.
    let rules = Rules::new(&crate::args::Tree::default());
    let mut plan = Plan::one(source, Some(target), naming_of(job)?, rules)?;
    plan.force = job.replace == Replace::All;
    plan.newer = job.replace == Replace::Different;
    Ok(plan)
}
