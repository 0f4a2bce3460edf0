//! A run over a shard of a job.

use cryptstream_engine::{CommitOptions, Engine};

use super::TreeRun;
use crate::args::{ReportOptions, Workers};
use crate::messages::{self, Failure};
use crate::report::tree::TreeRunNames;
use crate::request::engine_options;
use crate::tree::Plan;

impl TreeRun {
    /// A run over a shard of a job, whose objects are in `plan`. `name` is what it is called in
    /// messages; `shard` is the job and the number for reports.
    pub(in crate::commands) fn of_shard(
        mut plan: Plan,
        name: String,
        shard: Option<(String, u32)>,
        workers: &Workers,
        options: ReportOptions,
    ) -> Result<Self, Failure> {
        let mut engine = Engine::with_options(engine_options(workers));
        let parser = engine.parser();
        plan.parser = parser.map_err(|error| messages::engine(error, plan.verb()))?;
        let root = plan.roots.first().ok_or_else(|| messages::internal("a job without a root"))?;
        let (input, output) = (Some(root.input.clone()), root.output.clone());
        let names = (name, messages::quoted(&output));
        let command = if plan.encrypts() { "encrypt" } else { "decrypt" };
        let follow_mode = plan.encrypts();
        let commit = CommitOptions {
            keep_times: true,
            keep_mode: true,
            follow_mode,
            ..CommitOptions::default()
        };
        let report_names = TreeRunNames { command, input, output, shard };
        Ok(Self { plan, commit, engine, is_fail_fast: false, options, names, report_names })
    }
}
