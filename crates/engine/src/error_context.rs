//! Errors of segments, told with the files and the places that they concern.

use std::io;
use std::path::{Path, PathBuf};

use cryptstream_format::payload::chunk_offset;
use cryptstream_format::{Format, Segment};

use crate::Error;
use crate::failure::Failure;
use crate::transform::PartReader;
use crate::workers::Stop;

/// What errors of segments are told with.
#[derive(Clone)]
pub(crate) struct ErrorContext {
    pub(crate) path: PathBuf,
    pub(crate) output_path: PathBuf,
    /// Where the payload begins in the encrypted file.
    pub(crate) start: u64,
}

impl ErrorContext {
    pub(crate) fn error(self, segment: &Segment, failure: Failure) -> Error {
        let Self { path, output_path, start } = self;
        let system = system_error;
        match failure {
            Failure::Short => Error::InputChanged { path },
            Failure::Read { errno, offset } => Error::Read { path, offset, source: system(errno) },
            Failure::Write { errno, offset } => {
                Error::Write { path: output_path, offset, source: system(errno) }
            }
            Failure::Damaged { chunk } => damaged(&path, start, segment, chunk),
            Failure::Internal => Error::WorkerMisbehaved { path },
        }
    }

    pub(crate) fn stopped(self, stop: Stop) -> Error {
        match stop {
            // Of bytes that were read again after a death.
            Stop::Failed(failure) => self.error(&Segment::inner(Format::Native, 0), failure),
            Stop::Deadly(segment) => Error::WorkersDied { path: self.path, segment },
            stop @ (Stop::NoSandbox | Stop::NoProcess(_) | Stop::NoWorkers) => no_workers(stop),
            Stop::Misbehaved => Error::WorkerMisbehaved { path: self.path },
        }
    }
}

/// A reader whose failures become errors about files.
pub(crate) struct WithErrorContext<'a, R> {
    pub(crate) reader: R,
    pub(crate) context: &'a ErrorContext,
}

impl<R: PartReader<Failure>> PartReader<Error> for WithErrorContext<'_, R> {
    fn read(&mut self, part: &Segment) -> Result<&[u8], Error> {
        self.reader.read(part).map_err(|failure| self.context.clone().error(part, failure))
    }
}

pub(crate) fn damaged(path: &Path, start: u64, part: &Segment, chunk: u64) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        chunk,
        offset: start + chunk_offset(part.format(), chunk),
        is_last: part.is_last() && chunk + 1 == part.first_chunk() + part.chunks() as u64,
    }
}

/// Why there are no workers.
pub(crate) fn no_workers(stop: Stop) -> Error {
    match stop {
        Stop::NoProcess(errno) => Error::NoProcess { source: system_error(errno) },
        Stop::NoWorkers => Error::NoWorkers,
        _ => Error::NoSandbox,
    }
}

fn system_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
