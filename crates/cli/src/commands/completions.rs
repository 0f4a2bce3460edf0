//! `completions`: generates shell completions.

use clap::CommandFactory;
use clap_complete::{Generator, Shell as Known};
use clap_complete_nushell::Nushell;

use super::session::CommandResult;
use crate::args::{Cli, Completions, Shell};
use crate::messages::{self, Printed};
use crate::report::Status;

pub(super) fn run(args: &Completions) -> CommandResult {
    let script = match args.shell {
        Shell::Bash => script(Known::Bash),
        Shell::Zsh => script(Known::Zsh),
        Shell::Fish => script(Known::Fish),
        Shell::Powershell => script(Known::PowerShell),
        Shell::Nushell => script(Nushell),
        Shell::Elvish => script(Known::Elvish),
    };
    messages::print_output(&script, Printed::Text)?;
    Ok(Status::default())
}

fn script(shell: impl Generator) -> Vec<u8> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}
