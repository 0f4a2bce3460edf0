//! Which of several processes may ask on a terminal.
//!
//! Of two programs in one pipe that both ask, the second would turn the echo off
//! that the first has turned off, and either may get the answer meant for the
//! other. So each takes a lock (flock) on the terminal first. It is the device
//! that is locked, not /dev/tty, which is one file for all terminals of the
//! machine; nobody but the terminal's owner can open it, so that other users
//! cannot hold it up. Serial lines are left alone: other programs lock those for
//! as long as they use them. Where there is nothing to lock, prompts still say
//! which file they are for.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;

/// How often the lock is tried.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Device numbers of pseudo-terminals and of consoles.
const PTS: std::ops::RangeInclusive<u32> = 136..=143;
const CONSOLE: u32 = 4;
const CONSOLES: std::ops::RangeInclusive<u32> = 1..=63;

/// Held while this lives; `None` where there is none.
pub(super) struct Lock(#[expect(dead_code, reason = "closing it unlocks")] Option<OwnedFd>);

impl Lock {
    /// Waits for the lock; `None` when a signal comes meanwhile, for which `signals` becomes
    /// readable.
    pub(super) fn take(signals: &impl AsFd) -> Option<Self> {
        let Some(device) = device() else { return Some(Self(None)) };
        let has_signal = |patience: &Timespec| {
            let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            poll(&mut fds, Some(patience)).is_ok_and(|ready| ready > 0)
        };
        loop {
            match flock(&device, FlockOperation::NonBlockingLockExclusive) {
                // It may be free because its holder has got the same signal.
                Ok(()) if has_signal(&Timespec::default()) => return None,
                Ok(()) => return Some(Self(Some(device))),
                Err(Errno::WOULDBLOCK) => {}
                Err(_) => return Some(Self(None)),
            }
            if has_signal(&RETRY) {
                return None;
            }
        }
    }
}

/// The controlling terminal's own device.
fn device() -> Option<OwnedFd> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may hold anything; the number is the seventh field.
    let number: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(4)?.parse().ok()?;
    let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
    let path = match major {
        _ if PTS.contains(&major) => format!("/dev/pts/{}", ((major - PTS.start()) << 8) + minor),
        CONSOLE if CONSOLES.contains(&minor) => format!("/dev/tty{minor}"),
        _ => return None,
    };
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let its = fstat(&device).ok()?.st_rdev;
    ((rustix::fs::major(its), rustix::fs::minor(its)) == (major, minor)).then_some(device)
}
