//! Input that is fetched from an object store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{Error, ObjectInput};

/// An object that is being read.
#[derive(Clone)]
pub(crate) struct InputObject {
    pub(super) object: Arc<dyn ObjectInput>,
    /// The object's name for messages.
    pub(super) path: PathBuf,
}

impl InputObject {
    /// Makes sure that `len` bytes from `offset` on can be read without waiting. Returns `false`
    /// if, without `may_wait`, they would have to be waited for.
    pub(crate) fn fetch(&self, offset: u64, len: usize, may_wait: bool) -> Result<bool, Error> {
        let fetched = self.object.fetch(offset..offset + len as u64, may_wait);
        fetched.map_err(|source| Error::Read { path: self.path.clone(), offset, source })
    }

    /// Whether the store knows the permission bits of the file that it was made from.
    pub(super) fn has_mode(&self) -> bool {
        self.object.attributes().mode.is_some()
    }

    /// Says that everything from this byte on will be read in order.
    pub(crate) fn read_ahead(&self, from: u64) {
        self.object.read_ahead(from);
    }

    /// Gives back the memory of bytes that will not be read again.
    pub(crate) fn release(&self, offset: u64, len: usize) {
        self.object.release(offset..offset + len as u64);
    }
}
