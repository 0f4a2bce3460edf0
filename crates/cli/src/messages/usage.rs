//! Messages about command lines that make no sense.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::failure::{Failure, code};
use super::text::quoted;

/// What clap says about the arguments of `command`, in two lines.
pub(crate) fn usage(text: &str, command: Option<&str>) -> Failure {
    // Its text has a first line, perhaps with a list below it, perhaps tips, and the usage.
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let list = lines.clone().take_while(|line| !line.is_empty());
    let message = list.fold(first, |message, line| format!("{message} {line}"));
    let help = lines.find_map(|line| {
        // The tip that a flag may be meant as a name hardly ever helps.
        line.strip_prefix("tip: ").filter(|tip| !tip.starts_with("to pass"))
    });
    let command = command.map_or(String::new(), |command| format!(" {command}"));
    let help = help.map_or_else(|| format!("see `cryptstream{command} --help`"), ToOwned::to_owned);
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_command() -> Failure {
    let help = "`cryptstream --help` lists the commands";
    Failure::new(code::USAGE, "usage", "no command was given", help)
}

pub(crate) fn no_input() -> Failure {
    let (message, help) = match std::io::stdin().is_terminal() {
        true => (
            "no INPUT was given, and standard input is a terminal",
            "name a file, or `-` to type the input",
        ),
        false => ("no INPUT was given", "name a file or a folder"),
    };
    let dashed = dashed_file(std::env::args_os().skip(1)).map(|name| dashed(&name));
    Failure::new(code::USAGE, "usage", message, dashed.unwrap_or_else(|| help.to_owned()))
}

/// The first argument that looks like flags, and is also the name of a file.
pub(crate) fn dashed_file(arguments: impl IntoIterator<Item = OsString>) -> Option<OsString> {
    let mut words = arguments.into_iter().take_while(|word| word != "--");
    words.find(|word| {
        word.len() > 1 && word.as_bytes().starts_with(b"-") && Path::new(word).exists()
    })
}

/// How to name such a file, as rm(1) says it.
pub(crate) fn dashed(name: &OsStr) -> String {
    format!("to name the file {0}, write ./{0}", quoted(Path::new(name)))
}

/// An argument without any characters.
pub(crate) fn empty_argument(name: &str) -> Failure {
    let name = match name.starts_with("--") {
        true => name,
        false => name.trim_matches(['[', ']', '<', '>', '.']),
    };
    let help = "is a variable in a script empty?";
    Failure::new(code::USAGE, "usage", format!("the text given for {name} is empty"), help)
}

pub(crate) fn stdin_twice() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "standard input cannot be both the data and a key",
        "read one of them from a file",
    )
}

pub(crate) fn armor_is_age() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--armor writes the age format, which --format native contradicts",
        "leave one of them out",
    )
}

pub(crate) fn no_key_given(is_encrypting: bool) -> Failure {
    let help = if is_encrypting {
        "use -p to be asked for a passphrase, --passphrase-file FILE, -r RECIPIENT or -i FILE"
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
        "choose one: a file with a passphrase must come from someone who knows it",
    )
}

pub(crate) fn bad_cost(flag: &str, text: &str) -> Failure {
    let (memory, rest) = text.split_once(',').map_or((text, ""), |(memory, rest)| (memory, rest));
    let comma = if rest.is_empty() { "" } else { "," };
    let help = match with_binary_unit(memory, "KMG").filter(|_| rest.split(',').count() <= 2) {
        Some(memory) => format!("write {flag} {memory}{comma}{rest}"),
        None => {
            "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4; each lane needs 8 KiB".to_owned()
        }
    };
    Failure::new(code::USAGE, "usage", format!("{flag} {text}: not a valid cost"), help)
}

/// The amount with the binary unit that was meant, such as 64MiB for 64M; `None` if it has one, or one
/// that is not among `units`.
pub(crate) fn with_binary_unit(text: &str, units: &str) -> Option<String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let letter = text[digits.len()..].chars().next()?.to_ascii_uppercase();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let meant = format!("{digits}{letter}iB");
    (is_number && units.contains(letter) && meant != text).then_some(meant)
}

/// A cost that is valid, but too low for a new file.
pub(crate) fn weak_cost(flag: &str, text: &str) -> Failure {
    let message = format!("{flag} {text}: the cost is too low");
    Failure::new(code::USAGE, "usage", message, "use 64MiB,3,4 or more")
}

/// The cost of the other format's key derivation.
pub(crate) fn cost_of_native() -> Failure {
    let message = "--argon2id is for native files; age files use scrypt";
    Failure::new(code::USAGE, "usage", message, "use --scrypt, or the native format")
}

/// The cost of the other format's key derivation.
pub(crate) fn cost_of_age() -> Failure {
    let message = "--scrypt is for age files; native files use Argon2id";
    Failure::new(code::USAGE, "usage", message, "use --argon2id, or the age format")
}
