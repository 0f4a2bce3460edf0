//! `keygen`: new identities, and the recipients of existing ones.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use cryptstream_engine::Error;
use cryptstream_engine::program::write_private;
use cryptstream_format::x25519::SecretKey;
use cryptstream_keys::{AnyRecipient, post_quantum};

use super::session::{CommandResult, Session};
use crate::args::{KeyPassphrase, Keygen, ReportOptions, is_stdout};
use crate::messages::{self, Printed};
use crate::report::Status;
use crate::verb::Verb;
use crate::{keyring, report, system};

pub(super) fn run(args: &Keygen, session: &Session) -> CommandResult {
    let options = session.options;
    if let Some(path) = &args.recipient_of {
        return show_recipients(path, &args.key_passphrase, options);
    }
    messages::set_stdout_data(args.output.as_ref().is_none_or(|path| is_stdout(path)));
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
                error => messages::engine(error, Verb::Keygen),
            })?;
            if is_open_to_others(fs::metadata(path)) {
                messages::warn(&messages::key_written_for_others(path));
            }
        }
        _ => {
            messages::print_output(content.as_bytes(), Printed::Identity)?;
            if is_open_to_others(system::stdout_metadata()) {
                messages::warn(messages::SECRET_KEY_FOR_OTHERS);
            }
        }
    }
    if report::wants_json(options) {
        report::new_identity(args.output.as_deref(), &public, options, messages::is_stdout_data());
    } else if !options.quiet {
        messages::note(&messages::new_recipient(&public));
    }
    Ok(Status::default())
}

/// Whether other users may read or change the file that the secret key was written to. age-keygen
/// checks standard output in the same way. FAT and NTFS show the same bits for all files,
/// whatever was asked for.
fn is_open_to_others(written: io::Result<fs::Metadata>) -> bool {
    written.is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0)
}

fn show_recipients(
    path: &Path,
    key_passphrase: &KeyPassphrase,
    options: ReportOptions,
) -> CommandResult {
    let mut recipients = Vec::new();
    for recipient in keyring::recipients_of(path, key_passphrase)? {
        if let AnyRecipient::PluginOwner(_) = recipient {
            return Err(messages::no_text_of(&recipient).into());
        }
        let recipient = recipient.to_string();
        if !options.json {
            messages::print_output(format!("{recipient}\n").as_bytes(), Printed::Text)?;
        }
        recipients.push(recipient);
    }
    if report::wants_json(options) {
        report::recipients(path, &recipients, options);
    }
    Ok(Status::default())
}
