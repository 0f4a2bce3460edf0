//! Encrypting and decrypting bytes.

use std::path::Path;
use std::sync::Mutex;

use cryptstream_engine::{ChunkLayout, MemoryEncryption};
use cryptstream_format::armor::{Decoder, Encoder};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zeroize::Zeroizing;

use crate::errors::Failure;
use crate::keys::{Identity, IdentityList, Recipient, RecipientList};
use crate::operation::{Operation, Outcome, interruptible, start};
use crate::reader::threads;
use crate::requests::format_of;

/// Where the chunks of an encrypted file are, and the key to open them.
#[pyclass(frozen, module = "cryptstream")]
pub(crate) struct EncryptedLayout {
    layout: ChunkLayout,
}

impl EncryptedLayout {
    pub(crate) fn new(layout: ChunkLayout) -> Self {
        Self { layout }
    }

    fn check(&self, start: u64, stop: u64) -> PyResult<()> {
        match start <= stop && stop <= self.layout.plaintext_len() {
            true => Ok(()),
            false => Err(PyValueError::new_err("the range is not within the plaintext")),
        }
    }
}

#[pymethods]
impl EncryptedLayout {
    #[getter]
    fn plaintext_size(&self) -> u64 {
        self.layout.plaintext_len()
    }

    fn final_range(&self) -> (u64, u64) {
        let range = self.layout.final_range();
        (range.start, range.end)
    }

    fn encrypted_range(&self, start: u64, stop: u64) -> PyResult<(u64, u64)> {
        self.check(start, stop)?;
        let range = self.layout.encrypted_range(start..stop);
        Ok((range.start, range.end))
    }

    fn decrypt<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        stop: u64,
        data: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.check(start, stop)?;
        let len = usize::try_from(stop - start)?;
        PyBytes::new_with(py, len, |buffer| {
            interruptible(py, len, |is_cancelled| {
                self.layout.decrypt(start, data, buffer, threads(), is_cancelled)
            })
        })
    }
}

/// Unlocks a file that begins with `head`. The result is None if more of it is needed.
#[pyfunction]
pub(crate) fn start_layout(
    py: Python<'_>,
    head: Vec<u8>,
    size: u64,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
    name: String,
) -> PyResult<Operation> {
    let identities = IdentityList::new(py, &identities, passphrase)?;
    start(move |_| {
        let name = Path::new(&name);
        let opened = identities.with(|tried| ChunkLayout::open(&head, size, tried, name));
        Ok(Outcome::Layout(opened?.map(Box::new)))
    })
}

/// A header, and the key for what comes after it.
#[pyclass(frozen)]
pub(crate) struct Encryption(Mutex<Option<MemoryEncryption>>);

impl Encryption {
    pub(crate) fn new(encryption: MemoryEncryption) -> Self {
        Self(Mutex::new(Some(encryption)))
    }
}

#[pymethods]
impl Encryption {
    /// Encrypts the data, once.
    fn write<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let encryption = self.0.lock().ok().and_then(|mut once| once.take());
        let encryption = encryption.ok_or_else(|| PyValueError::new_err("it was used already"))?;
        PyBytes::new_with(py, encryption.len(), |buffer| {
            interruptible(py, data.len(), |is_cancelled| {
                encryption.write(data, buffer, threads(), is_cancelled)
            })
        })
    }
}

/// Prepares to encrypt `len` bytes.
#[pyfunction]
pub(crate) fn start_encryption(
    py: Python<'_>,
    len: usize,
    format: &str,
    recipients: Vec<Py<Recipient>>,
    identities: Vec<Py<Identity>>,
    passphrase: Option<Vec<u8>>,
) -> PyResult<Operation> {
    let recipients = RecipientList::new(py, &recipients, &identities, passphrase)?;
    let format = format_of(format)?;
    start(move |_| {
        let ready = recipients.prepare(format)?;
        let ready: Vec<_> = ready.iter().map(|one| &**one).collect();
        Ok(Outcome::Encryption(Box::new(MemoryEncryption::new(len, format, &ready)?)))
    })
}

/// The text of an age file.
#[pyfunction]
pub(crate) fn armor<'py>(py: Python<'py>, data: &[u8]) -> Bound<'py, PyBytes> {
    let text = py.detach(|| {
        let (mut encoder, mut text) = (Encoder::new(), Vec::new());
        encoder.encode(data, &mut text);
        encoder.finish(&mut text);
        text
    });
    PyBytes::new(py, &text)
}

/// What is in the armor, or None if it is not in one.
#[pyfunction]
pub(crate) fn unarmor<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
    if !cryptstream_format::armor::is_armored(data) {
        return Ok(None);
    }
    let decoded = py.detach(|| {
        let (mut decoder, mut bytes) = (Decoder::new(), Zeroizing::new(Vec::new()));
        decoder.decode(data, &mut bytes)?;
        decoder.finish().map(|()| bytes)
    });
    let text = |error| format!("the armor is damaged: {error}");
    let bytes = decoded.map_err(|error| Failure::Named("Damaged", text(error)))?;
    Ok(Some(PyBytes::new(py, &bytes)))
}
