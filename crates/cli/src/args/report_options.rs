//! How much the program prints, and how.

use clap::{Args, ValueEnum};

/// How much the program prints, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Messages")]
pub(crate) struct ReportOptions {
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", overrides_with = "quiet")]
    pub(crate) quiet: bool,
    /// Print what was done
    #[arg(short, long, global = true, overrides_with = "verbose")]
    pub(crate) verbose: bool,
    /// Report as JSON: one object on standard output, or on standard error if the data goes to
    /// standard output; warnings are lines of JSON on standard error
    #[arg(long, global = true, overrides_with = "json")]
    pub(crate) json: bool,
    /// Show progress; auto: on a terminal, after half a second; json: everything on standard error
    /// as JSON, one event per line [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) progress: Option<When>,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set [default: auto]
    #[arg(long, global = true, value_name = "WHEN", overrides_with = "no_color")]
    pub(crate) color: Option<Color>,
    /// Same as --color never
    #[arg(long, global = true, overrides_with = "color")]
    pub(crate) no_color: bool,
}

impl ReportOptions {
    /// When to show progress.
    pub(crate) fn progress(self) -> When {
        self.progress.unwrap_or(When::Auto)
    }

    /// Applies the choice of colours to all later output.
    pub(crate) fn apply_color(self) {
        let color = if self.no_color { Some(Color::Never) } else { self.color };
        color.unwrap_or(Color::Auto).choice().write_global();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
    Json,
}

/// The environment variable that sets `--progress`.
pub(crate) const PROGRESS_VARIABLE: &str = "CRYPTSTREAM_PROGRESS";

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub(crate) fn choice(self) -> anstream::ColorChoice {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
    }
}
