//! `cryptstream`: file encryption faster than copying, with nothing lost.
//!
//! A command line passes through these stages: [`argv`] and [`initial_environment`] take
//! the secrets out of the process's arguments and environment, [`args`] is what was typed, [`config`] fills in
//! the user's own defaults, [`request`] is what was meant, [`commands`] does
//! it. [`messages`] has every word that is said about it, [`report`] says it.

mod args;
mod argv;
mod commands;
mod config;
mod file_type;
mod initial_environment;
mod initial_memory;
mod json;
mod keyring;
mod messages;
mod parse;
mod progress;
mod report;
mod request;
mod system;
mod tree;
mod write_access;

use std::process::ExitCode;

use cryptstream_engine::{WORKER_ARGUMENT, WipingAllocator};

/// Wipes whatever is freed, also what libraries have copied.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

fn main() -> ExitCode {
    // Before anything else, and without parsing: workers are started by us.
    if std::env::args_os().nth(1).is_some_and(|first| first == WORKER_ARGUMENT) {
        system::survive_size_limit();
    }
    system::init_worker();
    if std::env::args_os().nth(1).is_some_and(|first| first == commands::READER_ARGUMENT) {
        system::survive_size_limit();
        return commands::reader_main();
    }
    system::prepare();
    report_panics();
    let (arguments, key) = argv::take();
    initial_environment::clean();
    system::hide_memory();
    match parse::parse(arguments) {
        Ok(cli) => report::settled(commands::run(cli, key)),
        Err(exit_code) => exit_code,
    }
}

/// Gives internal errors the exit status and the words of any other error.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        keyring::restore_terminal();
        report::say_internal_error(&messages::internal(&info.to_string()));
        std::process::exit(i32::from(messages::code::INTERNAL));
    }));
}
