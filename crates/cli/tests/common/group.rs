//! The program in a process group of its own: who belongs to it, down to the
//! last worker, can be told by the group even when main is gone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{Done, PATIENCE, Run};

/// Waits until something is so, and fails when it never is.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_micros(300));
    }
}

/// Main, and whatever it starts.
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

    /// The processes of the group that live, and how each is: R, S, T and so on.
    pub fn members(&self) -> Vec<(Pid, char)> {
        members(self.pid)
    }

    /// Those that are workers already.
    pub fn workers(&self) -> Vec<Pid> {
        let is_worker = |pid: &Pid| {
            let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            cmdline.is_ok_and(|cmdline| cmdline == b"cryptstream\0__worker\0")
        };
        self.members().into_iter().map(|(pid, _)| pid).filter(is_worker).collect()
    }

    /// Bytes in the output that has no name yet; `None` without one.
    pub fn unnamed_len(&self) -> Option<u64> {
        let fds = fs::read_dir(format!("/proc/{}/fd", self.pid.as_raw_nonzero())).ok()?;
        let mut unnamed = fds.flatten().map(|fd| fd.path()).filter(|fd| {
            fs::read_link(fd).is_ok_and(|to| {
                to.starts_with(&self.root) && to.to_string_lossy().ends_with(" (deleted)")
            })
        });
        Some(fs::metadata(unnamed.next()?).ok()?.len())
    }

    /// Whether main has ended. Its number stays its own until [`Self::wait`].
    pub fn is_over(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid), look).unwrap().is_some()
    }

    /// Waits until something is so, or all is over: then `false`.
    #[track_caller]
    pub fn reaches(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> bool {
        let mut reached = false;
        wait_until(what, || {
            reached = is_so(self);
            reached || self.is_over()
        });
        reached
    }

    /// A signal to main alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// A signal to all, as from a terminal.
    pub fn signal_all(&self, signal: Signal) {
        // Nobody may be left.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Stops all, and waits until they have stopped; `false` if it is over.
    #[track_caller]
    pub fn freeze(&self) -> bool {
        self.signal_all(Signal::STOP);
        let mut looks = 0u32;
        wait_until("all have stopped", || {
            looks += 1;
            // Main cannot stop while it waits for a stopped child to become a
            // worker. Then the two get a moment, and a longer one each time.
            if looks.is_multiple_of(20) {
                self.signal_all(Signal::CONT);
                thread::sleep(Duration::from_millis(u64::from(looks / 20)));
                self.signal_all(Signal::STOP);
            }
            self.members().iter().all(|(_, state)| *state == 'T')
        });
        !self.is_over()
    }

    /// Waits for main, and then for everybody else to be gone.
    #[track_caller]
    pub fn wait(self) -> Done {
        // No other group can bear its number before the last worker is gone.
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
        // The name, in brackets, may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, _parent, its_group) = (fields.next()?, fields.next()?, fields.next()?);
        let state = state.chars().next().filter(|state| !matches!(state, 'Z' | 'X'))?;
        let is_member = its_group.parse() == Ok(group.as_raw_nonzero().get());
        is_member.then_some((Pid::from_raw(pid)?, state))
    })
    .collect()
}
