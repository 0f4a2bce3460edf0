//! Progress: a bar or lines for people, JSON events for programs.

mod bar;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptstream_engine::program::{OnInterrupt, report_on_interrupt};
use cryptstream_engine::{Progress, WorkerNote};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use self::bar::{Bar, Label, store_texts};
use crate::args::{ReportOptions, When};
use crate::json::insert_name;
use crate::messages;
use crate::objects;
use crate::report;
use crate::request::{Input, Transfer};

/// A run that takes less than this shows no progress.
const SHOW_AFTER: Duration = Duration::from_millis(500);
/// A rate over less time than this would be a guess.
const RATE_AFTER: Duration = Duration::from_secs(1);
/// The time between two lines or two JSON events.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two updates of the bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// Shows the progress of one file or of many.
pub(crate) struct Meter {
    name: String,
    mode: DisplayMode,
    wants_json: bool,
    state: RefCell<State>,
    interrupt_state: Arc<Mutex<InterruptState>>,
    on_interrupt: RefCell<Option<OnInterrupt>>,
}

/// What the message about an interruption depends on.
struct InterruptState {
    bar: Option<Bar>,
    /// The number of finished files, and of all files.
    files: Option<(u64, u64)>,
    is_stdout_data: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DisplayMode {
    Never,
    /// A bar that is removed at the end.
    Bar,
    /// One line per second, for logs.
    Lines,
    /// One JSON object per second, for programs.
    Json,
}

struct State {
    started: Instant,
    /// When the first bytes were done, and how many. The time before that went into the key
    /// derivation.
    first: Option<(Instant, u64)>,
    last_shown: Option<Instant>,
    total: Option<u64>,
    done: u64,
    /// The number of running workers.
    workers: usize,
    files: Option<Files>,
}

/// The state of a run over many files.
struct Files {
    total: u64,
    done: u64,
    begun: usize,
    /// Files in progress, in the order in which they were begun.
    under_way: BTreeMap<usize, PathBuf>,
}

impl Meter {
    /// A meter for one transfer.
    pub(crate) fn of(transfer: &Transfer, options: ReportOptions) -> Self {
        let is_typed = matches!(transfer.input, Input::Stdin) && io::stdin().is_terminal();
        let is_stdout_data = transfer.is_stdout_data();
        let is_output_on_terminal = is_stdout_data && io::stdout().is_terminal();
        let options = match options.progress() {
            // Progress would be mixed with what the user types, or with the output.
            When::Auto if is_typed || is_output_on_terminal => {
                ReportOptions { progress: Some(When::Never), ..options }
            }
            _ => options,
        };
        let meter = Self::new(report::input_label(&transfer.input), options);
        meter.lock().is_stdout_data = is_stdout_data;
        meter
    }

    pub(crate) fn new(name: String, options: ReportOptions) -> Self {
        let mode = match options.progress() {
            When::Never => DisplayMode::Never,
            When::Json => DisplayMode::Json,
            When::Auto if options.quiet || options.json || !io::stderr().is_terminal() => {
                DisplayMode::Never
            }
            _ if io::stderr().is_terminal() => DisplayMode::Bar,
            _ => DisplayMode::Lines,
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
        let interrupt_state = InterruptState { bar: None, files: None, is_stdout_data: false };
        let interrupt_state = Arc::new(Mutex::new(interrupt_state));
        let on_interrupt = RefCell::new(None);
        let wants_json = report::wants_json(options);
        let state = RefCell::new(state);
        let meter = Self { name, mode, wants_json, state, interrupt_state, on_interrupt };
        if mode == DisplayMode::Bar {
            let interrupt_state = Arc::clone(&meter.interrupt_state);
            // If the thread cannot be started, interruptions are not reported.
            *meter.on_interrupt.borrow_mut() = report_on_interrupt(Box::new(move || {
                let interrupt_state =
                    interrupt_state.lock().unwrap_or_else(PoisonError::into_inner);
                interrupt_state.print_interruption();
            }))
            .ok();
        }
        meter
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, InterruptState> {
        self.interrupt_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A meter for this number of files.
    pub(crate) fn of_many(name: String, files: u64, options: ReportOptions) -> Self {
        let meter = Self::new(name, options);
        meter.lock().files = Some((0, files));
        report::set_files(Some((0, files)));
        let files = Files { total: files, done: 0, begun: 0, under_way: BTreeMap::new() };
        meter.state.borrow_mut().files = Some(files);
        meter
    }

    /// Begins one of many files. Files are numbered in this order, from 0.
    pub(crate) fn begin_file(&self, path: &Path) {
        if self.mode != DisplayMode::Never
            && let Some(files) = &mut self.state.borrow_mut().files
        {
            files.under_way.insert(files.begun, path.to_owned());
            files.begun += 1;
            // How many objects there are turns out on the way.
            files.total = files.total.max(files.begun as u64);
        }
    }

    /// Ends one of many files that was begun.
    pub(crate) fn end_file(&self, number: usize) {
        if self.mode != DisplayMode::Never
            && let Some(files) = &mut self.state.borrow_mut().files
        {
            files.under_way.remove(&number);
        }
        self.file_done();
    }

    /// Counts one of many files as done, even if it was never begun.
    pub(crate) fn file_done(&self) {
        if let Some(files) = &mut self.state.borrow_mut().files {
            files.done += 1;
            files.total = files.total.max(files.done);
            if self.wants_json {
                report::set_files(Some((files.done, files.total)));
            }
            if self.mode == DisplayMode::Bar {
                self.lock().files = Some((files.done, files.total));
            }
        }
    }

    /// Calls `print` while the bar is hidden.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        let bar = self.lock().bar.clone();
        match bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the bar, or prints the last line or event.
    pub(crate) fn clear(&self) {
        let state = self.state.borrow_mut();
        match self.mode {
            DisplayMode::Lines if state.done > 0 => state.print_line(&self.name),
            DisplayMode::Json => state.print_json("progress", self.name.as_ref()),
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
        // The time for the passphrase prompt and the key derivation does not count.
        let mut state = self.state.borrow_mut();
        state.started = Instant::now();
        state.total = total;
        if self.mode == DisplayMode::Json {
            state.print_json("start", self.name.as_ref());
        }
    }

    fn advance(&self, bytes: u64) {
        if self.mode == DisplayMode::Never {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.done += bytes;
        if state.first.is_none() && bytes > 0 {
            state.first = Some((Instant::now(), state.done));
        }
        let every = if self.mode == DisplayMode::Bar { BAR_INTERVAL } else { LINE_INTERVAL };
        let is_soon = state.started.elapsed() < SHOW_AFTER;
        if is_soon || state.last_shown.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        state.last_shown = Some(Instant::now());
        match self.mode {
            DisplayMode::Never => {}
            DisplayMode::Bar => state.show_bar(&self.name, &mut self.lock().bar),
            DisplayMode::Lines => state.print_line(&self.name),
            DisplayMode::Json => state.print_json("progress", self.name.as_ref()),
        }
    }

    fn workers(&self, alive: usize) {
        self.state.borrow_mut().workers = alive;
    }

    fn worker_note(&self, note: &WorkerNote) {
        self.suspend(|| messages::worker_note(note));
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

    /// Bytes per second since the first bytes: an average is steadier than the current rate.
    /// `None` until [`RATE_AFTER`] has passed.
    fn rate(&self) -> Option<u64> {
        let (since, before) = self.first?;
        let elapsed = since.elapsed();
        let rate = (self.done.saturating_sub(before) as f64 / elapsed.as_secs_f64()) as u64;
        (elapsed >= RATE_AFTER && rate > 0).then_some(rate)
    }

    /// Prints an event as one line of JSON.
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
                insert_name(&mut fields, "file", path);
            }
        }
        if let Some(stats) = objects::stats() {
            fields["parts"] = json!(stats.parts.0);
            fields["total_parts"] = json!(stats.parts.1);
            fields["retries"] = json!(stats.traffic.retries);
        }
        insert_name(&mut fields, "input", name);
        messages::print_event(event, fields);
    }

    fn print_line(&self, name: &str) {
        let total = self.total.map_or(String::new(), |total| format!(" of {}", HumanBytes(total)));
        let files =
            self.files.as_ref().map_or(String::new(), |files| format!(", {}", files.numbers()));
        let rate = self.rate().map_or(String::new(), |rate| format!(", {}/s", HumanBytes(rate)));
        let store: String = store_texts().iter().map(|text| format!(", {text}")).collect();
        // A closed standard error is not a failure.
        let _ =
            writeln!(io::stderr(), "{name}: {}{total}{rate}{files}{store}", HumanBytes(self.done));
    }
}

impl InterruptState {
    /// Removes the bar and reports what the interrupted run leaves behind.
    fn print_interruption(&self) {
        if let Some(bar) = &self.bar {
            bar.clear();
        }
        let text = messages::interrupted(self.files, self.is_stdout_data);
        // Without the lock of standard error, which another thread may hold.
        let _ = rustix::io::write(io::stderr(), format!("\r\x1b[K{text}\n").as_bytes());
    }
}

impl Files {
    fn numbers(&self) -> String {
        format!("{} of {} files", HumanCount(self.done), HumanCount(self.total))
    }
}
