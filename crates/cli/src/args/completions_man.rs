//! The flags of `completions` and `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// Shell to generate completions for
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
    /// Write all pages to DIR, one per command [default: the main page, on standard output]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Replace existing pages that differ
    #[arg(short, long, requires = "folder")]
    pub(crate) force: bool,
}
