//! A lock, so that only one process at a time asks on a terminal.
//!
//! If two programs in a pipe ask at the same time, the second turns off an echo that the first has
//! already turned off, and either may get the answer meant for the other. So each locks the
//! terminal first, with flock. It locks the terminal's own device, since /dev/tty is one file for
//! all terminals of the machine. Only the terminal's owner can open the device, so other users
//! cannot hold the lock. Serial lines are not locked, because other programs lock those for as
//! long as they use them. Without a lock, the prompts still name the file they are for.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;

/// The time between two attempts to take the lock.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Major device numbers of pseudo-terminals and consoles, and minor ones of consoles.
const PTS: std::ops::RangeInclusive<u32> = 136..=143;
const CONSOLE: u32 = 4;
const CONSOLES: std::ops::RangeInclusive<u32> = 1..=63;

/// The lock, released on drop; `None` if the terminal cannot be locked.
pub(super) struct Lock(#[expect(dead_code, reason = "closing it unlocks")] Option<OwnedFd>);

impl Lock {
    /// Waits for the lock. Returns `None` if a signal arrives first, which makes `signals`
    /// readable.
    pub(super) fn take(signals: &impl AsFd) -> Option<Self> {
        let Some(device) = device() else { return Some(Self(None)) };
        let has_signal = |patience: &Timespec| {
            let mut fds = [PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN)];
            poll(&mut fds, Some(patience)).is_ok_and(|ready| ready > 0)
        };
        loop {
            match flock(&device, FlockOperation::NonBlockingLockExclusive) {
                // The lock may be free because its holder got the same signal.
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

/// Opens the controlling terminal's own device.
fn device() -> Option<OwnedFd> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may contain any character. The number is the seventh field.
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
