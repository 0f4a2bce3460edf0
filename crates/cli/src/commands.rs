//! The commands.

mod archive;
mod benchmark;
mod completions;
mod dry_run;
mod file_list;
mod inputs;
mod inspect;
mod job;
mod keygen;
mod lookahead;
mod manual;
mod one_file;
mod range;
mod rekey;
mod salvage;
mod session;
mod show;
mod store;
mod tree;
mod verify;

pub(crate) use archive::{PARSER_ARGUMENT, parser_main};

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use cryptstream_remote::file_path;
use zeroize::Zeroizing;

use crate::args::{Cli, Command, Decrypt, DecryptInputs, Encrypt, General, Inspect, Rekey, When};
use crate::messages::Failure;
use crate::report::Failures;
use crate::request::sandbox_mode;
use crate::{config, messages, objects, report, storage_options, system};
use session::{CommandResult, Session};

/// Runs one command to its end, and reports how it ended.
pub(crate) fn run(mut cli: Cli, key: Option<Zeroizing<Vec<u8>>>) -> ExitCode {
    messages::set_quiet(cli.general.options.quiet);
    if cli.general.options.verbose
        && let Some(error) = system::not_locked()
    {
        messages::note(&messages::not_locked(error));
    }
    if let Err(failure) = settle(&mut cli) {
        return Failures::from(failure).report(cli.general.options.json, false).exit_code();
    }
    let Cli { mut command, general: General { mut options, no_config } } = cli;
    options.apply_color();
    if options.json && options.progress() == When::Always && !io::stderr().is_terminal() {
        // Lines of text would be mixed with those of JSON.
        options.progress = Some(When::Json);
    }
    messages::set_json_output(options.json, options.progress() == When::Json);
    let _on_interrupt = report::report_interruptions(options);
    objects::set_sandbox(sandbox_mode(command.sandbox()));
    let session = Session::new(options, no_config, key);
    let result = resolve_files(&mut command).and_then(|()| dispatch(command, &session));
    if options.verbose && !report::wants_json(options) {
        report::store::note();
    }
    match result {
        Ok(status) => status.exit_code(),
        Err(failures) => failures.report(options.json, messages::is_stdout_data()).exit_code(),
    }
}

/// Fills in the defaults, and settles how object stores are reached.
fn settle(cli: &mut Cli) -> Result<(), Failure> {
    let flags = storage_options::of_flags(cli.command.storage_options())?;
    let file = config::apply_defaults(cli)?;
    objects::set_options(flags, file);
    Ok(())
}

/// Settles the outputs, adds the inputs that are named in a file, and takes URLs of local files for
/// what they name.
fn resolve_files(command: &mut Command) -> Result<(), Failures> {
    match command {
        Command::Encrypt(Encrypt { files, tree, .. }) => {
            files.resolve_output(false);
            file_list::add_to(files, tree)?;
            resolve_file_urls(files.names().chain(&mut tree.output_dir))?;
        }
        Command::Decrypt(Decrypt { files, stdout, tree, .. }) => {
            files.resolve_output(*stdout);
            file_list::add_to(files, tree)?;
            resolve_file_urls(files.names().chain(&mut tree.output_dir))?;
        }
        Command::Verify(DecryptInputs { files, file_list, .. })
        | Command::List(DecryptInputs { files, file_list, .. })
        | Command::Inspect(Inspect { files, file_list, .. })
        | Command::Rekey(Rekey { files, file_list, .. }) => {
            files.extend(file_list::read(file_list)?);
            resolve_file_urls(files.iter_mut())?;
        }
        _ => {}
    }
    Ok(())
}

fn resolve_file_urls<'a>(names: impl Iterator<Item = &'a mut PathBuf>) -> Result<(), Failures> {
    for name in names {
        match file_path(name.as_os_str()) {
            None => {}
            Some(Ok(path)) => *name = path,
            Some(Err(error)) => return Err(messages::objects::bad_url(name, &error).into()),
        }
    }
    Ok(())
}

fn dispatch(command: Command, session: &Session) -> CommandResult {
    match command {
        Command::Encrypt(args) if args.packing.archive => archive::pack(args, session),
        Command::Encrypt(args)
            if !args.delete && dry_run::is_of_object(&args.files, &args.tree) =>
        {
            dry_run::encrypt(args, session)
        }
        Command::Encrypt(args) if args.delete || tree::is_tree_run(&args.files, &args.tree) => {
            tree::encrypt(args, session)
        }
        Command::Encrypt(args) => one_file::encrypt(args, session),
        Command::Decrypt(args) if args.unpacking.extract => archive::extract(args, session),
        Command::Decrypt(args) if args.salvage => salvage::run(args, session),
        Command::Decrypt(args) if args.range.is_some() => range::run(args, session),
        Command::Decrypt(args) if dry_run::is_of_object(&args.files, &args.tree) => {
            dry_run::decrypt(args, session)
        }
        Command::Decrypt(args) if tree::is_tree_run(&args.files, &args.tree) => {
            tree::decrypt(args, session)
        }
        Command::Decrypt(args) => one_file::decrypt(args, session),
        Command::Job(args) => job::run(args.action, session),
        Command::Store(args) => store::run(&args, session),
        Command::Keygen(args) => keygen::run(&args, session),
        Command::Inspect(args) => inspect::run(args, session),
        Command::List(args) => archive::list(args, session),
        Command::Verify(args) => verify::run(args, session),
        Command::Rekey(args) => rekey::run(args, session),
        Command::Benchmark(args) => benchmark::run(&args, session),
        Command::Config => show::run(session),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => manual::run(&args),
    }
}
