//! The exceptions of `cryptstream._errors` for the engine's errors.

use std::io;
use std::path::Path;

use cryptstream_engine::{Error, ObjectError, ObjectErrorKind};
use cryptstream_format::{KeyFailure, UnlockError, UnwrapError, WrapError};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Why something was not done.
pub(crate) enum Failure {
    Engine(Error),
    /// A key cannot be used, as this text says.
    Key(String),
    /// A class of `cryptstream._errors`, and a message.
    Named(&'static str, String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<KeyFailure> for Failure {
    fn from(failure: KeyFailure) -> Self {
        Self::Named("WrongKey", failure.message)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            let (name, message, path, errno) = match &failure {
                Failure::Engine(Error::OutOfMemory { .. }) => {
                    return PyMemoryError::new_err("the system gives no more memory");
                }
                Failure::Engine(error) => {
                    (class(error), error.to_string(), error.path(), errno(error))
                }
                Failure::Key(message) => ("InvalidKey", message.clone(), None, None),
                Failure::Named(name, message) => (*name, message.clone(), None, None),
            };
            new(py, name, &message, path, errno).unwrap_or_else(|error| error)
        })
    }
}

fn new(
    py: Python<'_>,
    name: &str,
    message: &str,
    path: Option<&Path>,
    errno: Option<i32>,
) -> PyResult<PyErr> {
    let class = py.import("cryptstream._errors")?.getattr(name)?;
    let named = PyDict::new(py);
    named.set_item("path", path.map(|path| path.to_string_lossy().into_owned()))?;
    named.set_item("errno", errno)?;
    Ok(PyErr::from_value(class.call((message,), Some(&named))?))
}

/// The name of the exception for an error. Its exit status is an attribute of the class.
fn class(error: &Error) -> &'static str {
    if let Some(store) = system_error(error).and_then(ObjectError::of) {
        return of_store(store.kind);
    }
    let kind = system_error(error).map(io::Error::kind);
    match error {
        Error::Open { .. } if kind == Some(io::ErrorKind::NotFound) => "NotFound",
        Error::Open { .. }
        | Error::InputIsDirectory { .. }
        | Error::TooLong { .. }
        | Error::NotRegular { .. } => "CannotOpen",
        Error::OutputExists { .. } | Error::OldOutputExists { .. } => "Exists",
        Error::SameFile { .. }
        | Error::OutputPlanted { .. }
        | Error::OwnedByOther { .. }
        | Error::OutputIsDirectory { .. }
        | Error::OutputIsHere { .. }
        | Error::Create { .. }
        | Error::NoOtherName { .. }
        | Error::NotChangeable { .. }
        | Error::JournalInTheWay { .. } => "CannotCreate",
        Error::Read { .. }
        | Error::Write { .. }
        | Error::NoRoom { .. }
        | Error::NotDurable { .. }
        | Error::NotReadBack { .. }
        | Error::OutputDiffers { .. }
        | Error::Remove { .. }
        | Error::OutputLength { .. }
        | Error::BrokenPipe { .. } => "ReadWriteError",
        Error::InputChanged { .. } | Error::OutputReplaced { .. } => "Changed",
        Error::WorkersDied { .. }
        | Error::WorkerMisbehaved { .. }
        | Error::ParserKilled { .. }
        | Error::NoProcess { .. }
        | Error::NoWorkers
        | Error::Busy { .. } => "TryAgain",
        Error::Unfinished { .. } | Error::Cancelled => "Cancelled",
        Error::NotEncrypted { .. } => "NotEncrypted",
        Error::Armor { .. }
        | Error::Header { .. }
        | Error::CutInHeader { .. }
        | Error::Commitment { .. }
        | Error::Layout { .. }
        | Error::Damaged { .. }
        | Error::CutInPayload { .. }
        | Error::ParserDied { .. } => "Damaged",
        Error::Unlock { source, .. } => of_unlocking(source),
        Error::Wrap(WrapError::OutOfMemory(_)) => "TryAgain",
        Error::Wrap(WrapError::Key(_)) => "WrongKey",
        Error::Wrap(WrapError::Random(_)) | Error::Random(_) => "InternalError",
        Error::Wrap(_) => "InvalidKey",
        Error::NotSeekable { .. }
        | Error::RangeAfterEnd { .. }
        | Error::Armored { .. }
        | Error::NotAFile { .. }
        | Error::NotRemovable { .. }
        | Error::NotVerifiable { .. } => "NotSupported",
        Error::NoSandbox => "NotConfigured",
        _ => "InternalError",
    }
}

fn of_unlocking(error: &UnlockError) -> &'static str {
    match error {
        UnlockError::NoMatch | UnlockError::Unwrap(UnwrapError::Key(_)) => "WrongKey",
        UnlockError::Unwrap(UnwrapError::OutOfMemory(_)) => "TryAgain",
        _ => "Damaged",
    }
}

fn of_store(kind: ObjectErrorKind) -> &'static str {
    match kind {
        ObjectErrorKind::NotFound => "NotFound",
        ObjectErrorKind::Denied => "WrongKey",
        ObjectErrorKind::Exists => "Exists",
        ObjectErrorKind::Changed => "Changed",
        ObjectErrorKind::Unavailable => "TryAgain",
        ObjectErrorKind::Settings => "NotConfigured",
        ObjectErrorKind::Unsupported => "NotSupported",
        ObjectErrorKind::Other => "ReadWriteError",
    }
}

/// The system's reason.
fn system_error(error: &Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

fn errno(error: &Error) -> Option<i32> {
    match error {
        Error::OutputExists { .. } | Error::OldOutputExists { .. } => {
            Some(rustix::io::Errno::EXIST.raw_os_error())
        }
        _ => system_error(error)?.raw_os_error(),
    }
}
