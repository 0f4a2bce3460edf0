//! The two ways to change who can decrypt a file.

use cryptstream_format::{Identity, Recipient};

use super::file::LockedFile;
use super::replace::{plain, rewrap};
use super::summary::RekeySummary;
use super::unlock::SMALL;
use crate::progress::check_cancelled;
use crate::request::RekeyInput;
use crate::{CommitOptions, Engine, Error, Progress, Rekey};

impl Engine {
    /// Changes who can decrypt a file: wraps its file key, which one of the identities
    /// must unwrap, for the recipients instead. With [`Rekey::reencrypt`] the content is
    /// encrypted again with a new file key.
    ///
    /// # Errors
    /// Those of [`LockedFile::open`], [`Error::Unlock`], [`Error::Wrap`], and those of an
    /// output. The file is then as it was.
    pub fn rekey(&mut self, request: Rekey<'_>) -> Result<RekeySummary, Error> {
        let Rekey { file, identities, recipients, reencrypt, progress } = request;
        let mut file = match file {
            RekeyInput::Path(path) => LockedFile::open(&path, &self.parser()?)?,
            RekeyInput::Locked(file) => *file,
            RekeyInput::Object(object) => {
                let threads = self.threads();
                return match reencrypt {
                    true => object.reencrypt(identities, recipients, threads, progress),
                    false => object.rekey(identities, recipients, progress),
                };
            }
        };
        let commit = CommitOptions { sync: true, ..CommitOptions::default() };
        file.set_caching(self.options.cache.caching(Some(file.len), commit));
        match reencrypt {
            true => file.reencrypt(identities, recipients, self.cores(), progress),
            false => file.rekey(identities, recipients, progress),
        }
    }
}

impl LockedFile {
    fn rekey(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let new = rewrap(&old, recipients)?;
        // From here on it takes a moment, or copies the file.
        check_cancelled(progress)?;
        let has_other_names = self.names()? > 1;
        // In place, so that the file keeps its other names.
        let is_large = old.layout.plaintext_len() >= SMALL;
        if let Some(header) = &new.exact
            && has_other_names
        {
            return self.exchange(&old, header);
        }
        if is_large && let Some(summary) = self.share(&old, &new.wrapped, new.exact.as_deref())? {
            return Ok(summary);
        }
        if let Some(header) = &new.exact
            && is_large
        {
            return self.exchange(&old, header);
        }
        self.rewrite(&old, &new.free(&old)?, progress)
    }

    /// Nothing of the plaintext gets to the disk.
    fn reencrypt(
        mut self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let (header, cipher) = old.with_new_key(&plain(recipients))?;
        check_cancelled(progress)?;
        self.write_reencrypted(&old, &header, &cipher, threads, progress)
    }
}
