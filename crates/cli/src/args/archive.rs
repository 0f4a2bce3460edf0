//! The flags about archives.

use clap::Args;
use cryptstream_archive::{Limits, ZSTD_LEVELS};

use super::range;
use crate::messages::with_binary_unit;

/// How a folder becomes one encrypted archive.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Archives")]
pub(crate) struct Packing {
    /// Pack a folder into one encrypted tar archive; to DIR.tar.enc unless OUTPUT is given
    #[arg(
        long,
        conflicts_with_all = [
            "remove_source", "verify_output", "output_dir", "newer", "dry_run", "keep_going",
            "fail_fast"
        ]
    )]
    pub(crate) archive: bool,
    /// Compress the archive with zstd, level 1 to 22 [default: 3]
    #[arg(
        long,
        value_name = "LEVEL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3",
        requires = "archive",
        value_parser = clap::value_parser!(i32).range(
            *ZSTD_LEVELS.start() as i64..=*ZSTD_LEVELS.end() as i64
        )
    )]
    pub(crate) zstd: Option<i32>,
}

/// How an encrypted archive becomes a folder.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Archives")]
pub(crate) struct Unpacking {
    /// Unpack an encrypted archive into the folder OUTPUT, which appears once everything is
    /// verified
    #[arg(
        long,
        conflicts_with_all = [
            "salvage", "range", "remove_source", "verify_output", "output_dir", "include",
            "exclude", "ignore_file", "gitignore", "newer", "dry_run", "keep_going", "fail_fast"
        ]
    )]
    pub(crate) extract: bool,
    /// Also create symbolic links that are absolute or lead out of the folder
    #[arg(long, requires = "extract")]
    any_links: bool,
    /// Unpack at most SIZE of content, holes included, such as 2TiB [default: 1TiB more than the
    /// archive itself]
    #[arg(
        long,
        value_name = "SIZE",
        requires = "extract",
        value_parser = parse_size,
        allow_negative_numbers = true
    )]
    max_size: Option<u64>,
    /// Unpack at most N files, folders and links [default: 10000000]
    #[arg(
        long,
        value_name = "N",
        requires = "extract",
        value_parser = parse_count,
        allow_negative_numbers = true
    )]
    max_entries: Option<u64>,
    /// Maximum decompression ratio; 64 MiB are always allowed [default: 1000]
    #[arg(
        long,
        value_name = "N",
        requires = "extract",
        value_parser = parse_count,
        allow_negative_numbers = true
    )]
    max_ratio: Option<u64>,
}

impl Unpacking {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            entries: self.max_entries.unwrap_or(Limits::DEFAULT.entries),
            bytes: self.max_size.unwrap_or(Limits::DEFAULT.bytes),
            growth: self.max_size.map_or(Limits::DEFAULT.growth, |_| u64::MAX),
            ratio: self.max_ratio.unwrap_or(Limits::DEFAULT.ratio),
        }
    }

    pub(crate) fn wants_any_links(&self) -> bool {
        self.any_links
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    range::size(text).ok_or_else(|| match with_binary_unit(text, "KMGT") {
        Some(meant) => format!("write {meant}"),
        None => "a number of bytes, such as 500MiB or 2TiB".to_owned(),
    })
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "a number, such as 2000")
}
