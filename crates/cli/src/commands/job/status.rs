//! `job status` and `job abort`.

use cryptstream_job::{JobFolder, State};

use crate::args::JobName;
use crate::commands::session::{CommandResult, Session};
use crate::messages::job::{self as messages, Progress, folder as failed};
use crate::report::job as report;

pub(super) fn run(name: &JobName, session: &Session) -> CommandResult {
    let (folder, job) = JobFolder::open(&name.job).map_err(failed)?;
    let state = folder.state(&job).map_err(failed)?;
    let mut progress = Progress { state, done: 0, failed: 0, shards_done: 0, attempts: 0 };
    for (shard, totals) in (0..).zip(&job.shards) {
        let receipts = folder.receipts(&job, shard).map_err(failed)?;
        let (done, in_vain) = receipts.counts();
        progress.done += done;
        progress.failed += in_vain;
        progress.shards_done += u64::from(done == totals.objects);
        progress.attempts += receipts.attempts;
    }
    Ok(report::status(&job, &progress, session.options))
}

pub(super) fn abort(name: &JobName, session: &Session) -> CommandResult {
    let (folder, job) = JobFolder::open(&name.job).map_err(failed)?;
    if folder.state(&job).map_err(failed)? == State::Finished {
        return Err(messages::not_open(&name.job, State::Finished).into());
    }
    let is_first = folder.abort(&job).map_err(failed)?;
    Ok(report::aborted(&job, is_first, session.options))
}
