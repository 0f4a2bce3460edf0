//! Output that is sent to an object store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data_file::DataFile;
use crate::{Error, ObjectAttributes, ObjectError, ObjectErrorKind, ObjectOutput};

/// An object that is being written.
#[derive(Clone)]
pub(crate) struct OutputObject {
    object: Arc<dyn ObjectOutput>,
    path: PathBuf,
}

impl OutputObject {
    pub(super) fn new(
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
    pub(super) fn expect(&self, len: u64) -> Result<(), Error> {
        self.object.expect(len).map_err(|error| self.failed(0, error))
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
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.reserve(offset, bytes.len(), true)?;
        let written = std::os::unix::fs::FileExt::write_all_at(self.object.file(), bytes, offset);
        written.map_err(|error| self.failed(offset, error))?;
        self.written(offset, bytes.len())
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
    pub(super) fn commit(self) -> Result<(), Error> {
        let len = self.object.file().metadata().map(|metadata| metadata.len());
        len.and_then(|len| self.object.finish(len)).map_err(|error| match ObjectError::of(&error) {
            // It appeared meanwhile.
            Some(ObjectError { kind: ObjectErrorKind::Exists, .. }) => {
                Error::OutputExists { path: self.path.clone() }
            }
            _ => self.failed(0, error),
        })
    }

    fn failed(&self, offset: u64, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), offset, source }
    }
}
