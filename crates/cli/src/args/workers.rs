//! The flags about worker processes.

use clap::{Args, ValueEnum};
use cryptstream_engine::Processes;

/// The worker processes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Workers {
    /// Number of worker processes for files from 8 MiB on; 0 for none [default: auto, one per core,
    /// at most 4, or 16 while storage makes them wait]
    #[arg(short = 'j', long, visible_alias = "threads", value_name = "N|auto", value_parser = parse_processes)]
    pub(crate) processes: Option<Processes>,
    /// Whether to sandbox worker processes; auto: as far as the system can [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
}

/// Who parses input from strangers, in commands that have no workers.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Reading {
    /// Whether to parse the file in a sandboxed process; auto: parse it in this one [default: auto]
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
