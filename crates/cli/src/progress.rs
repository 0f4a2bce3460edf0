//! How far a run has come, for people and for programs.

mod bar;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptstream_engine::{OnInterrupt, Progress, WorkerNote, report_on_interrupt};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use self::bar::{Bar, Label};
use crate::args::{Talk, When};
use crate::json::put_name;
use crate::messages;
use crate::report;
use crate::request::{Input, Transfer};

/// What is done within this needs no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// A rate over less than this says nothing.
const RATE_AFTER: Duration = Duration::from_secs(1);
/// How often a line is written where lines are wanted.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How often a bar is looked after.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Shows how far one file has come, or many.
pub(crate) struct Meter {
    name: String,
    how: How,
    is_for_programs: bool,
    state: RefCell<State>,
    shown: Arc<Mutex<Shown>>,
    on_interrupt: RefCell<Option<OnInterrupt>>,
}

/// What is said about an interruption depends on this.
struct Shown {
    bar: Option<Bar>,
    /// Files that are done, and all.
    files: Option<(u64, u64)>,
    is_stdout_data: bool,
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
    /// When the first bytes were done, and how many those were. What came before
    /// was for the key.
    first: Option<(Instant, u64)>,
    last_shown: Option<Instant>,
    total: Option<u64>,
    done: u64,
    /// Workers that are alive.
    workers: usize,
    files: Option<Files>,
}

/// Of many files.
struct Files {
    total: u64,
    done: u64,
    begun: usize,
    /// Those under way, in the order in which they were begun.
    under_way: BTreeMap<usize, PathBuf>,
}

impl Meter {
    /// One for a transfer.
    pub(crate) fn of(transfer: &Transfer, talk: Talk) -> Self {
        let is_typed = matches!(transfer.input, Input::Stdin) && io::stdin().is_terminal();
        let is_stdout_data = transfer.is_stdout_data();
        let is_shown_there = is_stdout_data && io::stdout().is_terminal();
        let talk = match talk.progress() {
            // Neither among what is typed nor among what comes out.
            When::Auto if is_typed || is_shown_there => {
                Talk { progress: Some(When::Never), ..talk }
            }
            _ => talk,
        };
        let meter = Self::new(report::input_label(&transfer.input), talk);
        meter.lock().is_stdout_data = is_stdout_data;
        meter
    }

    pub(crate) fn new(name: String, talk: Talk) -> Self {
        let how = match talk.progress() {
            When::Never => How::Never,
            When::Json => How::Json,
            When::Auto if talk.quiet || talk.json || !io::stderr().is_terminal() => How::Never,
            _ if io::stderr().is_terminal() => How::Bar,
            _ => How::Lines,
        };
        let state = State {
            started: Instant::now(),
            first: None,
            last_shown: None,
            total: None,
            done: 0,
            workers: 0,
            files: None,
        };
        let shown = Shown { bar: None, files: None, is_stdout_data: false };
        let shown = Arc::new(Mutex::new(shown));
        let on_interrupt = RefCell::new(None);
        let is_for_programs = report::is_for_programs(talk);
        let state = RefCell::new(state);
        let meter = Self { name, how, is_for_programs, state, shown, on_interrupt };
        if how == How::Bar {
            let shown = Arc::clone(&meter.shown);
            // Without the thread nothing is said.
            *meter.on_interrupt.borrow_mut() = report_on_interrupt(Box::new(move || {
                let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.say_interrupted();
            }))
            .ok();
        }
        meter
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for so many files.
    pub(crate) fn of_many(name: String, files: u64, talk: Talk) -> Self {
        let meter = Self::new(name, talk);
        meter.lock().files = Some((0, files));
        report::set_files(Some((0, files)));
        let files = Files { total: files, done: 0, begun: 0, under_way: BTreeMap::new() };
        meter.state.borrow_mut().files = Some(files);
        meter
    }

    /// A file of many is begun. They are numbered in this order, from 0.
    pub(crate) fn begin_file(&self, path: &Path) {
        if self.how != How::Never
            && let Some(files) = &mut self.state.borrow_mut().files
        {
            files.under_way.insert(files.begun, path.to_owned());
            files.begun += 1;
        }
    }

    /// A file of many that was begun is done.
    pub(crate) fn end_file(&self, number: usize) {
        if self.how != How::Never
            && let Some(files) = &mut self.state.borrow_mut().files
        {
            files.under_way.remove(&number);
        }
        self.file_done();
    }

    /// A file of many is done; it may never have been begun.
    pub(crate) fn file_done(&self) {
        if let Some(files) = &mut self.state.borrow_mut().files {
            files.done += 1;
            if self.is_for_programs {
                report::set_files(Some((files.done, files.total)));
            }
            if self.how == How::Bar {
                self.lock().files = Some((files.done, files.total));
            }
        }
    }

    /// Says something while the bar is off the terminal.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        let bar = self.lock().bar.clone();
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
            How::Json => state.print_json("progress", self.name.as_ref()),
            _ => {}
        }
        if let Some(bar) = &self.lock().bar {
            bar.clear();
        }
        drop(self.on_interrupt.take());
    }
}

impl Progress for Meter {
    fn start(&self, total: Option<u64>) {
        // Asking for the passphrase and deriving the key do not count.
        let mut state = self.state.borrow_mut();
        state.started = Instant::now();
        state.total = total;
        if self.how == How::Json {
            state.print_json("start", self.name.as_ref());
        }
    }

    fn advance(&self, bytes: u64) {
        if self.how == How::Never {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.done += bytes;
        if state.first.is_none() && bytes > 0 {
            state.first = Some((Instant::now(), state.done));
        }
        let every = if self.how == How::Bar { SHOW_EVERY } else { LINE_EVERY };
        let is_soon = state.started.elapsed() < PATIENCE;
        if is_soon || state.last_shown.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        state.last_shown = Some(Instant::now());
        match self.how {
            How::Never => {}
            How::Bar => state.show_bar(&self.name, &mut self.lock().bar),
            How::Lines => state.print_line(&self.name),
            How::Json => state.print_json("progress", self.name.as_ref()),
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
    fn show_bar(&self, name: &str, bar: &mut Option<Bar>) {
        let label = match &self.files {
            None => Label::One(name),
            Some(files) => {
                let name = files.under_way.first_key_value().map(|(_, path)| path);
                let name = name.map_or(String::new(), |path| messages::quoted(path));
                Label::Many { numbers: files.numbers(), name }
            }
        };
        let (total, started) = (self.total, self.started);
        let bar = bar.get_or_insert_with(|| Bar::new(total, started, self.done));
        bar.show(self.done, &label, self.workers, self.rate());
    }

    /// Bytes per second on average, which jumps about less than at the moment;
    /// `None` as long as that would be a guess.
    fn rate(&self) -> Option<u64> {
        let (since, before) = self.first?;
        let elapsed = since.elapsed();
        let rate = (self.done.saturating_sub(before) as f64 / elapsed.as_secs_f64()) as u64;
        (elapsed >= RATE_AFTER && rate > 0).then_some(rate)
    }

    /// One event, as a line.
    fn print_json(&self, event: &str, name: &OsStr) {
        let mut fields = json!({
            "bytes": self.done,
            "total_bytes": self.total,
            "seconds": self.started.elapsed().as_secs_f64(),
            "workers": self.workers,
        });
        if let Some(files) = &self.files {
            fields["files"] = json!(files.done);
            fields["total_files"] = json!(files.total);
            fields["file"] = Value::Null;
            if let Some((_, path)) = files.under_way.first_key_value() {
                put_name(&mut fields, "file", path);
            }
        }
        put_name(&mut fields, "input", name);
        messages::print_event(event, fields);
    }

    fn print_line(&self, name: &str) {
        let total = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
        let files =
            self.files.as_ref().map_or(String::new(), |files| format!(", {}", files.numbers()));
        let rate = self.rate().map_or(String::new(), |rate| format!(", {}/s", HumanBytes(rate)));
        // Nobody may be reading; that is no failure.
        let _ = writeln!(io::stderr(), "{name}: {}{total}{rate}{files}", HumanBytes(self.done),);
    }
}

impl Shown {
    /// Takes the bar off the terminal, and says what is left of the run.
    fn say_interrupted(&self) {
        if let Some(bar) = &self.bar {
            bar.clear();
        }
        let text = messages::interrupted(self.files, self.is_stdout_data);
        // Not through the lock of standard error, which may be held.
        let _ = rustix::io::write(io::stderr(), format!("\r\x1b[K{text}\n").as_bytes());
    }
}

impl Files {
    fn numbers(&self) -> String {
        format!("{} of {} files", HumanCount(self.done), HumanCount(self.total))
    }
}
