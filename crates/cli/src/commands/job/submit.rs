//! `job submit`: has an engine run the shards.

use cryptstream_job::{JobFolder, State};

use super::submission::Submission;
use super::{local, slurm};
use crate::args::{JobEngine, JobSubmit};
use crate::commands::session::{CommandResult, Session};
use crate::messages::{self, Printed, job::folder as failed};
use crate::report::Status;
use crate::report::job as report;

pub(super) fn run(args: &JobSubmit, session: &Session) -> CommandResult {
    if args.engine == JobEngine::Local {
        return match (args.print, args.options.first(), &args.program) {
            (false, None, None) => local::submit(args, session),
            _ => Err(messages::submit::nothing_to_print().into()),
        };
    }
    if args.parallel.is_some() {
        return Err(messages::submit::parallel_is_local().into());
    }
    let (folder, job) = JobFolder::open(&args.name.job).map_err(failed)?;
    match folder.state(&job).map_err(failed)? {
        State::Open => {}
        state => return Err(messages::job::not_open(&args.name.job, state).into()),
    }
    let shards = u32::try_from(job.shards.len()).unwrap_or(u32::MAX);
    let submission = Submission::new(args, session, job.job.clone(), shards)?;
    match args.engine {
        JobEngine::Local => Err(messages::internal("the local engine has no script").into()),
        JobEngine::Slurm if args.print => print(&slurm::script(&submission)?),
        JobEngine::Slurm => {
            let ids = slurm::submit(&submission)?;
            Ok(report::submitted(&job, "slurm", &ids, session.options))
        }
    }
}

fn print(text: &str) -> CommandResult {
    messages::print_output(text.as_bytes(), Printed::Text)?;
    Ok(Status::default())
}
