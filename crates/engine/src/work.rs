//! From file to file: the work as a whole, and what is done to one segment,
//! whoever does it, main or a worker.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use cryptstream_format::payload::{CHUNK_LEN, PREFIX_LEN, SEALED_CHUNK_LEN};
use cryptstream_format::{ChunkCipher, ChunkError, Layout, Segment};

use crate::output::PendingFile;
use crate::workers::{self, Stop};
use crate::{Error, PART_CHUNKS, Progress, RunOptions, Source, WorkerStats};

/// Whether plaintext becomes ciphertext or the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Seal,
    Open,
}

/// One payload on its way from file to file.
pub(crate) struct Work {
    pub(crate) operation: Operation,
    pub(crate) layout: Layout,
    /// Byte of the sealed file, be it input or output, at which the payload
    /// begins.
    pub(crate) payload_start: u64,
    pub(crate) cipher: ChunkCipher,
    pub(crate) input: File,
    pub(crate) output: File,
}

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

/// Two buffers of a part each, which stay in the processor's cache.
pub(crate) struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        let buffer = || vec![0; PART_CHUNKS * SEALED_CHUNK_LEN.max(CHUNK_LEN)];
        Self { input: buffer(), output: buffer() }
    }
}

impl Work {
    /// Where a segment's input lies in the input file, and how long it is.
    pub(crate) fn input_of(&self, segment: &Segment) -> (u64, usize) {
        match self.operation {
            Operation::Seal => (segment.plaintext_offset(), segment.plaintext_len()),
            Operation::Open => {
                (self.payload_start + segment.payload_offset(), segment.sealed_len())
            }
        }
    }

    /// Does a segment, reading it from the input file part by part.
    pub(crate) fn run(&self, segment: &Segment, buffers: &mut Buffers) -> Result<(), Failure> {
        self.run_from(segment, buffers, |part, buffer| {
            let (offset, _) = self.input_of(part);
            match self.input.read_exact_at(buffer, offset) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Failure::Short),
                Err(error) => Err(Failure::Read { errno: errno(&error), offset }),
            }
        })
    }

    /// Does a segment whose input is given by `fetch`, part by part.
    pub(crate) fn run_from(
        &self,
        segment: &Segment,
        buffers: &mut Buffers,
        mut fetch: impl FnMut(&Segment, &mut [u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for part in segment.split(PART_CHUNKS) {
            let (plain_len, sealed_len) = (part.plaintext_len(), part.sealed_len());
            let (result, output, offset) = match self.operation {
                Operation::Seal => {
                    let (input, output) =
                        (&mut buffers.input[..plain_len], &mut buffers.output[..sealed_len]);
                    fetch(&part, input)?;
                    let result = self.cipher.seal(&part, input, output);
                    (result, output, self.payload_start + part.payload_offset())
                }
                Operation::Open => {
                    let (input, output) =
                        (&mut buffers.input[..sealed_len], &mut buffers.output[..plain_len]);
                    fetch(&part, input)?;
                    let result = self.cipher.open(&part, input, output);
                    (result, output, part.plaintext_offset())
                }
            };
            result.map_err(|error| match error {
                ChunkError::Damaged { chunk, .. } => Failure::Damaged { chunk },
                ChunkError::BufferLength { .. } => Failure::Internal,
            })?;
            self.output
                .write_all_at(output, offset)
                .map_err(|error| Failure::Write { errno: errno(&error), offset })?;
        }
        Ok(())
    }
}

/// Does a whole payload from file to file, with workers where they pay.
#[expect(clippy::too_many_arguments, reason = "they are the parts of the work")]
pub(crate) fn file_to_file(
    operation: Operation,
    layout: Layout,
    payload_start: u64,
    cipher: ChunkCipher,
    source: &Source,
    output: &PendingFile,
    options: &RunOptions,
    progress: &dyn Progress,
) -> Result<WorkerStats, Error> {
    let path = || source.path().to_owned();
    let input = source.file().try_clone();
    let work = Work {
        operation,
        layout,
        payload_start,
        cipher,
        input: input.map_err(|error| Error::Open { path: path(), source: error })?,
        output: output
            .file()
            .try_clone()
            .map_err(|error| Error::Create { path: output.path().to_owned(), source: error })?,
    };
    let stop = match workers::run(&work, &options.workers, options.cores, progress) {
        Ok(stats) => return Ok(stats),
        Err(stop) => stop,
    };
    let failure = match stop {
        Stop::Failed(failure) => failure,
        Stop::Deadly(segment) => return Err(Error::WorkersDied { path: path(), segment }),
        Stop::NoSandbox => return Err(Error::NoSandbox),
    };
    Err(match failure {
        Failure::Short => source.changed(),
        Failure::Read { errno, offset } => {
            Error::Read { path: path(), offset, source: io::Error::from_raw_os_error(errno) }
        }
        Failure::Write { errno, offset } => Error::Write {
            path: output.path().to_owned(),
            offset,
            source: io::Error::from_raw_os_error(errno),
        },
        Failure::Damaged { chunk } => {
            let offset = payload_start + (PREFIX_LEN as u64) + chunk * SEALED_CHUNK_LEN as u64;
            Error::Damaged { path: path(), chunk, offset, is_last: chunk + 1 == layout.chunks() }
        }
        Failure::Internal => Error::Internal("a segment was worked on in the wrong way"),
    })
}

/// The system's number of an error; EIO for one that has none, such as a
/// write of nothing.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error())
}
