//! What the commands do, each in a few steps.

mod archive;
mod benchmark;
mod completions;
mod file_list;
mod inputs;
mod inspect;
mod lookahead;
mod manual;
mod range;
mod rekey;
mod salvage;
mod show;
mod tree;
mod verify;

pub(crate) use archive::{READER_ARGUMENT, reader_main};

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use cryptstream_engine::{Error, write_private};
use cryptstream_format::x25519::SecretKey;
use cryptstream_format::{Identity, Recipient};
use cryptstream_keys::{AnyRecipient, post_quantum};
use zeroize::Zeroizing;

use crate::args::{
    Cli, Command, Decrypt, Encrypt, Inspect, KeyPassphrase, Keygen, List, Rekey, Talk, Verify,
    When, is_stdout,
};
use crate::keyring::{OpeningKeys, SealingKeys};
use crate::messages::{self, Context, Failure};
use crate::progress::Meter;
use crate::request::Transfer;
use crate::{config, keyring, report, system};

/// Runs one command to its end and says what is to be said.
pub(crate) fn run(mut cli: Cli, key: Option<Zeroizing<Vec<u8>>>) -> ExitCode {
    messages::set_quiet(cli.talk.quiet);
    if cli.talk.verbose
        && let Some(error) = system::not_locked()
    {
        messages::note(&messages::not_locked(error));
    }
    if let Err(failure) = config::settle(&mut cli) {
        return inputs::Status::refused(&failure, cli.talk.json);
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
        return inputs::Status::refused(&failure, talk.json);
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
        Command::Encrypt(args) => run_encrypt(args, key, talk, &mut is_stdout_data),
        Command::Decrypt(args) if args.unpacking.extract => {
            return archive::decrypt(args, key, talk);
        }
        Command::Decrypt(args) if args.salvage => return salvage::run(args, key, talk),
        Command::Decrypt(args)
            if args.range.is_none() && tree::is_meant(&args.files, &args.tree) =>
        {
            return tree::decrypt(args, key, talk);
        }
        Command::Decrypt(args) => run_decrypt(args, key, talk, &mut is_stdout_data),
        Command::Keygen(args) => run_keygen(&args, talk, &mut is_stdout_data),
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

fn run_encrypt(
    mut args: Encrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Failure> {
    let transfer = Transfer::encrypt(std::mem::take(&mut args.files), args.format, args.armor)?;
    *is_stdout_data = transfer.is_stdout_data();
    let keys = SealingKeys::read(&args.passphrase, &args.sealing, key)?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let recipients = keys.recipients(transfer.form.format(), &transfer.output_label())?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, talk);
    let Transfer { target, commit, form, .. } = &transfer;
    let result = transfer.engine().encrypt(
        cryptstream_engine::Encrypt::source(&mut source)
            .target(target.clone())
            .form(*form)
            .recipients(&recipients)
            .commit(*commit)
            .progress(&meter),
    );
    meter.clear();
    let summary = result.map_err(|error| messages::engine(error, transfer.context(true)))?;
    report::done("encrypt", &transfer, summary, started.elapsed(), talk);
    Ok(())
}

fn run_decrypt(
    mut args: Decrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Failure> {
    if let Some(range) = args.range {
        return range::run(args, range, key, talk, is_stdout_data);
    }
    let transfer = Transfer::decrypt(std::mem::take(&mut args.files))?;
    *is_stdout_data = transfer.is_stdout_data();
    let keys = OpeningKeys::read(&args.opening, key)?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, talk);
    let result = transfer.engine().decrypt(
        cryptstream_engine::Decrypt::source(&mut source)
            .target(transfer.target.clone())
            .identities(&identities)
            .commit(transfer.commit)
            .progress(&meter),
    );
    meter.clear();
    let is_armored = source.is_armored();
    let context = Context { is_armored, ..transfer.context(has_passphrase) };
    let summary = result.map_err(|error| messages::engine(error, context))?;
    archive::note_zstd(&transfer.target);
    report::done("decrypt", &transfer, summary, started.elapsed(), talk);
    Ok(())
}

fn run_keygen(args: &Keygen, talk: Talk, is_stdout_data: &mut bool) -> Result<(), Failure> {
    if let Some(path) = &args.recipient_of {
        return show_recipients(path, &args.key_passphrase, talk);
    }
    *is_stdout_data = args.output.as_ref().is_none_or(|path| is_stdout(path));
    let no_random = |error: &dyn std::fmt::Display| messages::internal(&error.to_string());
    let (secret, public): (_, Box<dyn std::fmt::Display>) = if args.pq {
        let key = post_quantum::SecretKey::generate().map_err(|error| no_random(&error))?;
        (key.expose_text(), Box::new(key.to_public()))
    } else {
        let key = SecretKey::generate().map_err(|error| no_random(&error))?;
        (key.expose_text(), Box::new(key.to_public()))
    };
    let created = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let content = cryptstream_keys::write_identity(&secret, &public, &created);
    match &args.output {
        Some(path) if !is_stdout(path) => {
            write_private(path, content.as_bytes()).map_err(|error| match error {
                Error::OutputExists { path } => messages::identity_exists(&path),
                error => messages::engine(error, Context::default()),
            })?;
            if is_open_to_others(fs::metadata(path)) {
                messages::warn(&messages::key_written_for_others(path));
            }
        }
        _ => {
            messages::print_output(content.as_bytes())?;
            if is_open_to_others(system::stdout_metadata()) {
                messages::warn(messages::SECRET_KEY_FOR_OTHERS);
            }
        }
    }
    if report::is_for_programs(talk) {
        report::new_identity(args.output.as_deref(), &public, talk, *is_stdout_data);
    } else if !talk.quiet {
        messages::note(&messages::new_recipient(&public));
    }
    Ok(())
}

/// Whether other users may read or change what has got a secret key. age-keygen looks at
/// standard output in this way. The bits of a new file are not always those that were
/// asked for: FAT and NTFS show the same for all files.
fn is_open_to_others(written: io::Result<fs::Metadata>) -> bool {
    written.is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0)
}

fn show_recipients(path: &Path, key_passphrase: &KeyPassphrase, talk: Talk) -> Result<(), Failure> {
    let mut recipients = Vec::new();
    for recipient in keyring::recipients_of(path, key_passphrase)? {
        if let AnyRecipient::PluginOwner(_) = recipient {
            return Err(messages::no_text_of(&recipient));
        }
        let recipient = recipient.to_string();
        if !talk.json {
            messages::print_output(format!("{recipient}\n").as_bytes())?;
        }
        recipients.push(recipient);
    }
    if report::is_for_programs(talk) {
        report::recipients(path, &recipients, talk);
    }
    Ok(())
}
