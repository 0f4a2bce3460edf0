//! What the commands do, each in a few steps.

mod archive;
mod benchmark;
mod completions;
mod file_list;
mod inputs;
mod inspect;
mod keygen;
mod lookahead;
mod manual;
mod one_file;
mod range;
mod rekey;
mod salvage;
mod show;
mod tree;
mod verify;

pub(crate) use archive::{READER_ARGUMENT, reader_main};

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::args::{Cli, Command, Decrypt, Encrypt, Inspect, List, Rekey, Verify, When};
use crate::report::Status;
use crate::{config, messages, report, system};

/// Runs one command to its end and says what is to be said.
pub(crate) fn run(mut cli: Cli, key: Option<Zeroizing<Vec<u8>>>) -> ExitCode {
    messages::set_quiet(cli.talk.quiet);
    if cli.talk.verbose
        && let Some(error) = system::not_locked()
    {
        messages::note(&messages::not_locked(error));
    }
    if let Err(failure) = config::settle(&mut cli) {
        return Status::refused(&failure, cli.talk.json);
    }
    let Cli { mut command, mut talk, no_config } = cli;
    talk.apply_color();
    if talk.json && talk.progress() == When::Always && !io::stderr().is_terminal() {
        // Lines of text would stand between those of JSON.
        talk.progress = Some(When::Json);
    }
    messages::speak_to_programs(talk.json, talk.progress() == When::Json);
    let _on_interrupt = report::say_interrupted_to_programs(talk);
    match &mut command {
        Command::Encrypt(Encrypt { files, .. }) => files.settle(false),
        Command::Decrypt(Decrypt { files, stdout, .. }) => files.settle(*stdout),
        _ => {}
    }
    let listed = match &mut command {
        Command::Encrypt(Encrypt { files, tree, .. })
        | Command::Decrypt(Decrypt { files, tree, .. }) => file_list::add_to(files, tree),
        Command::Verify(Verify { files, file_list, .. })
        | Command::Inspect(Inspect { files, file_list, .. })
        | Command::Rekey(Rekey { files, file_list, .. })
        | Command::List(List { files, file_list, .. }) => {
            file_list::read(file_list).map(|names| files.extend(names))
        }
        _ => Ok(()),
    };
    if let Err(failure) = listed {
        return Status::refused(&failure, talk.json);
    }
    // Where standard output carries data, reports go elsewhere. Before that
    // is known, the safe assumption is made.
    let mut is_stdout_data = false;
    let result = match command {
        Command::Encrypt(args) if args.packing.archive => {
            return archive::encrypt(args, key, talk);
        }
        Command::Encrypt(args) if args.delete || tree::is_meant(&args.files, &args.tree) => {
            return tree::encrypt(args, key, talk);
        }
        Command::Encrypt(args) => one_file::encrypt(args, key, talk, &mut is_stdout_data),
        Command::Decrypt(args) if args.unpacking.extract => {
            return archive::decrypt(args, key, talk);
        }
        Command::Decrypt(args) if args.salvage => return salvage::run(args, key, talk),
        Command::Decrypt(args)
            if args.range.is_none() && tree::is_meant(&args.files, &args.tree) =>
        {
            return tree::decrypt(args, key, talk);
        }
        Command::Decrypt(args) => one_file::decrypt(args, key, talk, &mut is_stdout_data),
        Command::Keygen(args) => keygen::run(&args, talk, &mut is_stdout_data),
        // Of several files each is reported by itself.
        Command::Inspect(args) => return inspect::run(args, talk),
        Command::List(args) => return archive::list(args, key, talk),
        Command::Verify(args) => return verify::run(args, key, talk),
        Command::Rekey(args) => return rekey::run(args, key, talk),
        Command::Benchmark(args) => benchmark::run(&args, talk),
        Command::Config => show::run(no_config, talk),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => manual::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if talk.json {
                messages::print_json_error(&failure, is_stdout_data);
            } else {
                messages::print_error(&failure);
            }
            ExitCode::from(failure.code)
        }
    }
}
