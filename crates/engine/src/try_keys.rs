//! Keys that are tried on a file's header, before anything is made for its output.

use cryptstream_format::{Format, Identity, Stanza};

use crate::header::{read_header, unlock};
use crate::journal;
use crate::{BatchItem, Error, Parser};

impl BatchItem {
    /// The format and the stanzas in the file's header.
    ///
    /// # Errors
    /// Where the header cannot be read.
    pub fn stanzas(&self, parser: &Parser) -> Result<(Format, Vec<Stanza>), Error> {
        let mut source = self.open(parser)?;
        let header = read_header(&mut source)?;
        Ok((header.format(), header.stanzas().to_vec()))
    }

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
