//! `cryptstream-transport`: the process that talks to object stores. `cryptstream` starts it.
//!
//! It is a program of its own because HTTP, TLS and their runtime make a program slower to start:
//! linked into `cryptstream`, they took 0.2 ms of the 1.6 ms for a file of 4 KiB.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cryptstream_engine::program::WipingAllocator;
use cryptstream_remote::{
    CREDENTIALS_ARGUMENT, TRANSPORT_ARGUMENT, credentials_main, transport_main,
};

/// Wipes all memory that is freed, also that of libraries.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

/// The status of a wrong command line.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    let is = |argument: &str| first.as_ref().is_some_and(|first| first == argument);
    if is(CREDENTIALS_ARGUMENT) {
        return credentials_main();
    }
    if !is(TRANSPORT_ARGUMENT) {
        eprintln!("error: cryptstream starts this program itself, for URLs of object stores");
        return ExitCode::from(USAGE);
    }
    // With any handler installed, a write beyond the file size limit returns an error.
    let _ =
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false)));
    transport_main()
}
