//! `cryptstream`: encrypts files on several cores, with sandboxed worker processes.
//!
//! A command line passes through these stages: [`argv`] and [`initial_environment`] remove
//! secrets from the process's arguments and environment, [`parse`] reads the flags that [`args`]
//! defines, [`config`] adds the user's defaults, [`request`] resolves what is meant, and
//! [`commands`] runs it. [`messages`] has the wording of all messages, [`report`] reports
//! results.

mod args;
mod argv;
mod commands;
mod config;
mod counts;
mod exit_code;
mod file_names;
mod file_type;
mod initial_environment;
mod initial_memory;
mod json;
mod keyring;
mod messages;
mod most_like;
mod objects;
mod parse;
mod progress;
mod report;
mod request;
mod storage_options;
mod system;
mod tree;
mod verb;
mod write_access;

use std::process::ExitCode;

use cryptstream_engine::program::{WORKER_ARGUMENT, WipingAllocator};

/// Wipes all memory that is freed, also that of libraries.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

fn main() -> ExitCode {
    // Before anything else, and without parsing: this program has started it.
    if std::env::args_os().nth(1).is_some_and(|first| first == WORKER_ARGUMENT) {
        system::survive_size_limit();
    }
    system::init_worker();
    if std::env::args_os().nth(1).is_some_and(|first| first == commands::PARSER_ARGUMENT) {
        system::survive_size_limit();
        return commands::parser_main();
    }
    system::prepare();
    report_panics();
    let (arguments, key) = argv::take_key();
    initial_environment::clean();
    system::hide_memory();
    match parse::parse(arguments) {
        Ok(cli) => report::final_exit_code(commands::run(cli, key)),
        Err(exit_code) => exit_code,
    }
}

/// Reports panics like any other error.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        keyring::restore_terminal();
        report::report_internal_error(&messages::internal(&info.to_string()));
        std::process::exit(i32::from(exit_code::INTERNAL));
    }));
}
