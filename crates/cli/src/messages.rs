//! Every word that is said to the user.
//!
//! The rules: one line says what happened, to which file, and where; the next
//! line says what to do about it. Plain words, no blame, no exclamation mark,
//! no secret. A file name that could confuse a terminal is shown escaped.

mod benchmark;
mod engine;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::report::{SCHEMA, print_json};

pub(crate) use benchmark::{no_room, not_measurable, nothing_fits, output_differs, report_written};
pub(crate) use engine::{Context, costly, engine};

/// Exit statuses, after sysexits.h.
pub(crate) mod code {
    pub(crate) const OK: u8 = 0;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const DATA: u8 = 65;
    pub(crate) const NO_INPUT: u8 = 66;
    pub(crate) const INTERNAL: u8 = 70;
    pub(crate) const CANNOT_CREATE: u8 = 73;
    pub(crate) const IO: u8 = 74;
    pub(crate) const TRY_AGAIN: u8 = 75;
    pub(crate) const NO_KEY: u8 = 77;
    pub(crate) const CONFIG: u8 = 78;
}

/// Something went wrong: what to say and how to exit.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// A word for programs; stable.
    kind: &'static str,
    file: Option<PathBuf>,
    message: String,
    help: String,
}

impl Failure {
    fn new(
        code: u8,
        kind: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { code, kind, file: None, message: message.into(), help: help.into() }
    }

    fn about(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

/// Says what went wrong, in two lines on standard error.
pub(crate) fn print_error(failure: &Failure) {
    use anstream::stream::IsTerminal;
    if failure.code == code::OK {
        return;
    }
    let (red, cyan, off) = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m");
    let mut stderr = anstream::stderr().lock();
    // A line of progress may stand there.
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    let file = failure.file.as_deref().map_or(String::new(), |file| format!("{}: ", quoted(file)));
    // Nobody may be reading; there is nobody else to tell.
    let _ = writeln!(stderr, "{clear}{red}error:{off} {file}{}", failure.message);
    if !failure.help.is_empty() {
        let _ = writeln!(stderr, "{cyan}help:{off} {}", failure.help);
    }
}

/// Says the same to a program.
pub(crate) fn print_json_error(failure: &Failure, is_stdout_data: bool) {
    if failure.code == code::OK {
        return;
    }
    let error = json!({
        "code": failure.code,
        "kind": failure.kind,
        "file": failure.file.as_deref().map(Path::to_string_lossy),
        "message": failure.message,
        "help": failure.help,
    });
    print_json(&json!({ "schema": SCHEMA, "error": error }), is_stdout_data);
}

/// Says something that is no error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A file name as it can be shown: as it is, or escaped and in quotes.
pub(crate) fn quoted(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

// ---- Usage ----------------------------------------------------------------

pub(crate) fn usage(text: &str) -> Failure {
    // What clap says has a first line, perhaps with a list below it, perhaps
    // tips, and the usage once more.
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let list = lines.clone().take_while(|line| !line.is_empty());
    let message = list.fold(first, |message, line| format!("{message} {line}"));
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    Failure::new(code::USAGE, "usage", message, tip.unwrap_or("`cryptstream --help` has the usage"))
}

pub(crate) fn no_input() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "there is no input: no INPUT was given and standard input is a terminal",
        "name a file, or `-` to type the input",
    )
}

pub(crate) fn no_default_name(input: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "the name does not end in .enc or .age, so the output's name cannot be told from it",
        "name the OUTPUT too, or `-` for standard output",
    )
    .about(input)
}

pub(crate) fn binary_to_terminal() -> Failure {
    Failure::new(
        code::USAGE,
        "terminal",
        "the output is binary and standard output is a terminal",
        "name an OUTPUT, redirect with `>`, or force it with the output `-`",
    )
}

pub(crate) fn age_needs_recipients() -> Failure {
    Failure::new(
        code::USAGE,
        "unsupported",
        "age files are not sealed with a passphrase by this version",
        "seal for a recipient (-r age1…), or leave the age format: no --format age, and an output \
         name that does not end in .age",
    )
}

pub(crate) fn no_key_given(is_encrypting: bool) -> Failure {
    let help = if is_encrypting {
        "use -p to be asked for a passphrase, --passphrase-file FILE, or -r RECIPIENT"
    } else {
        "use -p to be asked for the passphrase, --passphrase-file FILE, or -i FILE"
    };
    Failure::new(code::USAGE, "usage", "no key was given", help)
}

pub(crate) fn passphrase_and_recipients() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "a passphrase cannot be combined with recipients or identities when encrypting",
        "choose one: whoever has the passphrase must be sure that nobody else could write the file",
    )
}

pub(crate) fn stdin_twice() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "standard input cannot be both the data and a key",
        "read one of them from a file",
    )
}

pub(crate) fn bad_cost(flag: &str, text: &str) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        format!("{flag} {text}: not a cost, or one that protects too little"),
        "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4; when encrypting 64MiB,3,4 or more",
    )
}

// ---- Keys -----------------------------------------------------------------

/// A file with a passphrase or keys that cannot be read.
pub(crate) fn key_file_unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        code::NO_INPUT,
        "key-file",
        format!("cannot be read: {}", reason(error)),
        "check the name and the permissions",
    )
    .about(path)
}

/// A file that is far too large to hold keys.
pub(crate) fn key_file_too_large(path: &Path) -> Failure {
    Failure::new(
        code::CONFIG,
        "key-file",
        "is larger than 1 MiB, so it is no file of keys",
        "check the name; keys go behind -i, -R and --passphrase-file, data stands alone",
    )
    .about(path)
}

/// A key file whose content is wrong; `error` names the line.
pub(crate) fn key_file_invalid(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(code::CONFIG, "key-file", error.to_string(), "correct or remove that line")
        .about(path)
}

pub(crate) fn bad_recipient(text: &str, error: cryptstream_keys::RecipientError) -> Failure {
    use cryptstream_keys::RecipientError;
    let help = match error {
        RecipientError::Unknown if Path::new(text).is_file() => {
            "it is a file: use -R for a file of recipients, -i for an identity file"
        }
        RecipientError::IsSecret => {
            "take it out of your shell's history; `cryptstream keygen -y FILE` shows its recipient"
        }
        RecipientError::Unsupported(_) => {
            "use an X25519 recipient, as `cryptstream keygen` makes it"
        }
        _ => "a recipient begins with `age1` and has 62 characters; copy it once more",
    };
    Failure::new(code::USAGE, "recipient", format!("--recipient: {error}"), help)
}

/// The input was read as a key.
pub(crate) fn key_is_data(path: &Path) -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "is both the data and the key",
        "give the key in another file, or the data",
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
        "there is no identity in the file",
        "`cryptstream keygen -o FILE` makes a file with one",
    )
    .about(path)
}

/// The file that a new identity was to be written to exists.
pub(crate) fn identity_exists(path: &Path) -> Failure {
    Failure::new(
        code::CANNOT_CREATE,
        "exists",
        "exists already",
        "choose another name: with a key that is overwritten goes what it opens",
    )
    .about(path)
}

pub(crate) fn bad_passphrase(origin: &str, error: cryptstream_keys::PassphraseError) -> Failure {
    Failure::new(code::USAGE, "passphrase", format!("{origin}: {error}"), "give another one")
}

pub(crate) fn passphrases_differ() -> Failure {
    Failure::new(
        code::USAGE,
        "passphrase",
        "the two passphrases are not the same",
        "try again; nothing was written",
    )
}

pub(crate) fn cannot_ask(error: &std::io::Error) -> Failure {
    Failure::new(
        code::USAGE,
        "passphrase",
        format!("there is no terminal to ask for the passphrase: {}", reason(error)),
        "use --passphrase-file FILE or --passphrase-fd N",
    )
}

pub(crate) const ASK: &str = "Passphrase: ";
pub(crate) const ASK_NEW: &str = "New passphrase (leave empty to have one made): ";
pub(crate) const ASK_AGAIN: &str = "The same once more: ";

/// A line for the terminal.
pub(crate) fn generated_passphrase(passphrase: &[u8]) -> Vec<u8> {
    [b"The passphrase is: ", passphrase, b"\n"].concat()
}

pub(crate) fn new_recipient(recipient: &dyn std::fmt::Display) -> String {
    format!("Public key: {recipient}")
}

pub(crate) fn internal(text: &str) -> Failure {
    Failure::new(
        code::INTERNAL,
        "internal",
        text.replace('\n', " "),
        "this is a bug in cryptstream: please report it with this line; the output was not created",
    )
}

/// The system's reason without Rust's "(os error N)".
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((reason, _)) => reason.to_lowercase(),
        None => text,
    }
}
