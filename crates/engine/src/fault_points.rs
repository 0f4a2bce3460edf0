//! Where tests let a worker die: nothing at all without the feature
//! `fault-hooks`.

/// A moment in a worker's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "fault-hooks"), allow(unreachable_pub, reason = "public to tests"))]
pub enum Point {
    /// Started, and told what it is to do; not sandboxed yet.
    Started,
    /// Locked in, and main not told so yet.
    LockedIn,
    /// A segment is claimed, and nothing of it loaded.
    Claimed,
    /// A part of the segment is loaded and not encrypted yet.
    Loaded,
    /// A piece of the segment is written, perhaps not the last one.
    Writing,
    /// The segment is written, and not reported yet.
    Written,
    /// The result is handed over, and main not woken for it yet.
    Done,
}

#[cfg(feature = "fault-hooks")]
static HOOK: std::sync::OnceLock<fn(u16, Point)> = std::sync::OnceLock::new();
#[cfg(feature = "fault-hooks")]
static WORKER: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);

/// Has `hook` called at every point of this process's life as a worker, with
/// the worker's number, from 1.
#[cfg(feature = "fault-hooks")]
pub fn set_fault_hook(hook: fn(u16, Point)) {
    let _ = HOOK.set(hook);
}

/// Says which worker this is.
#[inline]
pub(crate) fn name(worker: u16) {
    #[cfg(feature = "fault-hooks")]
    WORKER.store(worker, std::sync::atomic::Ordering::Relaxed);
    let _ = worker;
}

/// Says that this point is reached.
#[inline]
pub(crate) fn at(point: Point) {
    #[cfg(feature = "fault-hooks")]
    if let Some(hook) = HOOK.get() {
        hook(WORKER.load(std::sync::atomic::Ordering::Relaxed), point);
    }
    let _ = point;
}
