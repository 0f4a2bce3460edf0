//! Buffers that the system may refuse: a full machine or a limit is an answer,
//! not the end of the process.

mod available;

use std::collections::TryReserveError;
use std::io;

pub use self::available::{MemoryLimit, available_memory};

use crate::Error;

/// Lengthens `buffer` with zeros until it has `len` bytes.
///
/// # Errors
/// The system does not give that much; the buffer is as it was.
pub(crate) fn grow(buffer: &mut Vec<u8>, len: usize) -> Result<(), OutOfMemory> {
    // Copied, since a build without optimisation fills a buffer byte by byte: this took 7 % of the
    // time of all tests.
    const ZEROS: [u8; 4096] = [0; 4096];
    buffer.try_reserve_exact(len.saturating_sub(buffer.len()))?;
    while buffer.len() < len {
        let missing = len - buffer.len();
        buffer.extend_from_slice(&ZEROS[..missing.min(ZEROS.len())]);
    }
    Ok(())
}

/// A new buffer of `len` zeros.
///
/// # Errors
/// The system does not give that much.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, OutOfMemory> {
    let mut buffer = Vec::new();
    grow(&mut buffer, len)?;
    Ok(buffer)
}

/// The system gives no more memory.
#[derive(Debug)]
pub(crate) struct OutOfMemory;

impl From<TryReserveError> for OutOfMemory {
    fn from(_: TryReserveError) -> Self {
        Self
    }
}

impl From<OutOfMemory> for io::Error {
    fn from(_: OutOfMemory) -> Self {
        io::ErrorKind::OutOfMemory.into()
    }
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory { path: None }
    }
}
