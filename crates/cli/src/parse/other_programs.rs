//! Arguments that users know from other programs. Those with only one possible meaning are
//! accepted; others are refused with a message that names the right flag or command. The
//! messages are in [`crate::messages::other_programs`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Subcommand};
use cryptstream_archive::ZSTD_LEVELS;

use crate::args::{Cli, Command};
use crate::messages::{self, Failure};

/// Replaces a flag for the direction by its command: `cryptstream -d -i key file`, as with age,
/// becomes `cryptstream decrypt -i key file`.
pub(super) fn insert_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_flag = |word: &OsString| word.as_bytes().starts_with(b"-");
    if !arguments.get(1).is_some_and(is_flag) || command_of(&arguments).is_some() {
        return arguments;
    }
    let before_names = arguments.iter().take_while(|word| *word != "--");
    let Some((at, command, rest)) = before_names
        .enumerate()
        .skip(1)
        .find_map(|(at, word)| command_for_flag(word).map(|(command, rest)| (at, command, rest)))
    else {
        return arguments;
    };
    arguments.remove(at);
    if let Some(rest) = rest {
        arguments.insert(at, rest);
    }
    arguments.insert(1, command.into());
    arguments
}

/// The command that a flag stands for, and the short flags that follow in the same argument.
fn command_for_flag(word: &OsStr) -> Option<(&'static str, Option<OsString>)> {
    match word.as_bytes() {
        b"--decrypt" => Some(("decrypt", None)),
        b"--encrypt" => Some(("encrypt", None)),
        [b'-', letter @ (b'd' | b'e'), rest @ ..] => {
            let command = if *letter == b'd' { "decrypt" } else { "encrypt" };
            let rest = (!rest.is_empty()).then(|| OsStr::from_bytes(&[b"-", rest].concat()).into());
            Some((command, rest))
        }
        _ => None,
    }
}

/// The command that the arguments name.
pub(super) fn command_of(arguments: &[OsString]) -> Option<&str> {
    let words = arguments.iter().skip(1).take_while(|word| *word != "--");
    let mut words = words.filter_map(|word| word.to_str());
    // Not `Cli::command`, which takes its time to define all flags of all commands.
    words.find(|word| Command::has_subcommand(word))
}

/// Refuses arguments that would be misunderstood, such as `-in`, which would mean `-i n`.
pub(super) fn misread(arguments: &[OsString]) -> Option<Failure> {
    let command = command_of(arguments);
    let words: Vec<_> = arguments.iter().skip(1).take_while(|word| *word != "--").collect();
    let openssl = words.iter().find_map(|word| {
        let word = word.to_str()?;
        Some((word, messages::other_programs::of_openssl(command, word)?))
    });
    if let Some((word, help)) = openssl {
        return Some(messages::other_programs::unknown_flag(word, &help));
    }
    words.windows(2).find_map(|pair| {
        let level = pair[1].to_str()?;
        let is_level = level.parse().is_ok_and(|level: i32| ZSTD_LEVELS.contains(&level));
        (pair[0] == "--zstd" && is_level && !Path::new(level).exists())
            .then(|| messages::other_programs::zstd_level(level))
    })
}

/// An answer to an argument that this parser does not know, but another program does.
pub(super) fn answer(error: &clap::Error, arguments: &[OsString]) -> Option<Failure> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let command = command_of(arguments);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg)?;
            let help = match command {
                None if is_transfer_flag(flag) => {
                    Some(messages::other_programs::NAME_THE_COMMAND.to_owned())
                }
                _ => messages::other_programs::for_flag(command, flag),
            };
            help.map(|help| messages::other_programs::unknown_flag(flag, &help))
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand)?;
            let help = match messages::other_programs::for_command(word) {
                Some(help) => help.to_owned(),
                None if Path::new(word).exists() => {
                    messages::other_programs::command_for_file(Path::new(word))
                }
                None => return None,
            };
            Some(messages::other_programs::unknown_command(word, &help))
        }
        // The standard message would say that nothing was given.
        ErrorKind::InvalidValue
            if text(ContextKind::InvalidValue) == Some("")
                && arguments.iter().any(|argument| argument.is_empty()) =>
        {
            text(ContextKind::InvalidArg).map(messages::empty_argument)
        }
        // The standard message would show the value.
        ErrorKind::TooManyValues
            if text(ContextKind::InvalidArg)
                .is_some_and(|flag| flag.starts_with("--passphrase")) =>
        {
            Some(messages::other_programs::passphrase_takes_no_value())
        }
        _ => None,
    }
}

/// Whether `encrypt` or `decrypt` has this flag.
fn is_transfer_flag(flag: &str) -> bool {
    let cli = Cli::command();
    let is_it = |argument: &clap::Arg| {
        argument.get_long().is_some_and(|long| flag == format!("--{long}"))
            || argument.get_short().is_some_and(|short| flag == format!("-{short}"))
    };
    ["encrypt", "decrypt"]
        .into_iter()
        .filter_map(|name| cli.find_subcommand(name))
        .any(|command| command.get_arguments().any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(typed: &str) -> String {
        let words = typed.split_whitespace().map(OsString::from).collect();
        let words: Vec<_> =
            insert_command(words).into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn a_direction_stands_for_its_command() {
        for (typed, meant) in [
            ("cs -d -i k f", "cs decrypt -i k f"),
            ("cs -i k -d f", "cs decrypt -i k f"),
            ("cs --decrypt f", "cs decrypt f"),
            ("cs -e -r x f", "cs encrypt -r x f"),
            ("cs -q --encrypt f", "cs encrypt -q f"),
            ("cs -dc f", "cs decrypt -c f"),
            ("cs -di k f", "cs decrypt -i k f"),
            // Not if a command is named, or if the flag would be a file name.
            ("cs decrypt -d f", "cs decrypt -d f"),
            ("cs -q decrypt -d f", "cs -q decrypt -d f"),
            ("cs f -d", "cs f -d"),
            ("cs -q -- -d", "cs -q -- -d"),
            ("cs", "cs"),
        ] {
            assert_eq!(rewritten(typed), meant);
        }
    }
}
