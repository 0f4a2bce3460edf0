//! JSON Lines that are written and read one at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// No line is longer: a path has at most 4,096 bytes, which JSON may escape, and there are two.
const MAX_LINE: u64 = 64 << 10;

/// Writes lines.
pub(crate) struct LineWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl LineWriter {
    pub(crate) fn new(file: File, path: PathBuf) -> Self {
        Self { file: BufWriter::with_capacity(64 << 10, file), path }
    }

    pub(crate) fn write(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(Into::into);
        written.and_then(|()| self.file.write_all(b"\n")).map_err(|source| self.failed(source))
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

/// Reads lines.
pub(crate) struct LineReader<T> {
    file: BufReader<File>,
    path: PathBuf,
    line: u64,
    buffer: Vec<u8>,
    /// Whether a last line without an end is ignored: its writer was killed.
    may_be_torn: bool,
    _line: PhantomData<T>,
}

impl<T: DeserializeOwned> LineReader<T> {
    pub(crate) fn new(file: File, path: PathBuf, may_be_torn: bool) -> Self {
        let file = BufReader::with_capacity(64 << 10, file);
        Self { file, path, line: 0, buffer: Vec::new(), may_be_torn, _line: PhantomData }
    }

    /// The next line; `None` at the end of the file.
    pub(crate) fn next_line(&mut self) -> Result<Option<T>, Error> {
        self.buffer.clear();
        self.line += 1;
        let read = self.file.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.buffer);
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        match self.buffer.last() {
            None => Ok(None),
            Some(b'\n') => {
                let parsed = serde_json::from_slice(&self.buffer);
                parsed.map(Some).map_err(|error| self.damaged(error.to_string()))
            }
            Some(_) if self.may_be_torn && (self.buffer.len() as u64) < MAX_LINE => Ok(None),
            Some(_) => Err(self.damaged("a line without an end, or one that is too long")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Something is wrong in the line that was read last.
    pub(crate) fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::damaged(&self.path, self.line, reason)
    }
}
