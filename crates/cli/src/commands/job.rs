//! `job`: one job over many machines.

mod finish;
mod local;
mod names;
mod plan;
mod receipt_writer;
mod run;
mod shard_number;
mod slurm;
mod status;
mod submission;
mod submit;
mod tracker;

use super::session::{CommandResult, Session};
use crate::args::JobAction;

pub(super) fn run(action: JobAction, session: &Session) -> CommandResult {
    match action {
        JobAction::Plan(args) => plan::run(&args, session),
        JobAction::Run(args) => run::run(args, session),
        JobAction::Finish(args) => finish::run(&args.name, session),
        JobAction::Status(args) => status::run(&args, session),
        JobAction::Abort(args) => status::abort(&args, session),
        JobAction::Submit(args) => submit::run(&args, session),
    }
}
