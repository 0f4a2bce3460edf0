//! Keys that are tried on a file's header, before anything is made for its output.

use cryptstream_format::Identity;

use crate::header::unlock;
use crate::journal;
use crate::{BatchItem, Error, Parser};

impl BatchItem {
    /// Whether one of `identities` decrypts this file, going by its header.
    ///
    /// # Errors
    /// [`Error::Unlock`] where none does; others where the header cannot be read.
    pub fn try_keys(&self, parser: &Parser, identities: &[&dyn Identity]) -> Result<(), Error> {
        let mut source = self.open(parser)?;
        journal::open_header(&mut source, |source, header| {
            unlock(source, &header, identities).map(drop)
        })
    }
}
