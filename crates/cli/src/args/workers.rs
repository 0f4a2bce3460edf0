//! The flags about worker processes.

use clap::{Args, ValueEnum};
use cryptstream_engine::{Cache, Processes};

/// The worker processes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Processes")]
pub(crate) struct Workers {
    /// Number of worker processes for files from 8 MiB on; 0 for none; auto: one per core, up to 4,
    /// and up to 16 on slow storage [default: auto]
    #[arg(
        short = 'j',
        long,
        visible_alias = "threads",
        value_name = "N|auto",
        value_parser = parse_processes,
        allow_negative_numbers = true
    )]
    pub(crate) processes: Option<Processes>,
    /// Whether to sandbox worker processes; auto: as far as the system can; require: completely, and
    /// parse everything in one, or fail [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) sandbox: Option<Sandbox>,
    /// Keep files of 8 MiB and more in the page cache, or drop them; auto drops those larger than a
    /// quarter of the available memory, and those written with --sync [default: auto]
    #[arg(long, value_name = "MODE")]
    pub(crate) cache: Option<CacheMode>,
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
        Self { processes: None, sandbox, cache: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    Require,
    Auto,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheMode {
    Auto,
    Keep,
    Drop,
}

impl From<CacheMode> for Cache {
    fn from(mode: CacheMode) -> Self {
        match mode {
            CacheMode::Auto => Self::Auto,
            CacheMode::Keep => Self::Keep,
            CacheMode::Drop => Self::Drop,
        }
    }
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
