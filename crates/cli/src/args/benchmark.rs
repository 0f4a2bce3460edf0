//! The arguments of `benchmark`.

use std::path::PathBuf;

use clap::Args;

use crate::messages::with_binary_unit;

#[derive(Args, Debug)]
pub(crate) struct Benchmark {
    /// Measure with FILE, which is only read, instead of test files of several sizes
    #[arg(long, value_name = "FILE", conflicts_with = "max_size")]
    pub(crate) file: Option<PathBuf>,
    /// Measure with up to N workers [default: one per core, at least 2, at most 8]
    #[arg(
        short = 'j',
        long,
        visible_alias = "threads",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256),
        allow_negative_numbers = true
    )]
    pub(crate) processes: Option<u16>,
    /// Repeat every measurement N times; fewer than 3 allow no conclusions
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        allow_negative_numbers = true
    )]
    pub(crate) runs: u16,
    /// Largest test file, such as 64MiB [default: 1GiB]
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = parse_size,
        allow_negative_numbers = true
    )]
    pub(crate) max_size: Option<u64>,
    /// Folder for the test files [default: that of FILE; without FILE, TMPDIR or /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Write an HTML page with charts
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Replace an existing report
    #[arg(short, long, requires = "report")]
    pub(crate) force: bool,
}

/// Reads a number of bytes, such as `64MiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || match with_binary_unit(text, "KMG") {
        Some(meant) => format!("write {meant}"),
        None => "a size such as 400KiB, 64MiB or 1GiB".to_owned(),
    };
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .iter()
        .find_map(|(unit, bytes)| {
            text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*bytes)
        })
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("400KiB"), Ok(409_600));
        assert_eq!(parse_size("64 MiB"), Ok(64 << 20));
        for wrong in ["", "4", "4MB", "-1KiB", "GiB", "99999999999999GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong:?}");
        }
    }
}
