//! The flags about worker processes.

use clap::{Args, ValueEnum};
use cryptstream_engine::Processes;

/// The worker processes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Workers {
    /// Worker processes for files from 8 MiB on: a number, 0 for none, or auto
    /// [default: auto, one for each core up to 4]
    #[arg(short = 'j', long, visible_alias = "threads", value_name = "N|auto", value_parser = parse_processes)]
    pub(crate) processes: Option<Processes>,
    /// Whether workers must be locked in: require, auto (as well as the system
    /// can) or off [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
}

/// Who reads what strangers wrote, in commands that have no workers.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Reading {
    /// Whether what reads the file must be locked in: require, auto (this process
    /// reads it) or off [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
}

impl From<Reading> for Workers {
    fn from(Reading { sandbox }: Reading) -> Self {
        Self { processes: None, sandbox }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    Require,
    Auto,
    Off,
}

pub(crate) fn parse_processes(text: &str) -> Result<Processes, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Processes::Auto),
        Ok(count @ 0..=MAX_PROCESSES) => Ok(Processes::Exactly(count)),
        _ => Err(format!("a number from 0 to {MAX_PROCESSES}, or auto")),
    }
}

/// The most workers that can be asked for.
const MAX_PROCESSES: u16 = 256;
