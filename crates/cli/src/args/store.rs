//! The flags of `store`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::StorageOptions;

#[derive(Args, Debug)]
pub(crate) struct Store {
    /// What to look at
    #[arg(value_name = "WHAT")]
    pub(crate) what: StoreContent,
    /// A bucket, an object, or the beginning of keys: s3://BUCKET[/KEY], gs://…
    #[arg(value_name = "URL")]
    pub(crate) url: PathBuf,
    /// Abort the uploads, which deletes their parts
    #[arg(long)]
    pub(crate) abort: bool,
    /// Only uploads that were begun so long ago, such as 12h or 7d [default: 0s; with --abort: 1d,
    /// so that none is aborted that is under way]
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) older_than: Option<Duration>,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

/// What `store` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreContent {
    /// Uploads in parts that were neither completed nor aborted
    Uploads,
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || "not an age: write a number and s, m, h or d, such as 12h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}
