//! `job finish`: checks that all is done, and completes folders and links.
//!
//! Several processes may finish a job at once: each checks the same and sets the same bits and
//! times. The mark that it is finished is written once.

use cryptstream_job::{Job, JobFolder, State};

use super::names::naming_of;
use super::receipt_writer::is_as_written;
use super::run::open_target;
use crate::args::JobName;
use crate::commands::session::{CommandResult, Session};
use crate::messages::{self, Failure, job::folder as failed};
use crate::report::job::FinishReport;
use crate::tree::{Completion, Event};

pub(super) fn run(name: &JobName, session: &Session) -> CommandResult {
    let (folder, job) = JobFolder::open(&name.job).map_err(failed)?;
    let mut report = FinishReport::new(session.options);
    match folder.state(&job).map_err(failed)? {
        State::Finished => return Ok(report.end(&job, false)),
        State::Aborted => return Err(messages::job::not_open(&name.job, State::Aborted).into()),
        State::Open => {}
    }
    check(&folder, &job, &mut report)?;
    if report.is_clean() {
        complete(&folder, &job, &mut report)?;
    }
    let is_first = report.is_clean() && folder.finish(&job).map_err(failed)?;
    Ok(report.end(&job, is_first))
}

/// Checks that each object has a receipt, and that its output is as the receipt says.
fn check(folder: &JobFolder, job: &Job, report: &mut FinishReport) -> Result<(), Failure> {
    let target = open_target(job)?;
    for shard in 0..u32::try_from(job.shards.len()).unwrap_or(u32::MAX) {
        let receipts = folder.receipts(job, shard).map_err(failed)?;
        for object in folder.shard(job, shard).map_err(failed)? {
            let object = object.map_err(failed)?;
            let path = || job.target.path().join(object.output.path());
            match receipts.done(object.object) {
                Some(written) if is_as_written(&target, object.output.path(), written) => {}
                Some(_) => report.fail(&messages::job::output_differs(&path(), job, shard)),
                None => {
                    let tried = receipts.failed(object.object);
                    report.fail(&messages::job::missing(&path(), job, shard, tried));
                }
            }
        }
    }
    Ok(())
}

/// Completes folders and links.
fn complete(folder: &JobFolder, job: &Job, report: &mut FinishReport) -> Result<(), Failure> {
    let mut fail = |event| {
        if let Event::Failed(failure) = event {
            report.fail(&failure);
        }
    };
    let base = folder.stat().map_err(failed)?;
    let mut completion = Completion::new(job.target.path(), naming_of(job)?, job.replace, base);
    for entry in folder.tree(job).map_err(failed)? {
        completion.add(&entry.map_err(failed)?).into_iter().for_each(&mut fail);
    }
    completion.end().into_iter().for_each(&mut fail);
    Ok(())
}
