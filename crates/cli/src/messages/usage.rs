//! Command lines that cannot be meant.

use super::failure::{Failure, code};

/// What clap says about the arguments of `command`.
pub(crate) fn usage(text: &str, command: Option<&str>) -> Failure {
    // What clap says has a first line, perhaps with a list below it, perhaps
    // tips, and the usage once more.
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let list = lines.clone().take_while(|line| !line.is_empty());
    let message = list.fold(first, |message, line| format!("{message} {line}"));
    let help = lines.find_map(|line| {
        // That a flag could be meant as a name hardly ever helps.
        line.strip_prefix("tip: ").filter(|tip| !tip.starts_with("to pass"))
    });
    let command = command.map_or(String::new(), |command| format!(" {command}"));
    let help = help
        .map_or_else(|| format!("`cryptstream{command} --help` has the usage"), ToOwned::to_owned);
    Failure::new(code::USAGE, "usage", message, help)
}

pub(crate) fn no_command() -> Failure {
    let help = "`cryptstream --help` lists the commands";
    Failure::new(code::USAGE, "usage", "no command was given", help)
}

pub(crate) fn no_input() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "there is no input: no INPUT was given and standard input is a terminal",
        "name a file, or `-` to type the input",
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

pub(crate) fn armor_is_age() -> Failure {
    Failure::new(
        code::USAGE,
        "usage",
        "--armor writes the age format, and --format native was asked for",
        "leave one of them out",
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

pub(crate) fn bad_cost(flag: &str, text: &str) -> Failure {
    let (memory, rest) = text.split_once(',').map_or((text, ""), |(memory, rest)| (memory, rest));
    let comma = if rest.is_empty() { "" } else { "," };
    let help = match with_binary_unit(memory) {
        Some(memory) => format!("write {flag} {memory}{comma}{rest}"),
        None => "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4".to_owned(),
    };
    Failure::new(code::USAGE, "usage", format!("{flag} {text}: is not a cost"), help)
}

/// The same amount with the unit that is meant, where another program's stands there.
pub(crate) fn with_binary_unit(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let letter = text[digits.len()..].chars().next()?.to_ascii_uppercase();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && "KMGT".contains(letter)).then(|| format!("{digits}{letter}iB"))
}

/// A cost that can be read, and is not enough for a new file.
pub(crate) fn weak_cost(flag: &str, text: &str) -> Failure {
    let message = format!("{flag} {text}: protects too little");
    Failure::new(code::USAGE, "usage", message, "use 64MiB,3,4 or more")
}

/// The cost of another format's derivation.
pub(crate) fn cost_of_native() -> Failure {
    let message =
        "--argon2id is for native files; in files of age a passphrase is put through scrypt";
    Failure::new(code::USAGE, "usage", message, "use --scrypt, or leave the age format")
}

/// The cost of another format's derivation.
pub(crate) fn cost_of_age() -> Failure {
    let message =
        "--scrypt is for files of age; in native ones a passphrase is put through Argon2id";
    Failure::new(code::USAGE, "usage", message, "use --argon2id, or the age format")
}
