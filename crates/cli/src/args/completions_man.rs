//! What the commands can be told that write words for shells and man(1).

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell to complete in
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    #[value(alias = "nu")]
    Nushell,
    Elvish,
}

#[derive(Args, Debug)]
pub(crate) struct Manual {
    /// Folder to write all pages to, one for each command; without it the main page
    /// is written to standard output
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Replace pages that exist and differ
    #[arg(short, long, requires = "folder")]
    pub(crate) force: bool,
}
