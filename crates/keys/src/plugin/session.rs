//! One session with a plugin, for one or several files. The crate `age` supports only one
//! file per session.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use age::plugin::{Identity as AgeIdentity, Recipient as AgeRecipient};
use age_core::format::Stanza as AgeStanza;
use age_core::plugin::{Connection, IDENTITY_V1, RECIPIENT_V1, Reply, Response};
use base64ct::{Base64Unpadded, Encoding};
use cryptstream_format::{FileKey, KeyFailure, KeyFailureKind, Stanza, Wrapped};
use zeroize::Zeroize;

use super::host::Host;
use crate::age_compat;

/// Commands that a plugin may send in any session.
const CONVERSATION: [&str; 4] = ["msg", "confirm", "request-public", "request-secret"];

/// Wraps each file key for all recipients and for the owners of the identities.
pub(super) fn wrap(
    plugin: &Path,
    recipients: &[AgeRecipient],
    identities: &[AgeIdentity],
    file_keys: &[FileKey],
    user: &Host,
) -> Result<Vec<Wrapped>, KeyFailure> {
    let ended = |_| age_compat::ended_early();
    let mut session = Connection::open(plugin, RECIPIENT_V1).map_err(ended)?;
    let sent = session.unidir_send(|mut phase| {
        for recipient in recipients {
            phase.send("add-recipient", &[&recipient.to_string()], &[])?;
        }
        for identity in identities {
            phase.send("add-identity", &[&identity.to_string()], &[])?;
        }
        phase.send("extension-labels", &[], &[])?;
        for file_key in file_keys {
            phase.send("wrap-file-key", &[], file_key.expose())?;
        }
        Ok(())
    });
    sent.map_err(ended)?;
    let mut stanzas: Vec<Vec<AgeStanza>> = file_keys.iter().map(|_| Vec::new()).collect();
    let mut labels: Option<BTreeSet<String>> = None;
    let mut errors = Vec::new();
    let commands = [&CONVERSATION[..], &["recipient-stanza", "labels", "error"]].concat();
    let received =
        session.bidir_receive(&commands, |mut command, reply| match command.tag.as_str() {
            "recipient-stanza" => {
                let of_file = index(&command).and_then(|file| stanzas.get_mut(file));
                match of_file {
                    Some(of_file) if command.args.len() >= 2 => {
                        command.args.remove(0);
                        command.tag = command.args.remove(0);
                        of_file.push(command);
                    }
                    _ => errors.push("it returned a stanza for an unknown file".to_owned()),
                }
                reply.ok(None)
            }
            "labels" => {
                let count = command.args.len();
                let given: BTreeSet<_> = command.args.into_iter().collect();
                if given.len() < count || labels.replace(given).is_some() {
                    errors.push("it returned labels twice".to_owned());
                }
                reply.ok(None)
            }
            "error" => {
                errors.push(String::from_utf8_lossy(&command.body).into_owned());
                reply.ok(None)
            }
            _ => converse(&command, reply, user),
        });
    received.map_err(ended)?;
    if !errors.is_empty() {
        return Err(failed(&errors));
    }
    if stanzas.iter().any(Vec::is_empty) {
        return Err(failed(&["it returned neither a stanza nor an error".to_owned()]));
    }
    let labels = labels.unwrap_or_default();
    let wrapped = |stanzas: Vec<AgeStanza>| {
        let stanzas = stanzas.into_iter().map(age_compat::from_age).collect::<Option<_>>();
        let stanzas = stanzas.ok_or_else(age_compat::no_stanza)?;
        Ok(Wrapped { stanzas, labels: labels.clone() })
    };
    stanzas.into_iter().map(wrapped).collect()
}

/// Unwraps the file key of each file from its stanzas; `None` if the identity does not fit.
pub(super) fn unwrap(
    plugin: &Path,
    identity: &AgeIdentity,
    files: &[Vec<Stanza>],
    user: &Host,
) -> Result<Vec<Option<FileKey>>, KeyFailure> {
    let ended = |_| age_compat::ended_early();
    let files: Vec<Vec<AgeStanza>> = files
        .iter()
        .map(|stanzas| age_compat::to_age_stanzas(stanzas))
        .collect::<Result<_, _>>()?;
    let mut session = Connection::open(plugin, IDENTITY_V1).map_err(ended)?;
    let sent = session.unidir_send(|mut phase| {
        phase.send("add-identity", &[&identity.to_string()], &[])?;
        for (number, stanzas) in files.iter().enumerate() {
            for stanza in stanzas {
                phase.send_stanza("recipient-stanza", &[&number.to_string()], stanza)?;
            }
        }
        Ok(())
    });
    sent.map_err(ended)?;
    let mut file_keys = vec![None; files.len()];
    let mut errors = Vec::new();
    let commands = [&CONVERSATION[..], &["file-key", "error"]].concat();
    let received =
        session.bidir_receive(&commands, |mut command, reply| match command.tag.as_str() {
            "file-key" => {
                let file_key = <[u8; 16]>::try_from(&command.body[..]).map(FileKey::from_bytes);
                command.body.zeroize();
                match (index(&command).and_then(|file| file_keys.get_mut(file)), file_key) {
                    (Some(known @ None), Ok(file_key)) => {
                        *known = Some(file_key);
                        reply.ok(None)
                    }
                    (Some(None), Err(_)) => {
                        errors.push("it returned a file key of the wrong length".to_owned());
                        reply.fail()
                    }
                    _ => reply.fail(),
                }
            }
            "error" => {
                errors.push(String::from_utf8_lossy(&command.body).into_owned());
                reply.ok(None)
            }
            _ => converse(&command, reply, user),
        });
    received.map_err(ended)?;
    match errors.is_empty() || file_keys.iter().any(Option::is_some) {
        true => Ok(file_keys),
        false => Err(failed(&errors)),
    }
}

/// The file that a command is about.
fn index(command: &AgeStanza) -> Option<usize> {
    command.args.first()?.parse().ok()
}

fn failed(errors: &[String]) -> KeyFailure {
    let message = age_compat::one_line(&errors.join("; "));
    KeyFailure { kind: KeyFailureKind::PluginFailed, message }
}

/// Forwards a question or message to the user.
fn converse<R: Read, W: Write>(
    command: &AgeStanza,
    reply: Reply<'_, R, W>,
    user: &Host,
) -> Response {
    let message = String::from_utf8_lossy(&command.body);
    match command.tag.as_str() {
        "msg" => {
            user.say(&message);
            reply.ok(None)
        }
        "confirm" => {
            let label = |text: &String| {
                let bytes = Base64Unpadded::decode_vec(text).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            };
            let labels: Option<Vec<_>> = command.args.iter().take(2).map(label).collect();
            let answer = match labels.as_deref() {
                Some([yes]) => user.confirm(&message, yes, None),
                Some([yes, no]) => user.confirm(&message, yes, Some(no)),
                _ => None,
            };
            match answer {
                Some(is_yes) => reply.ok_with_metadata(&[if is_yes { "yes" } else { "no" }], None),
                None => reply.fail(),
            }
        }
        "request-public" => match user.ask(&message) {
            Some(answer) => reply.ok(Some(answer.as_bytes())),
            None => reply.fail(),
        },
        _ => match user.ask_secret(&message) {
            Some(answer) => reply.ok(Some(&answer)),
            None => reply.fail(),
        },
    }
}
