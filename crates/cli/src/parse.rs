//! Parses the command line, and prints help, the version and usage errors.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, ValueEnum};

mod other_programs;

use crate::args::{Cli, Color, PROGRESS_VARIABLE};
use crate::messages::{self, Failure, Printed};

/// Parses the arguments. Returns an exit status if it has printed help, the version or a usage
/// error.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, ExitCode> {
    let arguments = other_programs::insert_command(arguments);
    let (wants_json_report, wants_json_events) = wanted_json(&arguments);
    messages::set_json_output(wants_json_report, wants_json_events);
    wanted_color(&arguments).choice().write_global();
    if let Some(command) = other_programs::command_of(&arguments) {
        messages::set_command(command);
    }
    let refuse = |failure: &Failure| {
        match wants_json_report {
            true => messages::print_json_error(failure, false),
            false => messages::print_error(failure),
        }
        Err(ExitCode::from(failure.code))
    };
    if let Some(failure) = other_programs::misread(&arguments) {
        return refuse(&failure);
    }
    if let Some(cli) = parse_command(&arguments) {
        return Ok(cli);
    }
    let error = match Cli::try_parse_from(&arguments) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion,
    };
    match error.kind() {
        DisplayHelp | DisplayVersion => match error.print() {
            // A closed pipe is not a failure.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let failure = messages::stdout_failed(&error, Printed::Text);
                messages::print_error(&failure);
                Err(ExitCode::from(failure.code))
            }
            _ => Err(ExitCode::SUCCESS),
        },
        DisplayHelpOnMissingArgumentOrSubcommand if wants_json_events => {
            refuse(&messages::no_command())
        }
        DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(ExitCode::from(messages::code::USAGE))
        }
        _ => {
            let command = other_programs::command_of(&arguments);
            let answer = other_programs::answer(&error, &arguments);
            let failure = answer.unwrap_or_else(|| messages::usage(&error.to_string(), command));
            refuse(&match messages::dashed_file(arguments.iter().skip(1).cloned()) {
                Some(name) => failure.helped_by(messages::dashed(&name)),
                None => failure,
            })
        }
    }
}

/// Parses arguments that are understood without the definitions of all commands.
fn parse_command(arguments: &[OsString]) -> Option<Cli> {
    let definition = Cli::of_command(other_programs::command_of(arguments)?)?;
    Cli::from_arg_matches(&definition.try_get_matches_from(arguments).ok()?).ok()
}

/// Whether JSON reports and events are wanted, as far as can be known before parsing.
fn wanted_json(arguments: &[OsString]) -> (bool, bool) {
    let mut wants_json_report = false;
    let mut progress = std::env::var_os(PROGRESS_VARIABLE);
    let mut words = arguments.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        match word.to_str().unwrap_or_default() {
            "--json" => wants_json_report = true,
            "--progress" => progress = words.next().cloned(),
            text => {
                if let Some(when) = text.strip_prefix("--progress=") {
                    progress = Some(when.into());
                }
            }
        }
    }
    (wants_json_report, progress.is_some_and(|when| when == "json"))
}

/// The color setting, as far as it can be known before parsing.
fn wanted_color(arguments: &[OsString]) -> Color {
    let mut color = Color::Auto;
    let by_name = |name: &OsStr| Color::from_str(name.to_str().unwrap_or_default(), false).ok();
    for (at, argument) in arguments.iter().enumerate() {
        let value = match argument.to_str() {
            Some("--") => break,
            Some("--no-color") => Some(Color::Never),
            Some("--color") => arguments.get(at + 1).and_then(|value| by_name(value)),
            Some(text) => text.strip_prefix("--color=").and_then(|value| by_name(value.as_ref())),
            None => None,
        };
        color = value.unwrap_or(color);
    }
    color
}
