//! Something that takes long, on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cryptstream_engine::ChunkLayout;
use cryptstream_engine::{
    Error, Inspection, MemoryEncryption, Progress, Reader, RekeySummary, Summary,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::Failure;
use crate::in_memory::{EncryptedLayout, Encryption};
use crate::reader::FileReader;

/// An unknown length.
const UNKNOWN: u64 = u64::MAX;

/// What came out.
pub(crate) enum Outcome {
    Summary(Summary),
    Rekeyed(RekeySummary),
    Inspected(Box<Inspection>),
    Opened(Box<Reader>),
    Layout(Option<Box<ChunkLayout>>),
    Encryption(Box<MemoryEncryption>),
}

/// What the threads share.
pub(crate) struct Shared {
    is_cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    has_ended: bool,
    result: Option<Result<Outcome, Failure>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Shared {
    fn start(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }
}

/// A running operation. It ends without an output when it is cancelled or forgotten.
#[pyclass(frozen, weakref)]
pub(crate) struct Operation {
    shared: Arc<Shared>,
}

/// From so many bytes on, work is done on another thread, so that signals can be handled.
const WORTH_WATCHING: usize = 8 << 20;

/// How often signals are handled while this thread waits for another one.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

fn handle_signals(py: Python<'_>) -> PyResult<()> {
    py.check_signals()
}

/// Works on `len` bytes that belong to Python, while other threads of Python run, until a signal
/// handler raises an exception.
pub(crate) fn interruptible(
    py: Python<'_>,
    len: usize,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<(), Error> + Send,
) -> PyResult<()> {
    let failed = |error| PyErr::from(Failure::Engine(error));
    if len < WORTH_WATCHING {
        return py.detach(|| work(&|| false)).map_err(failed);
    }
    let is_cancelled = &AtomicBool::new(false);
    let (sender, receiver) = std::sync::mpsc::channel();
    py.detach(move || {
        thread::scope(|scope| {
            scope.spawn(move || {
                let done = catch_unwind(AssertUnwindSafe(|| {
                    work(&|| is_cancelled.load(Ordering::Relaxed))
                }));
                let _ = sender.send(done.unwrap_or(Err(Error::Internal("a panic"))));
            });
            loop {
                match receiver.recv_timeout(CHECK_INTERVAL) {
                    Ok(done) => return done.map_err(failed),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(failed(Error::Internal("a thread has ended early")));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Some(Err(raised)) = Python::try_attach(handle_signals) {
                            is_cancelled.store(true, Ordering::Relaxed);
                            return Err(raised);
                        }
                    }
                }
            }
        })
    })
}

/// Starts an operation.
pub(crate) fn start(
    run: impl FnOnce(&Shared) -> Result<Outcome, Failure> + Send + 'static,
) -> PyResult<Operation> {
    let shared = Arc::new(Shared {
        is_cancelled: AtomicBool::new(false),
        done: AtomicU64::new(0),
        total: AtomicU64::new(UNKNOWN),
        state: Mutex::default(),
        ended: Condvar::new(),
    });
    let own = Arc::clone(&shared);
    let thread = thread::Builder::new().name("cryptstream".into()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| run(&own)))
            .unwrap_or(Err(Failure::Engine(Error::Internal("a panic: please report it"))));
        let mut state = own.lock();
        state.result = Some(result);
        state.has_ended = true;
        own.ended.notify_all();
    });
    thread.map_err(|error| {
        Failure::Named("TryAgain", format!("no thread can be started: {error}"))
    })?;
    Ok(Operation { shared })
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.shared.is_cancelled.store(true, Ordering::SeqCst);
    }
}

#[pymethods]
impl Operation {
    /// Waits until it has ended, at most for so many seconds. Returns whether it has.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        py.detach(|| {
            let state = self.shared.lock();
            let waited =
                self.shared.ended.wait_timeout_while(state, time, |state| !state.has_ended);
            waited.unwrap_or_else(PoisonError::into_inner).0.has_ended
        })
    }

    fn has_ended(&self) -> bool {
        self.shared.lock().has_ended
    }

    /// Has it end without an output.
    fn cancel(&self) {
        self.shared.is_cancelled.store(true, Ordering::SeqCst);
    }

    /// Bytes that are done, and how many there are if that is known.
    fn progress(&self) -> (u64, Option<u64>) {
        let total = self.shared.total.load(Ordering::Relaxed);
        (self.shared.done.load(Ordering::Relaxed), (total != UNKNOWN).then_some(total))
    }

    /// What came out of it. Can be called once, after it has ended.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let result = self.shared.lock().result.take();
        let result = result.ok_or_else(|| PyRuntimeError::new_err("there is no result"))?;
        into_python(py, result?)
    }
}

fn into_python(py: Python<'_>, outcome: Outcome) -> PyResult<Py<PyAny>> {
    match outcome {
        Outcome::Summary(summary) => {
            let all = PyDict::new(py);
            all.set_item("format", format_name(summary.format))?;
            all.set_item("armored", summary.is_armored)?;
            all.set_item("bytes_in", summary.bytes_in)?;
            all.set_item("bytes_out", summary.bytes_out)?;
            all.set_item("workers", summary.workers.workers)?;
            Ok(all.into_any().unbind())
        }
        Outcome::Rekeyed(summary) => {
            let all = PyDict::new(py);
            all.set_item("format", format_name(summary.format))?;
            all.set_item("method", summary.method.name())?;
            all.set_item("bytes_in", summary.bytes_in)?;
            all.set_item("bytes_out", summary.bytes_out)?;
            Ok(all.into_any().unbind())
        }
        Outcome::Inspected(inspection) => {
            let (header, extent) = (&inspection.header, &inspection.extent);
            let layout = inspection.layout();
            let plaintext_len = layout.and_then(Result::ok).map(|layout| layout.plaintext_len());
            let recipients: Vec<_> = header.key_stanzas().map(|one| one.tag().to_owned()).collect();
            let all = PyDict::new(py);
            all.set_item("format", format_name(header.format()))?;
            all.set_item("armored", extent.is_armored)?;
            all.set_item("recipient_types", recipients)?;
            all.set_item("header_size", header.len())?;
            all.set_item("size", extent.file_len)?;
            all.set_item("plaintext_size", plaintext_len)?;
            Ok(all.into_any().unbind())
        }
        Outcome::Opened(reader) => Ok(Py::new(py, FileReader::new(*reader))?.into_any()),
        Outcome::Layout(None) => Ok(py.None()),
        Outcome::Layout(Some(layout)) => Ok(Py::new(py, EncryptedLayout::new(*layout))?.into_any()),
        Outcome::Encryption(encryption) => {
            Ok(Py::new(py, Encryption::new(*encryption))?.into_any())
        }
    }
}

/// The name of a format.
fn format_name(format: cryptstream_format::Format) -> &'static str {
    match format {
        cryptstream_format::Format::Native => "native",
        cryptstream_format::Format::Age => "age",
    }
}
