//! Messages about keys.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use cryptstream_format::{KeyFailure, KeyFailureKind};
use cryptstream_keys::{AnyRecipient, LineError, PassphraseWarning, RecipientError, SshError};

use super::{Failure, code, quoted, reason};

/// A file with a passphrase or keys that cannot be read.
pub(crate) fn key_file_unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let help = match was_typed(path) {
        true => "check the name and the permissions",
        false => {
            "check the name and the permissions; it is a default, and `cryptstream config` shows \
             where it is set"
        }
    };
    Failure::new(code::NO_INPUT, "key-file", format!("cannot be read: {}", reason(error)), help)
        .about(path)
        .or_shortage(error)
}

/// Whether a file is named on the command line, by its path or the number of a descriptor.
fn was_typed(path: &Path) -> bool {
    let name = path.as_os_str().as_bytes();
    path.starts_with("/dev/fd") || std::env::args_os().any(|word| word.as_bytes().ends_with(name))
}

/// A descriptor that a secret should be read from, and that is not open.
pub(crate) fn descriptor_not_open(flag: &str, number: u32) -> Failure {
    Failure::new(
        code::NO_INPUT,
        "key-file",
        format!("{flag} {number}: file descriptor {number} is not open"),
        format!("open it for this command: {flag} {number} {number}< FILE"),
    )
}

/// A secret key where a file name belongs. The key is not printed.
pub(crate) fn secret_as_name() -> Failure {
    Failure::new(
        code::USAGE,
        "key-file",
        "a secret key was given instead of a file name",
        "put it into a file that only you can read, and take it out of your shell's history",
    )
}

/// Standard output, where a secret key was written, is a file with wide permissions.
pub(crate) const SECRET_KEY_FOR_OTHERS: &str = "the secret key was written to a file that other \
     users can read; run chmod 600 on it, and next time use -o FILE";

/// A file with a new secret key has wide permissions.
pub(crate) fn key_written_for_others(path: &Path) -> String {
    format!(
        "{0}: other users can read the secret key in this file; run: chmod 600 {0}, or where that \
         has no effect (FAT, NTFS) move it to your home folder",
        quoted(path)
    )
}

/// A file of recipients without any.
pub(crate) fn no_recipient_in(path: &Path) -> Failure {
    let message = "contains no usable recipient";
    Failure::new(code::CONFIG, "key-file", message, "write one recipient per line, such as age1...")
        .about(path)
}

/// A file that is far too large to hold keys.
pub(crate) fn key_file_too_large(path: &Path) -> Failure {
    Failure::new(
        code::CONFIG,
        "key-file",
        "is larger than 16 MiB, so it is not a key file",
        "check the name: keys follow -i, -R and --passphrase-file, data does not",
    )
    .about(path)
}

/// What a key file holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    Recipients,
    Identities,
    Passphrase,
}

/// A key file that users other than its owner may write to.
pub(crate) fn key_file_writable(path: &Path, other_owner: Option<u32>) -> Failure {
    let help = match other_owner {
        None => format!(
            "check its content, then run: chmod go-w {0}; where that has no effect (FAT, NTFS), \
             use a copy in your home folder: install -m 600 {0} ~/",
            quoted(path)
        ),
        Some(owner) => format!(
            "check its content and use a copy of your own: install -m 600 {0} ~/; or ask its owner \
             (id {owner}) to run: chmod go-w {0}",
            quoted(path)
        ),
    };
    let message = "other users can change this file, and with it the keys in use";
    Failure::new(code::CONFIG, "key-file", message, help).about(path)
}

/// A key file that its owner, another user, may change.
pub(crate) fn key_file_of_another_user(path: &Path, owner: u32, kind: KeyKind) -> String {
    let power = match kind {
        KeyKind::Recipients => "choose whom files are encrypted to",
        KeyKind::Identities => "replace the key that files are encrypted to",
        KeyKind::Passphrase => "replace the passphrase that files are encrypted with",
    };
    format!("{}: belongs to another user (id {owner}), who could {power}", quoted(path))
}

pub(crate) fn bad_recipient(text: &str, error: &RecipientError) -> Failure {
    let help = match error {
        RecipientError::Unknown if Path::new(text).is_file() => {
            "it is a file: use -R for a recipients file, -i for an identity file"
        }
        RecipientError::IsSecret => {
            "take it out of your shell's history; `cryptstream keygen -y FILE` shows its recipient"
        }
        RecipientError::Ssh(SshError::Kind(_)) => {
            "use an ssh-ed25519 key, or one from `cryptstream keygen`"
        }
        RecipientError::Ssh(SshError::Size(_) | SshError::LowOrder) => {
            "ask for another key: an ssh-ed25519 key, or one from `cryptstream keygen`"
        }
        RecipientError::Ssh(_) => "copy the whole line of the .pub file, in quotes",
        RecipientError::BeforeKey => {
            "give only the key, in quotes; it begins with its type: ssh-ed25519 AAAA..."
        }
        _ => {
            "copy it again; a recipient from `cryptstream keygen` begins with `age1` and has 62 \
             characters"
        }
    };
    Failure::new(
        code::USAGE,
        "recipient",
        format!("a given recipient cannot be used: {error}"),
        help,
    )
}

/// A line of a recipients file that is ignored.
pub(crate) fn passed_over(path: &Path, line: &LineError<SshError>) -> String {
    format!("{}: {line}: the line is ignored, and this key cannot decrypt the output", quoted(path))
}

/// A file with a secret that other users can read.
pub(crate) fn open_to_others(path: &Path, kind: KeyKind) -> String {
    let name = quoted(path);
    let secret = if let KeyKind::Passphrase = kind { "passphrase" } else { "secret key" };
    format!(
        "{name}: other users of this machine can read this {secret}; run: chmod 600 {name}, or \
         where that has no effect (FAT, NTFS) use a copy in your home folder"
    )
}

/// An identity file that cannot be used, although another key may still fit.
pub(crate) fn identity_passed_over(failure: &Failure) -> String {
    let name = failure.file.as_deref().map(quoted).unwrap_or_default();
    format!("{name}: {}; the file is not used", failure.message)
}

/// What is unusual about the passphrase of this run, to be mentioned if it turns out wrong.
static PASSPHRASE_WARNING: OnceLock<PassphraseWarning> = OnceLock::new();

/// Remembers what is unusual about a passphrase.
pub(crate) fn remember_passphrase_warning(kind: PassphraseWarning) {
    let _ = PASSPHRASE_WARNING.set(kind);
}

/// A passphrase to encrypt with that may not be what its owner will type. `None` if nothing is
/// wrong with it.
pub(crate) fn passphrase_warning(origin: &str, kind: PassphraseWarning) -> Option<String> {
    let what = match kind {
        PassphraseWarning::ByteOrderMark => {
            "begins with a byte order mark, which becomes part of the passphrase"
        }
        PassphraseWarning::Utf16 => "is UTF-16 text, whose raw bytes become the passphrase",
        PassphraseWarning::Nul => "contains a NUL byte, which becomes part of the passphrase",
        PassphraseWarning::SeveralLines => {
            "has more than one line, all of which become the passphrase"
        }
        PassphraseWarning::NotAscii => return None,
    };
    Some(format!("{origin}: {what}; it cannot be typed on a terminal"))
}

/// What to do about a passphrase that is wrong.
pub(crate) fn check_passphrase() -> &'static str {
    match PASSPHRASE_WARNING.get() {
        None => "check capitals, the keyboard layout, and a stray space or newline",
        Some(PassphraseWarning::ByteOrderMark) => {
            "the passphrase begins with a byte order mark: try a file without that mark"
        }
        Some(PassphraseWarning::Utf16) => "the passphrase is UTF-16 text: try a file in UTF-8",
        Some(PassphraseWarning::Nul) => {
            "the passphrase contains a NUL byte: try it without that byte"
        }
        Some(PassphraseWarning::SeveralLines) => {
            "the passphrase has more than one line: try a file with only the first"
        }
        Some(PassphraseWarning::NotAscii) => {
            "check capitals and the keyboard layout; accents and umlauts have two forms in \
             Unicode (NFC and NFD), and macOS may use the other one: type it on the machine that \
             encrypted the file"
        }
    }
}

/// An identity whose recipient only its plugin can show.
pub(crate) fn no_text_of(recipient: &AnyRecipient) -> Failure {
    Failure::new(
        code::CONFIG,
        "key-file",
        format!("only the plugin can show the recipient of {recipient}"),
        "to encrypt to it, use -i with the identity file",
    )
}

/// Works on a copy, so that the key survives whatever goes wrong.
const CONVERT: &str = "convert a copy of it: cp KEY KEY.copy && ssh-keygen -p -a 24 -f KEY.copy, \
     then use -i KEY.copy";

/// A key that needs a passphrase or a plugin could not be used.
pub(crate) fn key_failure(failure: &KeyFailure) -> Failure {
    let (code, kind, help) = match failure.kind {
        KeyFailureKind::CannotAsk => {
            let help = "run it on a terminal, or give --identity-passphrase-file FILE";
            (code::USAGE, "passphrase", help)
        }
        KeyFailureKind::WrongPassphrase => (code::NO_KEY, "no-key", check_passphrase()),
        KeyFailureKind::NoPlugin => {
            (code::CONFIG, "plugin", "install it so that it is found in PATH, or use another key")
        }
        KeyFailureKind::PluginFailed => {
            (code::NO_KEY, "plugin", "see the plugin's documentation, or use another key")
        }
        KeyFailureKind::Protection => (code::CONFIG, "key-file", CONVERT),
        KeyFailureKind::PluginHangs => (
            code::TRY_AGAIN,
            "plugin",
            "try again; --plugin-timeout SECONDS waits longer, or forever with 0",
        ),
        _ => (code::CONFIG, "key-file", "use another key"),
    };
    Failure::new(code, kind, failure.message.clone(), help)
}

/// Text from a plugin or a key, without control characters.
pub(crate) fn from_key(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

/// A question with one or two answers.
pub(crate) fn choice(message: &str, yes: &str, no: Option<&str>) -> String {
    format!("{message}\n  1: {yes}\n  2: {}\nYour choice:", no.unwrap_or("no"))
}

/// The input was read as a key.
pub(crate) fn key_is_data(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is both the data and the key",
        "put the key and the data into different files",
    )
    .about(path)
}

/// The output would overwrite a key that is in use.
pub(crate) fn key_is_output(path: &Path) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "same-file",
        "is the file that the key was read from",
        "name another output",
    )
    .about(path)
}

/// A file without any identity.
pub(crate) fn no_identity_in(path: &Path) -> Failure {
    Failure::new(
        code::CONFIG,
        "key-file",
        "contains no identity",
        "`cryptstream keygen -o FILE` generates one",
    )
    .about(path)
}

/// The file that a new identity was to be written to exists.
pub(crate) fn identity_exists(path: &Path) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "exists",
        "already exists",
        "choose another name: if a key were overwritten, its files would be lost with it",
    )
    .about(path)
}

pub(crate) fn bad_passphrase(origin: &str, error: cryptstream_keys::PassphraseError) -> Failure {
    let message = format!("{origin}: {error}");
    Failure::new(code::USAGE, "passphrase", message, "use another passphrase")
}

pub(crate) fn passphrases_differ() -> Failure {
    Failure::new(
        code::USAGE,
        "passphrase",
        "the two passphrases differ",
        "try again; nothing was written",
    )
}

pub(crate) fn cannot_ask(error: &std::io::Error) -> Failure {
    Failure::new(
        code::USAGE,
        "passphrase",
        match error.raw_os_error() {
            Some(_) => format!("there is no terminal to ask for the passphrase: {}", reason(error)),
            None => format!("the passphrase could not be read: {error}"),
        },
        "use --passphrase-file FILE or --passphrase-fd N",
    )
    .or_shortage(error)
}

/// Secrets may be swapped out.
pub(crate) fn not_locked(error: &std::io::Error) -> String {
    format!(
        "keys may be swapped to disk, as memory cannot be locked: {} (see `ulimit -l`)",
        reason(error)
    )
}

/// The user ended the input (Ctrl-D) at a passphrase prompt.
pub(crate) fn nothing_entered() -> Failure {
    Failure::new(
        code::USAGE,
        "passphrase",
        "no passphrase was entered",
        "nothing was written; enter one, or use --passphrase-file FILE, or -i FILE for an identity",
    )
}

/// Prompts name the file, since two programs in one pipe may both ask.
pub(crate) fn ask_passphrase(name: &str, is_again: bool) -> String {
    let again = if is_again { "Wrong passphrase. " } else { "" };
    format!("{again}Passphrase for {name}: ")
}

pub(crate) fn ask_new(name: &str) -> String {
    format!("New passphrase for {name} (leave empty to generate one): ")
}

pub(crate) fn ask_again(name: &str) -> String {
    format!("Confirm new passphrase for {name}: ")
}

/// A line for the terminal.
pub(crate) fn generated_passphrase(passphrase: &[u8]) -> Vec<u8> {
    [b"The passphrase is: ", passphrase, b"\n"].concat()
}

pub(crate) fn new_recipient(recipient: &dyn std::fmt::Display) -> String {
    format!("Public key: {recipient}")
}
