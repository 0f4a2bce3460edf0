//! A neighbour who has taken a worker over: it stops workers and writes whatever it
//! likes into the memory that is shared with main.
//!
//! What it does is done from outside, by root or the same user, with no help of the
//! program: SIGSTOP keeps the real worker out of the way, and `/proc/PID/fd` has the
//! shared memory. Where things lie in it is written in `workers/pool.rs` and in
//! `docs/queue.md`.
#![allow(missing_docs, unreachable_pub, reason = "tests use it")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Done, Run, wait};

/// Longer than main waits for workers that finish nothing.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Byte of the shared memory at which the tokens for finished segments are counted.
const DONE_TOKENS: u64 = 128;
/// The first slot, and bytes from one slot to the next.
const SLOTS: u64 = 512;
const SLOT_LEN: u64 = 128;
/// Where the segment's number is in a slot.
const SEGMENT: u64 = 16;

/// A run of the program under attack.
pub struct Victim {
    pub child: Child,
}

/// A slot's word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub state: u8,
    pub worker: u16,
    bits: u64,
}

pub const READY: u8 = 1;
const CLAIMED: u8 = 3;
const LOADED: u8 = 4;
const DONE: u8 = 5;

impl Word {
    fn new(bits: u64) -> Self {
        Self { state: (bits >> 56) as u8, worker: (bits >> 32) as u16, bits }
    }

    pub fn is_held(self) -> bool {
        matches!(self.state, CLAIMED | LOADED)
    }

    /// The same task, done by worker 1.
    fn done(self) -> u64 {
        u64::from(DONE) << 56 | 1 << 32 | self.bits & 0x00ff_0000_ffff_ffff
    }
}

impl Victim {
    pub fn start(run: Run) -> Self {
        Self { child: run.spawn() }
    }

    pub fn main(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The workers that are running the program already, oldest first.
    pub fn workers(&self) -> Vec<Pid> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let pids = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        pids.filter(|pid| {
            let cmdline = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            cmdline.is_ok_and(|cmdline| cmdline == b"cryptstream\0__worker\0")
        })
        .collect()
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Does something again and again until it says that it is done. Fails when the
    /// run is over before, or after [`LIMIT`].
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let is_over = self.is_over();
            if is_over || start.elapsed() > LIMIT {
                let _ = self.child.kill();
                panic!("never (ended: {is_over}): {what}");
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Waits for its end, and kills it when that does not come.
    pub fn end(self) -> Done {
        wait(self.child)
    }
}

pub fn stop(pid: Pid) {
    kill_process(pid, Signal::STOP).unwrap();
    // A signal is sent at once, and takes effect a moment later.
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    for _ in 0..10_000 {
        if fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T")) {
            return;
        }
        thread::sleep(Duration::from_micros(100));
    }
    panic!("it does not stop");
}

pub fn go_on(pid: Pid) {
    let _ = kill_process(pid, Signal::CONT);
}

/// The open descriptors of a process: number, and what it leads to.
pub fn descriptors(pid: Pid) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect()
}

/// Whether a process has this descriptor open for writing only.
pub fn is_writer(pid: Pid, descriptor: u32) -> bool {
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", pid.as_raw_nonzero()));
    let info = info.unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 == 1)
}

/// How many names the file behind a descriptor has.
pub fn names(pid: Pid, descriptor: u32) -> Option<u64> {
    let path = format!("/proc/{}/fd/{descriptor}", pid.as_raw_nonzero());
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.nlink())
}

/// How many pieces of memory that others can map a process has open.
pub fn memories(pid: Pid) -> usize {
    descriptors(pid).iter().filter(|(_, link)| is_memory(link)).count()
}

fn is_memory(link: &Path) -> bool {
    link.to_string_lossy().starts_with("/memfd:cryptstream")
}

/// The memory that main shares with its workers.
pub struct Shared {
    memory: File,
}

impl Shared {
    /// That of this process, main or worker: of its memory files the largest.
    pub fn of(pid: Pid) -> Option<Self> {
        let numbers = descriptors(pid).into_iter().filter(|(_, link)| is_memory(link));
        let paths = numbers.map(|(fd, _)| format!("/proc/{}/fd/{fd}", pid.as_raw_nonzero()));
        let largest = paths.max_by_key(|path| fs::metadata(path).map_or(0, |it| it.len()))?;
        // The memory of a worker alone has 1 MiB; the shared one several.
        let is_shared = fs::metadata(&largest).ok()?.len() > 4 << 20;
        let memory = File::options().read(true).write(true).open(largest).ok()?;
        is_shared.then_some(Self { memory })
    }

    /// The words of the slots, as far as there is something in them.
    pub fn words(&self) -> Vec<(u64, Word)> {
        let slots = (0..32).map(|slot| (slot, Word::new(self.read(SLOTS + SLOT_LEN * slot))));
        slots
            .take_while(|(_, word)| word.state <= DONE)
            .filter(|(_, word)| word.state > 0)
            .collect()
    }

    /// Writes into every task that is ready that it is for segment 0, but not into that
    /// of segment `last`: its absence would show in the output's length.
    pub fn misdirect(&self, last: u64) {
        for (slot, word) in self.words() {
            let at = SLOTS + SLOT_LEN * slot + SEGMENT;
            if word.state == READY && self.read(at) != last {
                self.write(at, 0);
            }
        }
    }

    /// Says of every task that it is done. Main must be stopped.
    pub fn say_done(&self) -> usize {
        let mut said = 0;
        for (slot, word) in self.words() {
            if word.state == READY || word.is_held() {
                for index in 0..4 {
                    self.write(SLOTS + SLOT_LEN * slot + 72 + 8 * index, 0);
                }
                self.write(SLOTS + SLOT_LEN * slot, word.done());
                said += 1;
            }
        }
        said
    }

    /// Tells main that very many segments are done.
    pub fn flood(&self) {
        self.memory.write_all_at(&u32::MAX.to_le_bytes(), DONE_TOKENS).unwrap();
    }

    fn read(&self, at: u64) -> u64 {
        let mut value = [0; 8];
        self.memory.read_exact_at(&mut value, at).unwrap();
        u64::from_le_bytes(value)
    }

    fn write(&self, at: u64, value: u64) {
        self.memory.write_all_at(&value.to_le_bytes(), at).unwrap();
    }
}
