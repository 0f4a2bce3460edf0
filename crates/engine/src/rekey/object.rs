//! An object that is to get another header. Another one replaces it.

use std::path::PathBuf;
use std::sync::Arc;

use cryptstream_format::{Format, Header, Identity, Recipient};

use super::reencrypt::Reencryption;
use super::replace::{plain, rewrap};
use super::summary::{RekeyMethod, RekeySummary};
use super::unlock::{EncryptedFile, UnlockedHeader};
use crate::header::read_header;
use crate::memory::zeroed;
use crate::output::OutputObject;
use crate::parallel::run_on_threads;
use crate::{Error, ObjectAttributes, ObjectOutput, Parser, Progress, Source};

/// What is read and written at once, in bytes.
const BUFFER_LEN: usize = 1 << 20;

/// An encrypted object that is to be rekeyed.
pub struct RekeyObject {
    source: Source,
    output: OutputObject,
    header: Header,
}

impl RekeyObject {
    /// Reads the header of `source`, an object. `output` replaces it, if it is still the same
    /// then.
    ///
    /// # Errors
    /// [`Error::Armored`], and those of a header.
    pub fn open(
        source: Source,
        output: Arc<dyn ObjectOutput>,
        parser: &Parser,
    ) -> Result<Self, Error> {
        let mut source = source.parsed_by(parser);
        let path = source.path().to_owned();
        let header = read_header(&mut source)?;
        if source.is_armored() {
            return Err(Error::Armored { path });
        }
        // The object keeps those of the old one.
        let output = OutputObject::new(output, path, ObjectAttributes::default());
        Ok(Self { source, output, header })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.header.format()
    }

    /// Its length in bytes.
    #[must_use]
    pub fn object_len(&self) -> u64 {
        self.source.seekable_len().unwrap_or_default()
    }

    /// Whether one of `identities` fits, before anything else is asked for.
    ///
    /// # Errors
    /// [`Error::Unlock`], [`Error::Layout`], [`Error::Commitment`], [`Error::Damaged`],
    /// [`Error::Read`].
    pub fn check_keys(&self, identities: &[&dyn Identity]) -> Result<(), Error> {
        self.unlock(identities).map(drop)
    }

    fn unlock(&self, identities: &[&dyn Identity]) -> Result<UnlockedHeader, Error> {
        let (source, file) = (&self.source, self.source.file());
        let encrypted = EncryptedFile { source, file, len: self.object_len() };
        encrypted.unlock(&self.header, None, identities)
    }

    pub(super) fn rekey(
        self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let mut new = rewrap(&old, recipients)?;
        // With the same length, the store can copy the payload where it is.
        let header = match new.exact.take() {
            Some(header) => header,
            None => new.free(&old)?,
        };
        progress.start(Some(self.object_len()));
        let start = header.len() as u64;
        let len = start + old.layout.payload_len();
        let by_store = self.output.expect_copy(len)?;
        self.output.write_at(0, &header)?;
        progress.advance(old.start());
        let first = by_store.unwrap_or(len);
        self.copy_by_hand(old.start(), start..first, progress)?;
        let shift = |offset: u64| offset - start + old.start();
        let copied = self.output.copy(shift(first), first..len, progress)?;
        self.copy_by_hand(shift(copied), copied..len, progress)?;
        let method = if copied > first { RekeyMethod::Copied } else { RekeyMethod::Rewritten };
        self.finish(&old, method, &header, len - (copied - first))
    }

    /// Writes the bytes of the old object from `from` on into `to` of the new one.
    fn copy_by_hand(
        &self,
        from: u64,
        to: std::ops::Range<u64>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let len = to.end - to.start;
        if let Some(object) = self.source.as_object().filter(|_| len > 0) {
            // Nothing beyond that is needed, unless it is all.
            if from + len == self.object_len() {
                object.read_ahead(from);
            } else {
                object.fetch(from, len as usize, true)?;
            }
        }
        let mut buffer = zeroed(BUFFER_LEN.min(len as usize))?;
        let mut done = 0;
        while done < len {
            let part = BUFFER_LEN.min((len - done) as usize);
            let read = self.source.file().read_up_to(&mut buffer[..part], from + done);
            let read = read.map_err(|source| Error::Read {
                path: self.path(),
                offset: from + done,
                source,
            })?;
            if read.len() < part {
                return Err(self.source.changed());
            }
            self.output.write_at(to.start + done, read)?;
            progress.advance(part as u64);
            done += part as u64;
        }
        self.output.drain(progress)
    }

    /// Nothing of the plaintext leaves this process.
    pub(super) fn reencrypt(
        self,
        identities: &[&dyn Identity],
        recipients: &[&(dyn Recipient + Sync)],
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        let old = self.unlock(identities)?;
        let (header, cipher) = old.with_new_key(&plain(recipients))?;
        progress.start(Some(self.object_len()));
        let start = header.len() as u64;
        let len = start + old.layout.payload_len();
        self.output.expect(len)?;
        self.output.write_at(0, &[&header, cipher.prefix()].concat())?;
        let payload = old.start() + cipher.prefix().len() as u64;
        progress.advance(payload);
        if let Some(object) = self.source.as_object() {
            object.read_ahead(payload);
        }
        let content = Reencryption {
            source: &self.source,
            file: self.source.file(),
            old: &old,
            chunks: &old.cipher.chunks(),
            new_start: start,
            new: &cipher,
            output_path: self.source.path(),
        };
        let output = &self.output;
        run_on_threads(&old.layout, threads, progress, || {
            content.segment_reencryptor(|offset, bytes| output.write_at(offset, bytes))
        })?;
        self.output.drain(progress)?;
        self.finish(&old, RekeyMethod::Reencrypted, &header, len)
    }

    fn finish(
        self,
        old: &UnlockedHeader,
        method: RekeyMethod,
        header: &[u8],
        bytes_written: u64,
    ) -> Result<RekeySummary, Error> {
        let bytes_in = self.object_len();
        self.output.commit()?;
        let new_header_len = header.len() as u64;
        Ok(RekeySummary {
            format: old.format,
            method,
            old_header_len: old.start(),
            new_header_len,
            bytes_in,
            bytes_out: new_header_len + old.layout.payload_len(),
            bytes_written,
            names_left: 0,
        })
    }

    fn path(&self) -> PathBuf {
        self.source.path().to_owned()
    }
}
