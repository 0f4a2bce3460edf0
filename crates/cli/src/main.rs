//! `cryptstream`: file encryption faster than copying, with nothing lost.
//!
//! A command line passes through five rooms: [`argv`] takes the secrets out
//! of the process's arguments, [`args`] is what was typed, [`config`] fills in
//! the user's own defaults, [`request`] is what was meant, [`commands`] does
//! it. [`messages`] has every word that is said about it, [`report`] says it.

mod args;
mod argv;
mod benchmark;
mod commands;
mod config;
mod keyring;
mod messages;
mod progress;
mod report;
mod request;
mod sniff;
mod system;
mod tree;

use std::process::ExitCode;

use cryptstream_engine::{WORKER_ARGUMENT, worker_main};

fn main() -> ExitCode {
    // Before anything else, and without parsing: workers are started by us.
    if std::env::args_os().nth(1).is_some_and(|first| first == WORKER_ARGUMENT) {
        system::survive_size_limit();
        return worker_main();
    }
    system::prepare();
    let (arguments, key) = argv::take();
    match args::parse(arguments) {
        Ok(cli) => commands::run(cli, key),
        Err(exit_code) => exit_code,
    }
}
