//! Another header written over the old one, which has the same length.

use super::file::LockedFile;
use super::summary::{RekeyMethod, RekeySummary};
use super::unlock::UnlockedHeader;
use crate::Error;
use crate::journal::{Journaled, UndoJournal};

impl LockedFile {
    /// Writes `header` over the old one, which has the same length, such that an
    /// interruption at any moment can be undone.
    pub(super) fn exchange(
        &self,
        old: &UnlockedHeader,
        header: &[u8],
    ) -> Result<RekeySummary, Error> {
        // So that an interruption does not even leave the journal.
        let _deferred = crate::interrupt::defer();
        let prefix = old.cipher.prefix();
        let (folder, name, len) = (&self.folder, &self.name, self.len);
        let file = Journaled { folder, name, source: &self.source, file: &self.file, len };
        let (journal, journal_len) = UndoJournal::create(&file, &old.header, prefix, header)?;
        if let Err(error) = self.source.check_unchanged() {
            // Nothing has happened yet.
            let _ = journal.remove(&self.file);
            return Err(error);
        }
        if let Err(source) = self.write_header(header) {
            // If it cannot be undone now, the journal stays for a later run.
            if self.write_header(&old.header).is_ok() {
                let _ = journal.remove(&self.file);
            }
            return Err(self.failed(source));
        }
        self.keep_times(&self.source.times());
        journal.remove(&self.file).map_err(|error| Error::NotDurable {
            path: self.source.path().to_owned(),
            source: error.into(),
        })?;
        let written = journal_len + header.len() as u64;
        let summary = self.summary(old, RekeyMethod::InPlace, header, written)?;
        Ok(RekeySummary { names_left: 0, ..summary })
    }
}
