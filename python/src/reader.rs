//! Random access to an encrypted file.

use std::path::PathBuf;

use cryptstream_engine::{Engine, Reader};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::keys::{Identity, IdentityList};
use crate::operation::{Operation, Outcome, interruptible, start};

/// At most so many threads decrypt; more do not pay for memory that is written once.
const MAX_THREADS: usize = 4;

/// The plaintext of an encrypted file.
#[pyclass(frozen)]
pub(crate) struct FileReader {
    reader: Reader,
}

impl FileReader {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader }
    }
}

#[pymethods]
impl FileReader {
    /// The length of the plaintext.
    #[getter]
    fn size(&self) -> u64 {
        self.reader.len()
    }

    /// Up to `len` bytes from `offset` on; fewer only at the end.
    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        len: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let left = usize::try_from(self.reader.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(left);
        PyBytes::new_with(py, len, |buffer| {
            interruptible(py, len, |is_cancelled| {
                self.reader.read_at(buffer, offset, threads(), is_cancelled).map(drop)
            })
        })
    }
}

/// How many threads decrypt.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS)
}

/// Opens an encrypted file.
#[pyfunction]
pub(crate) fn start_open(
    py: Python<'_>,
    path: PathBuf,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
) -> PyResult<Operation> {
    let identities = IdentityList::new(py, &identities, passphrase)?;
    start(move |_| {
        let opened = identities.with(|tried| Engine::builder().build().open(&path, tried));
        Ok(Outcome::Opened(Box::new(opened?)))
    })
}
