//! The queue between threads of one process, guarding plain memory, for a race detector.
//! `ci/threads.sh` runs it under one.
//!
//! The buffers here are ordinary bytes, read and written without atomics, and
//! nothing but the queue orders the accesses: no semaphore, which would order
//! more than the queue does. So each missing release or acquire of the queue is
//! a data race.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(not(loom))]
mod race;

/// Without the test harness, in which the detector would find unrelated races.
fn main() {
    // The model checker's atomics work in its own models only.
    #[cfg(not(loom))]
    race::run();
}
