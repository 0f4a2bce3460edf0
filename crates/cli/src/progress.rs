//! How far a run has come, for people and for programs.

mod bar;

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cryptstream_engine::{Progress, WorkerNote};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use self::bar::{Bar, Label, rate};
use crate::args::{Talk, When};
use crate::messages;

/// What is done within this needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a line is written where lines are wanted.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often a bar is looked after.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Shows how far one file has come, or many.
pub(crate) struct Meter {
    name: String,
    how: How,
    state: RefCell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Never,
    /// A bar that comes and goes.
    Bar,
    /// A line a second, for logs.
    Lines,
    /// A JSON object a second, for programs.
    Json,
}

struct State {
    started: Instant,
    last_shown: Option<Instant>,
    total: Option<u64>,
    done: u64,
    /// Workers that are alive.
    workers: usize,
    bar: Option<Bar>,
    files: Option<Files>,
}

/// Of many files.
struct Files {
    total: u64,
    done: u64,
    /// The one that was begun last.
    name: PathBuf,
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
        let state = State {
            started: Instant::now(),
            last_shown: None,
            total: None,
            done: 0,
            workers: 0,
            bar: None,
            files: None,
        };
        Self { name, how, state: RefCell::new(state) }
    }

    /// One for so many files.
    pub(crate) fn of_many(name: String, files: u64, talk: Talk) -> Self {
        let meter = Self::new(name, talk);
        let files = Files { total: files, done: 0, name: PathBuf::new() };
        meter.state.borrow_mut().files = Some(files);
        meter
    }

    /// A file of many is begun.
    pub(crate) fn name(&self, path: &Path) {
        if self.how != How::Never
            && let Some(files) = &mut self.state.borrow_mut().files
        {
            path.clone_into(&mut files.name);
        }
    }

    /// A file of many is done.
    pub(crate) fn file_done(&self) {
        if let Some(files) = &mut self.state.borrow_mut().files {
            files.done += 1;
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
        let state = self.state.borrow_mut();
        match self.how {
            How::Lines if state.done > 0 => state.print_line(&self.name),
            How::Json => state.print_json("progress", &self.name),
            _ => {}
        }
        if let Some(bar) = &state.bar {
            bar.clear();
        }
    }
}

impl Progress for Meter {
    fn start(&self, total: Option<u64>) {
        // Asking for the passphrase and deriving the key do not count.
        let mut state = self.state.borrow_mut();
        state.started = Instant::now();
        state.total = total;
        if self.how == How::Json {
            state.print_json("start", &self.name);
        }
    }

    fn advance(&self, bytes: u64) {
        if self.how == How::Never {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.done += bytes;
        let every = if self.how == How::Bar { SHOW_EVERY } else { LINE_EVERY };
        let is_soon = state.started.elapsed() < PATIENCE;
        if is_soon || state.last_shown.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        state.last_shown = Some(Instant::now());
        match self.how {
            How::Never => {}
            How::Bar => state.show_bar(&self.name),
            How::Lines => state.print_line(&self.name),
            How::Json => state.print_json("progress", &self.name),
        }
    }

    fn workers(&self, alive: usize) {
        self.state.borrow_mut().workers = alive;
    }

    fn worker_note(&self, note: &WorkerNote) {
        self.aside(|| messages::worker_note(note));
    }
}

impl State {
    fn show_bar(&mut self, name: &str) {
        let label = match &self.files {
            None => Label::One(name),
            Some(files) => {
                Label::Many { numbers: files.numbers(), name: messages::quoted(&files.name) }
            }
        };
        let (total, started) = (self.total, self.started);
        let bar = self.bar.get_or_insert_with(|| Bar::new(total, started));
        bar.show(self.done, &label, self.workers);
    }

    /// One event, as a line.
    fn print_json(&self, event: &str, name: &str) {
        let mut fields = json!({
            "input": name,
            "bytes": self.done,
            "total_bytes": self.total,
            "seconds": self.started.elapsed().as_secs_f64(),
            "workers": self.workers,
        });
        if let Some(files) = &self.files {
            fields["files"] = json!(files.done);
            fields["total_files"] = json!(files.total);
            fields["file"] = match files.name.as_os_str().is_empty() {
                true => Value::Null,
                false => json!(files.name.to_string_lossy()),
            };
        }
        messages::print_event(event, fields);
    }

    fn print_line(&self, name: &str) {
        let total = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
        let files =
            self.files.as_ref().map_or(String::new(), |files| format!(", {}", files.numbers()));
        // Nobody may be reading; that is no failure.
        let _ = writeln!(
            io::stderr(),
            "{name}: {}{total}, {}/s{files}",
            HumanBytes(self.done),
            HumanBytes(rate(self.done, self.started.elapsed()))
        );
    }
}

impl Files {
    fn numbers(&self) -> String {
        format!("{} of {} files", HumanCount(self.done), HumanCount(self.total))
    }
}
