//! Progress on a terminal: after half a second, and gone when done.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use cryptstream_engine::Progress;
use indicatif::{
    HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use crate::args::{Talk, When};

/// What is done within this needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a line is written where lines are wanted.
const LINE_EVERY: Duration = Duration::from_secs(1);
const REDRAWS_PER_SECOND: u8 = 10;

const WITH_TOTAL: &str =
    "{msg} {wide_bar} {percent:>3} % · {bytes} of {total_bytes} · {rate} · {left} left";
const WITHOUT_TOTAL: &str = "{msg} · {bytes} · {rate} · for {elapsed}";

/// Shows how far one file has come.
pub(crate) struct Meter {
    name: String,
    how: How,
    state: RefCell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Never,
    /// One line that is drawn again and again.
    Bar,
    /// A line a second, for logs.
    Lines,
}

struct State {
    started: Instant,
    last_line: Instant,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Meter {
    pub(crate) fn new(name: String, talk: Talk) -> Self {
        let how = match talk.progress {
            When::Never => How::Never,
            When::Auto if talk.quiet || !io::stderr().is_terminal() => How::Never,
            _ if io::stderr().is_terminal() => How::Bar,
            _ => How::Lines,
        };
        let now = Instant::now();
        let state = State { started: now, last_line: now, total: None, done: 0, bar: None };
        Self { name, how, state: RefCell::new(state) }
    }

    /// Says something while the bar is off the terminal.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        let bar = self.state.borrow().bar.clone();
        match bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        let mut state = self.state.borrow_mut();
        if self.how == How::Lines && state.done > 0 {
            state.print_line(&self.name);
        }
        if let Some(bar) = &state.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Meter {
    fn start(&self, total: Option<u64>) {
        // Asking for the passphrase and deriving the key do not count.
        let mut state = self.state.borrow_mut();
        state.started = Instant::now();
        state.last_line = state.started;
        state.total = total;
    }

    fn advance(&self, bytes: u64) {
        if self.how == How::Never {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.done += bytes;
        if state.started.elapsed() < PATIENCE {
            return;
        }
        if self.how == How::Lines {
            if state.last_line.elapsed() >= LINE_EVERY {
                state.print_line(&self.name);
            }
            return;
        }
        let (total, started, done) = (state.total, state.started, state.done);
        state.bar.get_or_insert_with(|| bar(self.name.clone(), total, started)).set_position(done);
    }
}

impl State {
    fn print_line(&mut self, name: &str) {
        self.last_line = Instant::now();
        let total = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
        // Nobody may be reading; that is no failure.
        let _ = writeln!(
            io::stderr(),
            "{name}: {}{total}, {}/s",
            HumanBytes(self.done),
            HumanBytes(rate(self.done, self.started.elapsed()))
        );
    }
}

/// Bytes per second on average, which jumps about less than at the moment.
fn rate(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

fn bar(name: String, total: Option<u64>, started: Instant) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), WITH_TOTAL),
        None => (ProgressBar::no_length(), WITHOUT_TOTAL),
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}/s", HumanBytes(rate(state.pos(), state.elapsed())));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let rest = state.len().unwrap_or(0).saturating_sub(state.pos());
            let seconds = rest / rate(state.pos(), state.elapsed()).max(1) + 1;
            let _ = write!(out, "{}", HumanDuration(Duration::from_secs(seconds)));
        })
        .progress_chars("━╸─");
    bar.set_style(style);
    bar.set_message(name);
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
    bar.with_elapsed(started.elapsed())
}
