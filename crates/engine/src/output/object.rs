//! Output that is sent to an object store.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::reread::Reread;
use crate::data_file::DataFile;
use crate::{
    Error, ObjectAttributes, ObjectError, ObjectErrorKind, ObjectOutput, Progress, Source,
};

/// How often progress is shown of what is on its way.
const DRAIN_INTERVAL: Duration = Duration::from_millis(100);

/// An object that is being written.
#[derive(Clone)]
pub(crate) struct OutputObject {
    object: Arc<dyn ObjectOutput>,
    path: PathBuf,
}

impl OutputObject {
    pub(crate) fn new(
        object: Arc<dyn ObjectOutput>,
        path: PathBuf,
        attributes: ObjectAttributes,
    ) -> Self {
        object.set_attributes(attributes);
        Self { object, path }
    }

    /// The object's name for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file in memory, for others to write to at offsets.
    pub(crate) fn file(&self) -> Result<DataFile, Error> {
        self.object.file().try_clone().map(DataFile::from).map_err(|error| self.failed(0, error))
    }

    /// Says how long it will be.
    pub(crate) fn expect(&self, len: u64) -> Result<(), Error> {
        self.object.expect(len).map_err(|error| self.failed(0, error))
    }

    /// Says how long it will be. Returns from which byte on it can be copied.
    pub(crate) fn expect_copy(&self, len: u64) -> Result<Option<u64>, Error> {
        self.object.expect_copy(len).map_err(|error| self.failed(0, error))
    }

    /// Has the store copy bytes of the object that this one replaces. Returns up to where it did.
    pub(crate) fn copy(
        &self,
        from: u64,
        to: Range<u64>,
        progress: &dyn Progress,
    ) -> Result<u64, Error> {
        if to.is_empty() {
            return Ok(to.start);
        }
        let start = to.start;
        let copied = self.object.copy(from, to, &|bytes| progress.advance(bytes));
        copied.map_err(|error| self.failed(start, error))
    }

    /// Asks for room for `len` bytes at `offset`. Returns `false` if, without `may_wait`, it would
    /// have to be waited for.
    pub(crate) fn reserve(&self, offset: u64, len: usize, may_wait: bool) -> Result<bool, Error> {
        let room = self.object.reserve(offset..offset + len as u64, may_wait);
        room.map_err(|error| self.failed(offset, error))
    }

    /// Says that `len` bytes at `offset` are written.
    pub(crate) fn written(&self, offset: u64, len: usize) -> Result<(), Error> {
        let sent = self.object.written(offset..offset + len as u64);
        sent.map_err(|error| self.failed(offset, error))
    }

    /// Writes `bytes` at `offset`.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.reserve(offset, bytes.len(), true)?;
        let written = std::os::unix::fs::FileExt::write_all_at(self.object.file(), bytes, offset);
        written.map_err(|error| self.failed(offset, error))?;
        self.written(offset, bytes.len())
    }

    /// Waits until what was written is in the store, and shows progress meanwhile.
    pub(crate) fn drain(&self, progress: &dyn Progress) -> Result<(), Error> {
        while !self.object.drain(DRAIN_INTERVAL).map_err(|error| self.failed(0, error))? {
            progress.advance(0);
        }
        Ok(())
    }

    /// Refuses an object that has not become `len` bytes long.
    pub(super) fn check_len(&self, len: u64) -> Result<(), Error> {
        match self.object.file().metadata() {
            Ok(metadata) if metadata.len() == len => Ok(()),
            Ok(_) => Err(Error::Internal("an object of another length than was written")),
            Err(error) => Err(self.failed(0, error)),
        }
    }

    /// Makes it an object.
    pub(crate) fn commit(self) -> Result<FinishedObject, Error> {
        let len = self.object.file().metadata().map(|metadata| metadata.len());
        let finished = len.and_then(|len| self.object.finish(len));
        match finished {
            Ok(()) => Ok(FinishedObject(self)),
            Err(error) => Err(match ObjectError::of(&error) {
                // It appeared meanwhile.
                Some(ObjectError { kind: ObjectErrorKind::Exists, .. }) => {
                    Error::OutputExists { path: self.path }
                }
                _ => self.failed(0, error),
            }),
        }
    }

    fn failed(&self, offset: u64, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), offset, source }
    }
}

/// An object that was written.
pub(crate) struct FinishedObject(OutputObject);

impl FinishedObject {
    /// Fetches it, and asks `reread` about it. What is not as it should be is removed.
    pub(super) fn check(&self, source: &Source, reread: Reread<'_>) -> Result<(), Error> {
        let OutputObject { object, path } = &self.0;
        let failed = |source| Error::NotReadBack { path: path.clone(), source };
        let object = object.reopen().map_err(failed)?;
        let written = Source::object(Arc::clone(&object), path.clone())?;
        match reread(&mut written.parsed_by(source.parser())) {
            Err(error @ Error::OutputDiffers { .. }) => {
                // It says that it was discarded, so it must not be there.
                object.remove().map_err(failed)?;
                Err(error)
            }
            Err(Error::Read { path: read, source, .. }) if read == *path => Err(failed(source)),
            result => result,
        }
    }
}
