//! Tests across processes: workers killed at each point of a task, semaphores, and the end of the
//! channel.
//!
//! The other processes are this test program again, started with its one test
//! [`child`] and a socket as standard input. Every test has a watchdog, and so
//! has every child.
#![cfg(all(not(loom), target_os = "linux", not(portable_platform)))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod death;
mod shared_memory;
mod sharing;
mod worker;

/// The code of a child process. Does nothing when run as an ordinary test.
#[test]
fn child() {
    if std::env::var_os(shared_memory::CHILD).is_some() {
        worker::serve();
    }
}
