//! The progress bar: one line for one file, two lines for many.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{
    HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};
use rustix::termios::{LocalModes, tcgetattr, tcgetwinsize};

use crate::{messages, objects};

const REDRAWS_PER_SECOND: u8 = 10;
/// The width if the terminal does not report one.
const USUAL_WIDTH: usize = 80;
/// The columns needed for everything, for everything but the total, and for the rate. A frame
/// that is too wide would take up several lines.
const WIDE: usize = 100;
const MEDIUM: usize = 64;
const NARROW: usize = 40;

/// A bar, and the state that its style was made for.
#[derive(Clone)]
pub(super) struct Bar {
    bar: ProgressBar,
    has_total: bool,
    width: usize,
    message: String,
    workers: usize,
    /// Bytes per second; 0 while unknown.
    rate: Arc<AtomicU64>,
}

impl Bar {
    pub(super) fn new(total: Option<u64>, started: Instant, done: u64) -> Self {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
        let bar = bar.with_elapsed(started.elapsed()).with_position(done);
        let (message, rate) = (String::new(), Arc::default());
        Self { bar, has_total: total.is_some(), width: 0, message, workers: 0, rate }
    }

    /// Updates the position and the label. The label of many files has a line of its own.
    pub(super) fn show(&mut self, done: u64, label: &Label<'_>, workers: usize, rate: Option<u64>) {
        // A program is asking for a passphrase, perhaps another one in the same pipe.
        if !has_echo() {
            return;
        }
        self.rate.store(rate.unwrap_or(0), Ordering::Relaxed);
        let width = width();
        let message = label.in_columns(width);
        if (width, workers) != (self.width, self.workers) || message != self.message {
            (self.width, self.workers, self.message) = (width, workers, message.clone());
            self.bar.set_style(self.style(matches!(label, Label::Many { .. })));
            self.bar.set_message(message);
        }
        self.bar.set_position(done);
    }

    /// Calls `print` while the bar is hidden.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn style(&self, has_own_line: bool) -> ProgressStyle {
        let name = if has_own_line { "{msg}\n" } else { "{msg} " };
        let workers = match self.workers {
            0 => String::new(),
            1 => " · 1 worker".to_owned(),
            count => format!(" · {count} workers"),
        };
        let template = match (self.has_total, self.width) {
            (true, WIDE..) => {
                format!(
                    "{name}{{wide_bar}} {{percent:>3}} % · {{bytes}} of {{total_bytes}}{{rate}}\
                     {{left}}{workers}{{store}}"
                )
            }
            (true, MEDIUM..) => {
                format!("{name}{{wide_bar}} {{percent:>3}} %{{rate}}{{left}}{workers}{{store}}")
            }
            (true, NARROW..) if has_own_line => format!("{name}{{percent:>3}} %{{rate}}{{left}}"),
            (true, NARROW..) => "{percent:>3} %{rate}{left}".to_owned(),
            (true, _) => "{percent:>3} %".to_owned(),
            (false, MEDIUM..) => {
                format!("{name}· {{bytes}}{{rate}} · for {{elapsed}}{workers}{{store}}")
            }
            (false, NARROW..) => "{bytes}{rate} · {elapsed}".to_owned(),
            (false, _) => "{bytes}".to_owned(),
        };
        let (of_rate, of_left) = (Arc::clone(&self.rate), Arc::clone(&self.rate));
        ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", move |_: &ProgressState, out: &mut dyn fmt::Write| {
                if let rate @ 1.. = of_rate.load(Ordering::Relaxed) {
                    let _ = write!(out, " · {}/s", HumanBytes(rate));
                }
            })
            .with_key("left", move |state: &ProgressState, out: &mut dyn fmt::Write| {
                if let rate @ 1.. = of_left.load(Ordering::Relaxed) {
                    let rest = state.len().unwrap_or(0).saturating_sub(state.pos());
                    let left = HumanDuration(Duration::from_secs(rest / rate + 1));
                    let _ = write!(out, " · {left} left");
                }
            })
            .with_key("store", |_: &ProgressState, out: &mut dyn fmt::Write| {
                for text in store_texts() {
                    let _ = write!(out, " · {text}");
                }
            })
            .progress_chars("━╸─")
    }
}

/// What a line of progress says of stores.
pub(super) fn store_texts() -> Vec<String> {
    objects::stats().map_or_else(Vec::new, |stats| messages::objects::progress(&stats))
}

/// What is in progress: one file, or the counts of many and the name of the oldest.
pub(super) enum Label<'a> {
    One(&'a str),
    Many { numbers: String, name: String },
}

impl Label<'_> {
    /// The label as text that fits in its share of a line of `width` columns.
    fn in_columns(&self, width: usize) -> String {
        match self {
            Label::One(name) => shortened(name, width / 3),
            Label::Many { numbers, name } => {
                let room = (width.saturating_sub(1)).saturating_sub(numbers.chars().count() + 3);
                match room {
                    0..6 => numbers.clone(),
                    _ => format!("{numbers} · {}", shortened(name, room)),
                }
            }
        }
    }
}

/// The end of `name`, which says more than its beginning, in at most this many columns. Every
/// character outside ASCII counts as two columns, as some of them are that wide.
fn shortened(name: &str, columns: usize) -> String {
    let width = |c: char| if c.is_ascii() { 1 } else { 2 };
    if name.chars().map(width).sum::<usize>() <= columns {
        return name.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut start = name.len();
    for (at, c) in name.char_indices().rev() {
        if width(c) > room {
            break;
        }
        room -= width(c);
        start = at;
    }
    format!("…{}", &name[start..])
}

/// The current width of the terminal in columns.
fn width() -> usize {
    match tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => USUAL_WIDTH,
    }
}

/// Whether the terminal echoes what is typed.
fn has_echo() -> bool {
    tcgetattr(std::io::stderr()).map_or(true, |modes| modes.local_modes.contains(LocalModes::ECHO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_beginning() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("longer", 5), "…nger");
        assert_eq!(shortened("größer", 8), "größer");
        assert_eq!(shortened("größer", 7), "…ößer");
        assert_eq!(shortened("ein", 0), "…");
    }
}
