//! Why a segment could not be done, as workers report it: without names of files.

use std::io;

use cryptstream_format::ChunkError;

use crate::data_file::DataFile;

/// Why a segment could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The input ends within the segment, which it did not when it was opened.
    Short,
    /// Reading failed: `errno` at byte `offset` of the input.
    Read { errno: i32, offset: u64 },
    /// Writing failed: `errno` at byte `offset` of the output.
    Write { errno: i32, offset: u64 },
    /// A chunk does not verify.
    Damaged { chunk: u64 },
    /// A bug, or a worker that lies.
    Internal,
}

impl From<ChunkError> for Failure {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::Damaged { chunk, .. } => Self::Damaged { chunk },
            ChunkError::BufferLength { .. } => Self::Internal,
        }
    }
}

/// Reads a piece of the input.
pub(crate) fn read_exact_at(
    file: &DataFile,
    buffer: &mut [u8],
    offset: u64,
) -> Result<(), Failure> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Short,
        _ => Failure::Read { errno: errno(&error), offset },
    })
}

/// The system's number of an error; EIO for one that has none, such as a
/// write of nothing.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error())
}
