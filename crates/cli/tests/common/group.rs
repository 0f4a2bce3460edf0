//! Runs the program in its own process group. The group identifies all its processes, down to the
//! last worker, even after the main process has exited.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{Done, Run, TIMEOUT};

/// Waits until a condition holds, and panics after [`TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < TIMEOUT, "never: {what}");
        thread::sleep(Duration::from_micros(300));
    }
}

/// The main process and all processes that it starts.
pub struct Group {
    child: Child,
    pub pid: Pid,
    root: PathBuf,
}

impl Group {
    /// Starts the program, with nothing on its standard input.
    pub fn start(mut run: Run) -> Self {
        run.command.process_group(0);
        let root = run.command.get_current_dir().unwrap().canonicalize().unwrap();
        let mut child = run.spawn();
        drop(child.stdin.take());
        let pid = Pid::from_child(&child);
        Self { child, pid, root }
    }

    /// The running processes of the group, each with its state: R, S, T and so on.
    pub fn members(&self) -> Vec<(Pid, char)> {
        members(self.pid)
    }

    /// The processes that have become workers.
    pub fn workers(&self) -> Vec<Pid> {
        let is_worker = |pid: &Pid| {
            let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            cmdline.is_ok_and(|cmdline| cmdline == b"cryptstream\0__worker\0")
        };
        self.members().into_iter().map(|(pid, _)| pid).filter(is_worker).collect()
    }

    /// The length of the output that has no name yet, if there is one.
    pub fn unnamed_len(&self) -> Option<u64> {
        let fds = fs::read_dir(format!("/proc/{}/fd", self.pid.as_raw_nonzero())).ok()?;
        let mut unnamed = fds.flatten().map(|fd| fd.path()).filter(|fd| {
            fs::read_link(fd).is_ok_and(|to| {
                to.starts_with(&self.root) && to.to_string_lossy().ends_with(" (deleted)")
            })
        });
        Some(fs::metadata(unnamed.next()?).ok()?.len())
    }

    /// Whether the main process has exited. Its process ID stays reserved until [`Self::wait`].
    pub fn is_over(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid), look).unwrap().is_some()
    }

    /// Waits until a condition holds. Returns `false` if the main process exits first.
    #[track_caller]
    pub fn reaches(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> bool {
        let mut reached = false;
        wait_until(what, || {
            reached = is_so(self);
            reached || self.is_over()
        });
        reached
    }

    /// Sends a signal to the main process only.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Sends a signal to all processes, as a terminal does.
    pub fn signal_all(&self, signal: Signal) {
        // All processes may have exited.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Stops all processes, and waits until they have stopped. Returns `false` if the main process
    /// has exited.
    #[track_caller]
    pub fn freeze(&self) -> bool {
        self.signal_all(Signal::STOP);
        let mut looks = 0u32;
        wait_until("all have stopped", || {
            looks += 1;
            // The main process cannot stop while it waits for a stopped child to become a worker.
            // So both continue for a moment, which becomes longer each time.
            if looks.is_multiple_of(20) {
                self.signal_all(Signal::CONT);
                thread::sleep(Duration::from_millis(u64::from(looks / 20)));
                self.signal_all(Signal::STOP);
            }
            self.members().iter().all(|(_, state)| *state == 'T')
        });
        !self.is_over()
    }

    /// Waits for the main process, and then until all others have exited.
    #[track_caller]
    pub fn wait(self) -> Done {
        // No other group can get its ID before the last worker has exited.
        let done = super::wait(self.child);
        wait_until("all workers are gone", || members(self.pid).is_empty());
        done
    }
}

fn members(group: Pid) -> Vec<(Pid, char)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may contain any character.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, _parent, its_group) = (fields.next()?, fields.next()?, fields.next()?);
        let state = state.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))?;
        let is_member = its_group.parse() == Ok(group.as_raw_nonzero().get());
        is_member.then_some((Pid::from_raw(pid)?, state))
    })
    .collect()
}
