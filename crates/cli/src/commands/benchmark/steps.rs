//! The progress bar of the benchmark.

use std::io::{self, IsTerminal};

use cryptstream_benchmark::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{ReportOptions, When};
use crate::messages;

const TEMPLATE: &str = "{wide_bar} {percent:>3} % · {msg}";

/// A bar on a terminal, or lines for logs.
pub(super) struct Steps {
    bar: ProgressBar,
    /// Whether a line is printed for each size.
    has_lines: bool,
}

impl Steps {
    pub(super) fn new(options: ReportOptions) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let (has_bar, has_lines) = match options.progress() {
            When::Never => (false, false),
            When::Auto => (is_terminal && !options.quiet && !options.json, false),
            When::Always => (is_terminal, !is_terminal),
            When::Json => (false, true),
        };
        let target =
            if has_bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template(TEMPLATE);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        Self { bar, has_lines }
    }
}

impl Progress for Steps {
    fn begin(&self, total: u64) {
        self.bar.set_length(total);
    }

    fn begin_size(&self, size: &str) {
        if self.has_lines {
            messages::note(&format!("measuring {size}"));
        }
    }

    fn step(&self, size: &str, what: &str) {
        self.bar.set_message(format!("{size}, {what}"));
        self.bar.inc(1);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
