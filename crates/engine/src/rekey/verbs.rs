//! The two ways to change who can decrypt a file.

use cryptstream_format::{FileKey, Identity, Padding, PayloadCipher, Recipient, WrappedKey};

use super::file::{Rekeying, SMALL};
use super::replace::fitting;
use super::summary::RekeySummary;
use crate::{Error, Progress};

impl Rekeying {
    /// Seals the file key, which one of `identities` must give, for
    /// `recipients` instead. The payload stays.
    ///
    /// # Errors
    /// See [`Error`]; the file is then as it was.
    pub fn rekey(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let wrapped = WrappedKey::wrap(old.format, &old.file_key, &plain(recipients))?;
        let exact = fitting(wrapped.header(&old.file_key, Padding::Exactly(old.header.len())))?;
        let has_other_names = self.names()? > 1;
        // Where others know the file by other names, they are to keep it.
        let is_large = old.layout.plaintext_len() >= SMALL;
        if let Some(header) = &exact
            && has_other_names
        {
            return self.exchange(&old, header);
        }
        if is_large && let Some(summary) = self.share(&old, &wrapped, exact.as_deref())? {
            return Ok(summary);
        }
        if let Some(header) = &exact
            && is_large
        {
            return self.exchange(&old, header);
        }
        let header = wrapped.header(&old.file_key, old.free_padding())?;
        self.rewrite(&old, &header, progress)
    }

    /// Opens the content, and seals it under another file key for
    /// `recipients`, in this format. Nothing of it gets to the disk between.
    ///
    /// # Errors
    /// See [`Error`]; the file is then as it was.
    pub fn reencrypt(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let file_key = FileKey::generate()?;
        let header = WrappedKey::wrap(old.format, &file_key, &plain(recipients))?
            .header(&file_key, old.free_padding())?;
        let cipher = PayloadCipher::generate(old.format, &file_key)?;
        self.reseal(&old, &header, &cipher, threads, progress)
    }
}

fn plain<'a>(recipients: &[&'a (dyn Recipient + Sync)]) -> Vec<&'a dyn Recipient> {
    recipients.iter().map(|recipient| *recipient as &dyn Recipient).collect()
}
