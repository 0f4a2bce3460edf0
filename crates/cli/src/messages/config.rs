//! Messages about the configuration: the file, the variables, and the settings in effect. A value
//! that could be a secret is never printed.

use std::path::Path;

use cryptstream_format::argon2id::Cost;
use cryptstream_keys::RecipientError;

use super::{Failure, code, quoted, reason};

/// What is wrong with a value, and what to do about it.
#[derive(Debug)]
pub(crate) struct SettingError {
    message: String,
    help: String,
}

impl SettingError {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// Adds the setting that it is about.
    pub(crate) fn of(self, setting: &str) -> Self {
        Self { message: format!("{setting} {}", self.message), ..self }
    }
}

/// How values are written in the file.
pub(crate) const A_LIST: &str = "a string in quotes, or a list of them in []";
pub(crate) const A_TEXT: &str = "a string in quotes";
pub(crate) const A_NUMBER: &str = "a number without quotes";
pub(crate) const A_NUMBER_OR_AUTO: &str = "a number without quotes, or \"auto\"";

pub(crate) fn in_file(path: &Path, line: usize, error: SettingError) -> Failure {
    let message = format!("line {line}: {}", error.message);
    Failure::new(code::CONFIG, "config", message, error.help).about(path)
}

pub(crate) fn in_variable(variable: &str, error: SettingError) -> Failure {
    let message = format!("the environment variable {variable} {}", error.message);
    Failure::new(code::CONFIG, "config", message, error.help)
}

// ---- The file -------------------------------------------------------------

const WITHOUT: &str = "or ignore the file with --no-config";

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the configuration cannot be read: {}", reason(error));
    let help = format!("check the file and its permissions, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path).or_shortage(error)
}

/// A folder above the file does not let this user in.
pub(crate) fn out_of_reach(path: &Path) -> String {
    format!(
        "{}: the configuration is ignored, because a folder above it cannot be entered; check \
         HOME and XDG_CONFIG_HOME, {WITHOUT}",
        quoted(path)
    )
}

/// Why the file is not read.
pub(crate) const NOT_REGULAR: &str = "it is not a regular file";
pub(crate) const EXCHANGED: &str = "it was replaced while it was being opened";

pub(crate) fn named_but_missing(path: &Path, variable: &str) -> Failure {
    let message = format!("{variable} names this file, which does not exist");
    let help = format!("correct or unset the variable, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn of_another_user(path: &Path, owner: u32) -> Failure {
    let message = format!("belongs to another user (id {owner}), who could change the keys in it");
    let help = "copy it to a file of your own, or ignore it with --no-config";
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn open_to_others(path: &Path) -> Failure {
    let message = "other users can change this configuration, and with it the keys that files \
                   are encrypted to";
    let name = super::quoted(path);
    let help = format!(
        "check its content, then run: chmod go-w {name}; where that has no effect (FAT, NTFS), \
         point CRYPTSTREAM_CONFIG to a copy in your home folder"
    );
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn too_large(path: &Path) -> Failure {
    let message = "is larger than 1 MiB, so it is not a configuration file";
    let help = format!("check the name, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn no_toml(reason: &str) -> SettingError {
    let message = format!("is not valid TOML: {}", reason.replace('\n', " "));
    SettingError::new(
        message,
        "write NAME = VALUE, with strings in quotes; see `cryptstream config --help`",
    )
}

pub(crate) fn unknown(name: &str, like: Option<&str>) -> SettingError {
    let help = like.map_or_else(
        || "`cryptstream config --help` lists the settings".to_owned(),
        |like| format!("did you mean {like}?"),
    );
    SettingError::new(format!("there is no setting {name:?}"), help)
}

pub(crate) fn passphrase_in_file() -> SettingError {
    SettingError::new(
        "a configuration file cannot hold a passphrase or a secret key, since such files are \
         copied and shared carelessly",
        "move it to a file that only you can read, for --passphrase-file or -i, or use -p; stop \
         using it if others may have seen it",
    )
}

pub(crate) fn wrong_type(setting: &str, expected: &str) -> SettingError {
    let help = "`cryptstream config --help` has an example of each";
    SettingError::new(format!("{setting} must be {expected}"), help)
}

// ---- Values ---------------------------------------------------------------

pub(crate) fn not_text() -> SettingError {
    SettingError::new("is not UTF-8 text", "write it in UTF-8")
}

pub(crate) fn must_be(expected: &str) -> SettingError {
    SettingError::new(format!("must be {expected}"), "correct it, or leave it out")
}

pub(crate) fn not_one_of(names: &[String], like: Option<&str>) -> SettingError {
    let help = like.map_or_else(
        || "correct it, or leave it out".to_owned(),
        |like| format!("did you mean {like}?"),
    );
    SettingError::new(format!("must be one of {}", names.join(", ")), help)
}

pub(crate) fn no_cost() -> SettingError {
    SettingError::new(
        "is not a valid cost, or is too low",
        "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4; at least 64MiB,3,4",
    )
}

pub(crate) fn no_seconds() -> SettingError {
    SettingError::new(
        "must be a number of seconds",
        "write a number such as 120, or 0 to wait forever",
    )
}

pub(crate) fn no_recipient(error: &RecipientError) -> SettingError {
    let help = match error {
        RecipientError::IsSecret => {
            "move it to a file that only you can read; `cryptstream keygen -y FILE` shows the \
             recipient that belongs here"
        }
        _ => "copy it again, one string for each recipient",
    };
    SettingError::new(format!("has a wrong entry: {error}"), help)
}

pub(crate) fn secret_as_name() -> SettingError {
    SettingError::new(
        "has a secret key instead of a file name",
        "put it into a file that only you can read, and name the file",
    )
}

pub(crate) fn no_file_name() -> SettingError {
    SettingError::new(
        "has an entry that is not a file",
        "name a key file; standard input does not work here",
    )
}

pub(crate) fn no_home() -> SettingError {
    SettingError::new(
        "has a name that begins with ~, but HOME is not set",
        "set HOME, or write the full name",
    )
}

// ---- Settings in effect -----------------------------------------------------

/// A setting, as one line or, where it has several texts, as several.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) texts: Vec<String>,
    pub(crate) from: String,
}

pub(crate) const NOT_SHOWN: &str = "(not shown)";
pub(crate) const DEFAULT: &str = "default";

/// What a key is used for.
pub(crate) fn used_by(commands: &[&str]) -> String {
    match commands {
        [] => " (unused: a key from elsewhere takes precedence)".to_owned(),
        commands => format!(" (used to {})", commands.join(" and to ")),
    }
}

pub(crate) fn cost(cost: Cost) -> String {
    let Cost { memory_kib, passes, lanes } = cost;
    match memory_kib % 1024 {
        0 => format!("{}MiB,{passes},{lanes}", memory_kib / 1024),
        _ => format!("{memory_kib}KiB,{passes},{lanes}"),
    }
}

/// A longer value does not move what comes after those of other lines.
const WIDEST: usize = 28;

pub(crate) fn table(path: Option<&Path>, is_there: bool, rows: &[Row]) -> String {
    let mut text = match (path, is_there) {
        (None, _) => "No configuration file is read.\n\n".to_owned(),
        (Some(path), true) => format!("Configuration file: {}\n\n", super::quoted(path)),
        (Some(path), false) => {
            format!("Configuration file: {}, which does not exist\n\n", super::quoted(path))
        }
    };
    let names = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let texts = rows.iter().flat_map(|row| &row.texts).map(|text| text.chars().count());
    let texts = texts.filter(|len| *len <= WIDEST).max().unwrap_or_default();
    for Row { name, texts: lines, from } in rows {
        for (number, line) in lines.iter().enumerate() {
            let (name, from) = if number == 0 { (name.as_str(), from.as_str()) } else { ("", "") };
            text += format!("{name:names$}  {line:texts$}  {from}").trim_end();
            text.push('\n');
        }
    }
    text
}
