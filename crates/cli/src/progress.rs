//! Progress on a terminal: after half a second, and gone when done.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryptstream_engine::Progress;
use indicatif::{
    HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState,
    ProgressStyle,
};

use serde_json::json;

use crate::args::{Talk, When};
use crate::messages;
use crate::report::SCHEMA;

/// What is done within this needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a line is written where lines are wanted.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often the name of the file under way is exchanged, where there are many.
const NAME_EVERY: Duration = Duration::from_millis(200);
const REDRAWS_PER_SECOND: u8 = 10;

const WITH_TOTAL: &str =
    "{msg} {wide_bar} {percent:>3} % · {bytes} of {total_bytes} · {rate} · {left} left";
const WITHOUT_TOTAL: &str = "{msg} · {bytes} · {rate} · for {elapsed}";

/// Shows how far one file has come, or many.
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
    /// A JSON object a second, for programs.
    Json,
}

struct State {
    started: Instant,
    last_line: Instant,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
    /// Of many files: how many there are, how many are done, and the last one that
    /// was begun.
    files: Option<(u64, u64, PathBuf)>,
}

impl Meter {
    pub(crate) fn new(name: String, talk: Talk) -> Self {
        let how = match talk.progress() {
            When::Never => How::Never,
            When::Json => How::Json,
            When::Auto if talk.quiet || !io::stderr().is_terminal() => How::Never,
            _ if io::stderr().is_terminal() => How::Bar,
            _ => How::Lines,
        };
        let now = Instant::now();
        let state =
            State { started: now, last_line: now, total: None, done: 0, bar: None, files: None };
        Self { name, how, state: RefCell::new(state) }
    }

    /// One for so many files.
    pub(crate) fn of_many(name: String, files: u64, talk: Talk) -> Self {
        let meter = Self::new(name, talk);
        meter.state.borrow_mut().files = Some((files, 0, PathBuf::new()));
        meter
    }

    /// A file of many is begun.
    pub(crate) fn name(&self, path: &Path) {
        if self.how != How::Never
            && let Some((.., name)) = &mut self.state.borrow_mut().files
        {
            path.clone_into(name);
        }
    }

    /// A file of many is done.
    pub(crate) fn file_done(&self) {
        if let Some((_, done, _)) = &mut self.state.borrow_mut().files {
            *done += 1;
        }
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
        match self.how {
            How::Lines if state.done > 0 => state.print_line(&self.name),
            How::Json => state.print_json(&self.name),
            _ => {}
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
        if self.how != How::Bar {
            match self.how {
                _ if state.last_line.elapsed() < LINE_EVERY => {}
                How::Json => state.print_json(&self.name),
                _ => state.print_line(&self.name),
            }
            return;
        }
        let (total, started, done) = (state.total, state.started, state.done);
        let bar = state.bar.get_or_insert_with(|| bar(self.name.clone(), total, started)).clone();
        // Not for each of thousands of files.
        if state.files.is_some() && state.last_line.elapsed() >= NAME_EVERY {
            state.last_line = Instant::now();
            bar.set_message(state.label(&self.name));
        }
        bar.set_position(done);
    }
}

impl State {
    /// What is under way: a name, or numbers and the name of one of many.
    fn label(&self, name: &str) -> String {
        match &self.files {
            None => name.to_owned(),
            Some((all, done, last)) => {
                let last = last.file_name().map_or(last.as_path(), Path::new);
                let (done, all) = (HumanCount(*done), HumanCount(*all));
                format!("{done} of {all} files · {}", messages::quoted(last))
            }
        }
    }

    /// One event, as a line.
    fn print_json(&mut self, name: &str) {
        self.last_line = Instant::now();
        let mut event = json!({
            "schema": SCHEMA,
            "event": "progress",
            "input": name,
            "bytes": self.done,
            "total_bytes": self.total,
            "seconds": self.started.elapsed().as_secs_f64(),
        });
        if let Some((all, done, last)) = &self.files {
            event["files"] = json!(done);
            event["total_files"] = json!(all);
            event["file"] = json!(last.to_string_lossy());
        }
        // Nobody may be reading; that is no failure.
        let _ = writeln!(io::stderr(), "{event}");
    }

    fn print_line(&mut self, name: &str) {
        self.last_line = Instant::now();
        let total = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
        // Nobody may be reading; that is no failure.
        let _ = writeln!(
            io::stderr(),
            "{}: {}{total}, {}/s",
            self.label(name),
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
