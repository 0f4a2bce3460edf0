//! Across processes: killing workers at each point of a task, semaphores and
//! the channel's end.
//!
//! The other processes are this test program again, started with its one test
//! [`child`] and a socket as standard input. Every test has a watchdog, and so
//! has every child.
#![cfg(all(not(loom), target_os = "linux", not(portable_platform)))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod death;
mod sharing;
mod worker;
mod world;

/// What a started process does. Nothing, when started as a test among others.
#[test]
fn child() {
    if std::env::var_os(world::CHILD).is_some() {
        worker::serve();
    }
}
