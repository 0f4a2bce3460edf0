//! For how long a process or a thread has run or has waited for a core, as Linux tells it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// A clock that stands still while the thread waits for anything but a core.
pub(crate) struct BusyTime(Option<File>);

impl BusyTime {
    /// The clock of the calling thread.
    pub(crate) fn of_this_thread() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    /// The clock of a process with one thread.
    pub(crate) fn of_process(id: u32) -> Self {
        Self(File::open(format!("/proc/{id}/schedstat")).ok())
    }

    /// What it shows; `None` where the system does not tell.
    pub(crate) fn read(&self) -> Option<Duration> {
        let mut text = [0; 128];
        let len = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        parse(str::from_utf8(&text[..len]).ok()?)
    }
}

/// Nanoseconds on a core, nanoseconds waiting for one, and a number of turns (proc(5)).
fn parse(text: &str) -> Option<Duration> {
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    let (on_core, waiting): (u64, u64) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Duration::from_nanos(on_core.saturating_add(waiting)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_times_count() {
        assert_eq!(parse("1000000 500000 12\n"), Some(Duration::from_micros(1500)));
        assert_eq!(parse("1000000"), None);
        assert_eq!(parse("x 1 2"), None);
    }

    #[test]
    fn a_thread_that_sleeps_is_not_busy() {
        let (start, clock) = (std::time::Instant::now(), BusyTime::of_this_thread());
        let Some(before) = clock.read() else { return };
        std::thread::sleep(Duration::from_millis(30));
        let busy = clock.read().unwrap_or_default() - before;
        // A bit less than it slept, because the system updates the times every few milliseconds.
        assert!(busy + Duration::from_millis(20) <= start.elapsed(), "{busy:?}");
    }
}
