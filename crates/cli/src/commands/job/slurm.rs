//! `job submit --engine slurm`: an array with the shards, and a task that finishes the job.
//!
//! Slurm runs a task again itself when its node is lost or it is preempted (`--requeue`). If a
//! shard ends with 75, its script asks for that.

use std::io::Write;
use std::process::{Command, Stdio};

use super::submission::{Submission, shell_words};
use crate::initial_environment::PASSPHRASE;
use crate::messages::{self, Failure};

/// The most tasks of one array: the default of MaxArraySize permits the numbers up to 1000.
const MAX_TASKS: u32 = 1000;
/// How often a task is run again that has ended with 75.
const MAX_RESTARTS: u32 = 10;
/// Options that the job sets itself.
const OWN_OPTIONS: [&str; 6] = ["array", "dependency", "no-requeue", "parsable", "requeue", "wrap"];

/// A script that does what [`submit`] does.
pub(super) fn script(submission: &Submission) -> Result<String, Failure> {
    check(submission)?;
    let mut script = format!(
        "#!/bin/sh\n\
         # Submits the job {} to Slurm: its shards, and a task that finishes it.\n\
         set -eu\n\
         # The tasks get the environment, but no secret.\n\
         unset {PASSPHRASE}\n\
         after=afterany\n",
        submission.id
    );
    for array in arrays(submission) {
        let arguments = shell_words(&array.arguments);
        script += &format!(
            "id=$(sbatch {arguments} << 'END_OF_TASK'\n{}END_OF_TASK\n)\n\
             after=$after:${{id%%;*}}\n",
            array.script
        );
    }
    let finish = finish(submission);
    let arguments = shell_words(&finish.arguments);
    script += &format!(
        "sbatch {arguments} --dependency=\"$after\" << 'END_OF_TASK'\n{}END_OF_TASK\n",
        finish.script
    );
    Ok(script)
}

/// Submits the job, and returns the numbers that Slurm has given to its parts.
pub(super) fn submit(submission: &Submission) -> Result<Vec<String>, Failure> {
    check(submission)?;
    let mut ids = Vec::new();
    let submitted = submit_all(submission, &mut ids);
    if submitted.is_err() && !ids.is_empty() {
        // Without the task that finishes the job, the user would wait in vain.
        let _ = Command::new("scancel").args(&ids).stdin(Stdio::null()).status();
    }
    submitted.map(|()| ids)
}

fn submit_all(submission: &Submission, ids: &mut Vec<String>) -> Result<(), Failure> {
    for array in arrays(submission) {
        ids.push(sbatch(&array)?);
    }
    let mut finish = finish(submission);
    finish.arguments.push(format!("--dependency=afterany:{}", ids.join(":")));
    ids.push(sbatch(&finish)?);
    Ok(())
}

/// What one call of sbatch gets.
struct Batch {
    arguments: Vec<String>,
    script: String,
}

/// The shards.
fn arrays(submission: &Submission) -> impl Iterator<Item = Batch> {
    let shards = submission.shards;
    (0..shards).step_by(MAX_TASKS as usize).map(move |first| {
        let last = (shards - first).min(MAX_TASKS) - 1;
        let mut arguments = arguments(submission, &submission.name());
        arguments.push(format!("--array=0-{last}"));
        let command = shell_words(&submission.run);
        let number = format!("\"$(({first} + SLURM_ARRAY_TASK_ID))/{shards}\"");
        let script = task(&submission.id, &format!("{command} --shard {number}"));
        Batch { arguments, script }
    })
}

/// The end of the job, which says what is missing whatever has become of the shards.
fn finish(submission: &Submission) -> Batch {
    let arguments = arguments(submission, &format!("{}-finish", submission.name()));
    Batch { arguments, script: task(&submission.id, &shell_words(&submission.finish)) }
}

fn arguments(submission: &Submission, name: &str) -> Vec<String> {
    let own = [
        "--parsable",
        "--requeue",
        // The output of all attempts.
        "--open-mode=append",
        // Before the time limit.
        "--signal=B:TERM@60",
    ];
    let mut arguments = own.map(str::to_owned).to_vec();
    arguments.push(format!("--job-name={name}"));
    // Later ones win.
    arguments.extend(submission.options.iter().map(|option| match &option.value {
        Some(value) => format!("--{}={value}", option.name),
        None => format!("--{}", option.name),
    }));
    arguments
}

/// The script of a task.
fn task(id: &str, command: &str) -> String {
    format!(
        r#"#!/bin/sh
# A task of the job {id}.
terminated=
trap 'terminated=yes; kill -TERM "$task" 2> /dev/null' TERM
{command} &
task=$!
[ -z "$terminated" ] || kill -TERM "$task"
wait "$task"
status=$?
if [ -n "$terminated" ]; then
    # A trapped signal ends the waiting, but not the task.
    wait "$task"
    again=$?
    [ "$again" -eq 127 ] || status=$again
fi
# What ended with 75 or was killed may succeed later. If it does not run any more, it is Slurm that
# has ended it.
if [ "$status" -eq 75 ] || [ "$status" -gt 128 ]; then
    # SLURM_JOB_ID of one of the tasks means the whole array.
    own=${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}
    state=$(squeue --noheader --format=%T --jobs="$own")
    if [ "$state" = RUNNING ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {MAX_RESTARTS} ]; then
        trap - TERM
        scontrol requeue "$own" && sleep 600
    fi
fi
exit "$status"
"#
    )
}

/// Options that would break the job are refused.
fn check(submission: &Submission) -> Result<(), Failure> {
    let own = submission.options.iter().find(|option| OWN_OPTIONS.contains(&&*option.name));
    match own {
        Some(option) => Err(messages::submit::own_option(&option.name)),
        None => Ok(()),
    }
}

/// Calls sbatch, and returns the number of what it has submitted.
fn sbatch(batch: &Batch) -> Result<String, Failure> {
    let mut command = Command::new("sbatch");
    // Tasks get the environment, of which `initial_environment` has removed the passphrase.
    command.args(&batch.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| messages::submit::no_sbatch(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If sbatch does not read it, its exit status says why.
        let _ = stdin.write_all(batch.script.as_bytes());
    }
    let output = child.wait_with_output();
    let output = output.map_err(|error| messages::submit::no_sbatch(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Of several clusters, it names its own.
    let id = text.trim().split(';').next().unwrap_or_default();
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match output.status.success() && is_number {
        true => Ok(id.to_owned()),
        false => Err(messages::submit::sbatch_failed()),
    }
}
