//! `job submit --engine local`: runs the shards as processes on this machine.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cryptstream_engine::program::on_interrupt;
use cryptstream_job::JobFolder;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::finish;
use crate::args::JobSubmit;
use crate::commands::session::{CommandResult, Session};
use crate::messages::{self, Failure, code, job::folder as failed};
use crate::report::Failures;
use crate::request::cores;
use crate::system;

/// How often a shard is run at most.
const MAX_ATTEMPTS: u32 = 5;
/// The pause before the second attempt; before the third one it is twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn submit(args: &JobSubmit, session: &Session) -> CommandResult {
    let (_, job) = JobFolder::open(&args.name.job).map_err(failed)?;
    let parallel = args.parallel.unwrap_or(1) as usize;
    let engine = LocalEngine {
        args,
        is_quiet: session.options.quiet,
        no_config: session.no_config,
        shards: u32::try_from(job.shards.len()).unwrap_or(u32::MAX),
        // The processes share the cores.
        processes: (parallel > 1).then(|| (cores() / parallel).max(1)),
        next: AtomicU32::new(0),
        running: Arc::default(),
        failures: Mutex::default(),
    };
    engine.run(parallel)?;
    let mut failures = engine.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() {
        return finish::run(&args.name, session);
    }
    failures.sort_by_key(|(shard, _)| *shard);
    Err(Failures(failures.into_iter().map(|(_, failure)| failure).collect()))
}

struct LocalEngine<'a> {
    args: &'a JobSubmit,
    is_quiet: bool,
    no_config: bool,
    shards: u32,
    /// Worker processes of each shard; as many as are worth it if there is one shard at a time.
    processes: Option<usize>,
    next: AtomicU32,
    running: Arc<Mutex<Vec<(u32, OwnedFd)>>>,
    failures: Mutex<Vec<(u32, Failure)>>,
}

impl LocalEngine<'_> {
    fn run(&self, parallel: usize) -> Result<(), Failure> {
        let running = Arc::clone(&self.running);
        let stop = move || {
            for (_, process) in running.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                // One that has ended needs no signal.
                let _ = pidfd_send_signal(process, Signal::TERM);
            }
        };
        let on_interrupt = on_interrupt(Box::new(stop));
        let _on_interrupt =
            on_interrupt.map_err(|error| messages::cannot_start("a thread", &error))?;
        let commands: Vec<_> = (0..self.shards).map(|shard| self.command(shard)).collect();
        let commands: Vec<_> = commands.into_iter().map(Mutex::new).collect();
        std::thread::scope(|scope| {
            for _ in 0..parallel.min(commands.len()) {
                let work = || {
                    loop {
                        let shard = self.next.fetch_add(1, Ordering::Relaxed);
                        let Some(command) = commands.get(shard as usize) else { return };
                        let mut command = command.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Err(failure) = self.run_shard(shard, &mut command) {
                            let mut failures =
                                self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                            failures.push((shard, failure));
                        }
                    }
                };
                let thread = std::thread::Builder::new().name("shards".to_owned());
                thread
                    .spawn_scoped(scope, work)
                    .map_err(|error| messages::cannot_start("a thread", &error))?;
            }
            Ok(())
        })
    }

    /// Runs a shard until it is done, or until another attempt would not help.
    fn run_shard(&self, shard: u32, command: &mut Command) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let status = self.attempt(shard, command)?;
            match status {
                Some(0) => return Ok(()),
                None => {}
                Some(status) if status == i32::from(code::TRY_AGAIN) => {}
                Some(_) => return Err(messages::job::shard_failed(shard, status)),
            }
            if attempt == MAX_ATTEMPTS {
                return Err(messages::job::shard_failed(shard, status));
            }
            if !self.is_quiet {
                messages::note(&messages::job::again(shard, status));
            }
            std::thread::sleep(PAUSE * attempt);
            attempt += 1;
        }
    }

    /// Runs a shard once. Returns its exit status, or `None` if it was killed.
    fn attempt(&self, shard: u32, command: &mut Command) -> Result<Option<i32>, Failure> {
        let failed = |error: std::io::Error| messages::cannot_start("a process", &error);
        let lock = || self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = {
            // Locked, so that no process is started after all were told to stop.
            let mut running = lock();
            let child = command.spawn().map_err(failed)?;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let process = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
            // Without it an interruption leaves the process to its end.
            running.extend(process.and_then(Result::ok).map(|process| (shard, process)));
            child
        };
        let status = child.wait();
        lock().retain(|(other, _)| *other != shard);
        Ok(status.map_err(failed)?.code())
    }

    fn command(&self, shard: u32) -> Command {
        let mut command = Command::new(system::own_program());
        command.args(["job", "run", "--job"]).arg(&self.args.name.job);
        command.args(["--shard", &format!("{shard}/{}", self.shards)]);
        for identity in &self.args.identity {
            command.arg("-i").arg(identity);
        }
        if let Some(processes) = self.processes {
            command.args(["--processes", &processes.to_string()]);
        }
        if self.no_config {
            command.arg("--no-config");
        }
        if self.is_quiet {
            command.arg("--quiet");
        }
        command.args(["--progress", "never"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}
