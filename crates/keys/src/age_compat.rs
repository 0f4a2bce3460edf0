//! Conversions between this workspace's types and those of the crate `age`.

use age_core::format::{FileKey as AgeFileKey, Stanza as AgeStanza};
use age_core::secrecy::ExposeSecret;
use cryptstream_format::{FileKey, KeyFailure, KeyFailureKind, Stanza, Wrapped};

/// The maximum number of stanza arguments of one header that are passed on.
const MAX_ARGUMENTS: usize = 1 << 16;

/// Wraps a file key with a recipient of the crate `age`.
pub(crate) fn wrap(
    recipient: &dyn age::Recipient,
    file_key: &FileKey,
) -> Result<Wrapped, KeyFailure> {
    let file_key = AgeFileKey::init_with_mut(|bytes| bytes.copy_from_slice(file_key.expose()));
    let (stanzas, labels) = recipient.wrap_file_key(&file_key).map_err(encrypt_failure)?;
    let stanzas = stanzas.into_iter().map(from_age).collect::<Option<_>>();
    let stanzas = stanzas.ok_or_else(no_stanza)?;
    Ok(Wrapped { stanzas, labels: labels.into_iter().collect() })
}

/// Unwraps a file key with an identity of the crate `age`.
pub(crate) fn unwrap(
    identity: &dyn age::Identity,
    stanzas: &[Stanza],
) -> Result<Option<FileKey>, KeyFailure> {
    match identity.unwrap_stanzas(&to_age_stanzas(stanzas)?) {
        None => Ok(None),
        Some(Ok(file_key)) => Ok(Some(FileKey::from_bytes(*file_key.expose_secret()))),
        Some(Err(error)) => Err(decrypt_failure(error)),
    }
}

/// The stanzas of a header, without padding.
pub(crate) fn to_age_stanzas(stanzas: &[Stanza]) -> Result<Vec<AgeStanza>, KeyFailure> {
    let stanzas = || stanzas.iter().filter(|stanza| stanza.tag() != "pad");
    // The library stores each argument as a string, which takes many times its size.
    if stanzas().map(|stanza| stanza.args().count()).sum::<usize>() > MAX_ARGUMENTS {
        let message = "the header has more than 65,536 arguments".to_owned();
        return Err(KeyFailure { kind: KeyFailureKind::PluginFailed, message });
    }
    Ok(stanzas().map(to_age).collect())
}

fn to_age(stanza: &Stanza) -> AgeStanza {
    AgeStanza {
        tag: stanza.tag().to_owned(),
        args: stanza.args().skip(1).map(str::to_owned).collect(),
        body: stanza.body(),
    }
}

pub(crate) fn from_age(stanza: AgeStanza) -> Option<Stanza> {
    let args: Vec<&str> = stanza.args.iter().map(String::as_str).collect();
    Stanza::new(&stanza.tag, &args, stanza.body)
}

fn encrypt_failure(error: age::EncryptError) -> KeyFailure {
    failure(KeyFailureKind::Unusable, &error)
}

fn decrypt_failure(error: age::DecryptError) -> KeyFailure {
    failure(KeyFailureKind::Unusable, &error)
}

fn failure(kind: KeyFailureKind, error: &dyn std::fmt::Display) -> KeyFailure {
    KeyFailure { kind, message: one_line(error) }
}

pub(crate) fn no_plugin(binary_name: &str) -> KeyFailure {
    let message = format!("the plugin {binary_name} is not installed, or not in PATH");
    KeyFailure { kind: KeyFailureKind::NoPlugin, message }
}

/// The error for a stanza that no header can contain.
pub(crate) fn no_stanza() -> KeyFailure {
    let message = "it returned an invalid stanza".to_owned();
    KeyFailure { kind: KeyFailureKind::PluginFailed, message }
}

/// The library's own message is meant for plugin authors.
pub(crate) fn ended_early() -> KeyFailure {
    let message = "it exited without an answer".to_owned();
    KeyFailure { kind: KeyFailureKind::PluginFailed, message }
}

/// Turns untrusted text into one line of printable characters.
pub(crate) fn one_line(text: &dyn std::fmt::Display) -> String {
    let text = text.to_string();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(300).collect()
}
