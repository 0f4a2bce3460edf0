//! Pipes between Python's file objects and the engine.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cryptstream_engine::{PipeWriter, Source};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use rustix::pipe::PipeFlags;

/// Fewer, larger writes.
const PIPE_SIZE: usize = 1 << 20;

/// An input that Python writes. Only if it is finished, it is complete.
#[pyclass(frozen, weakref)]
pub(crate) struct InputPipe {
    writer: Mutex<Option<PipeWriter>>,
    source: Mutex<Option<Source>>,
}

/// An output that Python reads.
#[pyclass(frozen, weakref)]
pub(crate) struct OutputPipe {
    reader: Mutex<Option<File>>,
    writer: Mutex<Option<Arc<OwnedFd>>>,
}

fn taken() -> PyErr {
    PyValueError::new_err("the pipe is closed or in use")
}

#[pymethods]
impl InputPipe {
    /// `name` is for messages.
    #[new]
    fn new(name: &str) -> PyResult<Self> {
        // A new file has the permission bits that any program would give it.
        let like = File::open("/dev/null")?;
        let (writer, source) = Source::piped(PathBuf::from(name), &like)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { writer: Mutex::new(Some(writer)), source: Mutex::new(Some(source)) })
    }

    /// The descriptor to write to.
    fn fileno(&self) -> PyResult<i32> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map(|writer| writer.pipe().as_raw_fd()).ok_or_else(taken)
    }

    /// All was written.
    fn finish(&self) {
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            writer.finish();
        }
    }

    /// Closes it. Unless it was finished, the input is incomplete.
    fn close(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.source.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl InputPipe {
    /// The other end, once.
    pub(crate) fn take_source(&self) -> PyResult<Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(taken)
    }
}

#[pymethods]
impl OutputPipe {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        // Refused above the user's limit; no matter.
        let _ = rustix::pipe::fcntl_setpipe_size(&reader, PIPE_SIZE);
        Ok(Self {
            reader: Mutex::new(Some(reader.into())),
            writer: Mutex::new(Some(Arc::new(writer))),
        })
    }

    /// The descriptor to read from.
    fn fileno(&self) -> PyResult<i32> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.as_ref().map(AsRawFd::as_raw_fd).ok_or_else(taken)
    }

    fn close(&self) {
        drop(self.reader.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl OutputPipe {
    /// The other end, once.
    pub(crate) fn take_writer(&self) -> PyResult<Arc<OwnedFd>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(taken)
    }
}
