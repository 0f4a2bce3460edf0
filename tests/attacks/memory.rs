//! What an attacker finds in a process's memory. Used by the attacks on secrets.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::common::TIMEOUT;

/// Where `wanted` occurs in the memory of a process that can be written, each with
/// whether that memory is locked; `None` where this user may not look.
pub(crate) fn find(pid: u32, wanted: &[u8]) -> Option<Vec<(u64, bool)>> {
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mappings = fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?;
    let mut found = Vec::new();
    let mut range = (0, 0);
    for line in mappings.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((start, end)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            let is_writable = words.next().unwrap().contains('w');
            range = if is_writable { (number(start), number(end)) } else { (0, 0) };
        } else if first == "VmFlags:" {
            let is_locked = words.any(|flag| flag == "lo");
            let mut bytes = vec![0; usize::try_from(range.1 - range.0).unwrap()];
            // Guard pages cannot be read.
            if memory.read_exact_at(&mut bytes, range.0).is_ok() {
                let hits = bytes.windows(wanted.len()).enumerate();
                let hits = hits.filter(|(_, window)| *window == wanted);
                found.extend(hits.map(|(at, _)| (range.0 + at as u64, is_locked)));
            }
        }
    }
    Some(found)
}

/// A number from /proc/PID/status.
pub(crate) fn status(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < TIMEOUT, "waited for nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until all threads of the process sleep, twice in a row.
#[track_caller]
pub(crate) fn wait_until_idle(pid: u32) {
    let mut idle = 0;
    wait_until(|| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        idle = if after_name.trim_start().starts_with('S') { idle + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(50));
        idle > 4
    });
}
