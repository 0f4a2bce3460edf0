//! What is said about the configuration: the file, the variables, and what is
//! in force. A value that could be a secret is never repeated.

use std::path::Path;

use cryptstream_format::argon2id::Cost;
use cryptstream_keys::RecipientError;

use super::system::{is_shortage, no_descriptors};
use super::{Failure, code, quoted, reason};

/// What is wrong with a value, and what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    help: String,
}

impl Problem {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// The same, with the setting that it is about.
    pub(crate) fn of(self, setting: &str) -> Self {
        Self { message: format!("{setting} {}", self.message), ..self }
    }
}

/// How values are written in the file.
pub(crate) const A_LIST: &str = "a text in quotes, or a list of them in []";
pub(crate) const A_TEXT: &str = "a text in quotes";
pub(crate) const A_NUMBER: &str = "a number without quotes";
pub(crate) const A_NUMBER_OR_AUTO: &str = "a number without quotes, or \"auto\"";

pub(crate) fn in_file(path: &Path, line: usize, problem: Problem) -> Failure {
    let message = format!("line {line}: {}", problem.message);
    Failure::new(code::CONFIG, "config", message, problem.help).about(path)
}

pub(crate) fn in_variable(variable: &str, problem: Problem) -> Failure {
    let message = format!("the environment variable {variable} {}", problem.message);
    Failure::new(code::CONFIG, "config", message, problem.help)
}

// ---- The file -------------------------------------------------------------

const WITHOUT: &str = "or leave the file aside with --no-config";

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    if is_shortage(error) {
        return no_descriptors().about(path);
    }
    let message = format!("the configuration cannot be read: {}", reason(error));
    let help = format!("check what it is and its permissions, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path).or_shortage(error)
}

/// A folder above the file keeps this user out.
pub(crate) fn out_of_reach(path: &Path) -> String {
    format!(
        "{}: the configuration is ignored, because a folder above it cannot be entered; check \
         HOME and XDG_CONFIG_HOME, {WITHOUT}",
        quoted(path)
    )
}

/// Why the file is not read.
pub(crate) const NO_PLAIN_FILE: &str = "it is no plain file";
pub(crate) const EXCHANGED: &str = "it was exchanged while it was opened";

pub(crate) fn named_but_missing(path: &Path, variable: &str) -> Failure {
    let message = format!("{variable} names this file, and it is not there");
    let help = format!("correct or unset the variable, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn of_another_user(path: &Path, owner: u32) -> Failure {
    let message =
        format!("belongs to another user (number {owner}), who could change the keys in it");
    let help = "copy it to a file of your own, or leave it out with --no-config";
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn open_to_others(path: &Path) -> Failure {
    let message = "others may change this configuration, and with it the keys that files are \
                   encrypted for";
    let name = super::quoted(path);
    let help = format!(
        "look through it, then run: chmod go-w {name}; where that changes nothing (FAT, NTFS), \
         name a copy in your home folder with CRYPTSTREAM_CONFIG"
    );
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn too_large(path: &Path) -> Failure {
    let message = "is larger than 1 MiB, so it is no configuration";
    let help = format!("check the name, {WITHOUT}");
    Failure::new(code::CONFIG, "config", message, help).about(path)
}

pub(crate) fn no_toml(reason: &str) -> Problem {
    let message = format!("is not written as TOML: {}", reason.replace('\n', " "));
    Problem::new(message, "write NAME = VALUE, texts in quotes; see `cryptstream config --help`")
}

pub(crate) fn unknown(name: &str, like: Option<&str>) -> Problem {
    let help = like.map_or_else(
        || "`cryptstream config --help` lists the settings".to_owned(),
        |like| format!("did you mean {like}?"),
    );
    Problem::new(format!("there is no setting {name:?}"), help)
}

pub(crate) fn passphrase_in_file() -> Problem {
    Problem::new(
        "no passphrase and no secret key is taken from a configuration, since files like this \
         are copied and shared without thought",
        "move it to a file that only you can read, for --passphrase-file or -i, and no longer \
         use it if others may have seen it; -p asks",
    )
}

pub(crate) fn wrong_type(setting: &str, expected: &str) -> Problem {
    let help = "`cryptstream config --help` shows one of each";
    Problem::new(format!("{setting} must be {expected}"), help)
}

// ---- Values ---------------------------------------------------------------

pub(crate) fn not_text() -> Problem {
    Problem::new("is not text in UTF-8", "write it anew in UTF-8")
}

pub(crate) fn must_be(expected: &str) -> Problem {
    Problem::new(format!("must be {expected}"), "correct it, or leave it out")
}

pub(crate) fn not_one_of(names: &[String], like: Option<&str>) -> Problem {
    let help = like.map_or_else(
        || "correct it, or leave it out".to_owned(),
        |like| format!("did you mean {like}?"),
    );
    Problem::new(format!("must be one of {}", names.join(", ")), help)
}

pub(crate) fn no_cost() -> Problem {
    Problem::new(
        "is not a cost, or one that protects too little",
        "write MEMORY[,PASSES[,LANES]], such as 256MiB,3,4; 64MiB,3,4 or more",
    )
}

pub(crate) fn no_seconds() -> Problem {
    Problem::new("must be a number of seconds", "write 120, say, or 0 for ever")
}

pub(crate) fn no_recipient(error: &RecipientError) -> Problem {
    let help = match error {
        RecipientError::IsSecret => {
            "move it to a file that only you can read; `cryptstream keygen -y FILE` shows the \
             recipient that belongs here"
        }
        _ => "copy it once more, one text for each recipient",
    };
    Problem::new(format!("has a wrong entry: {error}"), help)
}

pub(crate) fn secret_as_name() -> Problem {
    Problem::new(
        "has a secret key where the name of a file belongs",
        "put it into a file that only you can read, and name that",
    )
}

pub(crate) fn no_file_name() -> Problem {
    Problem::new("has an entry that names no file", "name a file of keys; standard input is none")
}

pub(crate) fn no_home() -> Problem {
    Problem::new(
        "has a name that begins with ~, and HOME is not set",
        "set HOME, or write the whole name",
    )
}

// ---- What is in force -----------------------------------------------------

/// A setting, as one line or, where it has several texts, as several.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) texts: Vec<String>,
    pub(crate) from: String,
}

pub(crate) const NOT_SHOWN: &str = "(not shown)";
pub(crate) const DEFAULT: &str = "default";

/// What a key is used for.
pub(crate) fn used_by(commands: &[&str]) -> String {
    match commands {
        [] => " (set aside: a stronger place names a key)".to_owned(),
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
            let (name, from) = if number == 0 { (*name, from.as_str()) } else { ("", "") };
            text += format!("{name:names$}  {line:texts$}  {from}").trim_end();
            text.push('\n');
        }
    }
    text
}
