//! Unlocks what is to get another header.

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{
    FileKey, Format, Header, Identity, Layout, Padding, PayloadCipher, Recipient, WrappedKey,
};

use crate::data_file::DataFile;
use crate::header::{HEADER_BLOCK, cut_in_header, unlock_error};
use crate::memory::zeroed;
use crate::{Error, Source};

/// Below this plaintext length a file is written anew.
pub(super) const SMALL: u64 = SEGMENT_LEN as u64;

/// A header that an identity has unlocked, the file key, and the payload that it leads to.
pub(super) struct UnlockedHeader {
    pub(super) format: Format,
    /// As it stands in the file.
    pub(super) header: Vec<u8>,
    pub(super) file_key: FileKey,
    pub(super) layout: Layout,
    pub(super) cipher: PayloadCipher,
}

impl UnlockedHeader {
    /// Where the payload begins.
    pub(super) fn start(&self) -> u64 {
        self.header.len() as u64
    }

    /// How a header is filled up where its length is free, as when sealing.
    pub(super) fn free_padding(&self) -> Padding {
        if self.layout.plaintext_len() < SMALL {
            Padding::None
        } else {
            Padding::Multiple(HEADER_BLOCK)
        }
    }

    /// A header with a new file key for `recipients`, and the cipher of that key.
    pub(super) fn with_new_key(
        &self,
        recipients: &[&dyn Recipient],
    ) -> Result<(Vec<u8>, PayloadCipher), Error> {
        let file_key = FileKey::generate()?;
        let header = WrappedKey::wrap(self.format, &file_key, recipients)?
            .header(&file_key, self.free_padding())?;
        Ok((header, PayloadCipher::generate(self.format, &file_key)?))
    }
}

/// An encrypted file or object that can be read at offsets.
pub(super) struct EncryptedFile<'a> {
    pub(super) source: &'a Source,
    pub(super) file: &'a DataFile,
    pub(super) len: u64,
}

impl EncryptedFile<'_> {
    /// Finds the file key, and checks that it belongs to this payload. `bytes` are those of the
    /// header if they are not at the beginning of the file.
    pub(super) fn unlock(
        &self,
        header: &Header,
        bytes: Option<Vec<u8>>,
        identities: &[&dyn Identity],
    ) -> Result<UnlockedHeader, Error> {
        let path = || self.source.path().to_owned();
        let (format, start) = (header.format(), header.len() as u64);
        if self.len < start + format.prefix_len() as u64 {
            return Err(cut_in_header(self.source));
        }
        let layout = Layout::of_payload(format, self.len - start)
            .map_err(|error| Error::Layout { path: path(), source: error })?;
        let file_key =
            header.unlock(identities).map_err(|error| unlock_error(self.source, header, error))?;
        let prefix = self.read_exactly(start, format.prefix_len())?;
        let cipher = PayloadCipher::from_prefix(format, &file_key, &prefix)
            .map_err(|error| Error::Commitment { path: path(), source: error })?;
        let header = match bytes {
            Some(bytes) => bytes,
            None => self.read_exactly(0, header.len())?,
        };
        let unlocked = UnlockedHeader { format, header, file_key, layout, cipher };
        self.check_end(&unlocked)?;
        Ok(unlocked)
    }

    /// Opens the final chunk, which proves that the key belongs to this payload
    /// and that the payload has its full length.
    fn check_end(&self, unlocked: &UnlockedHeader) -> Result<(), Error> {
        let last = crate::payload::last_of(&unlocked.layout)?;
        let part = last
            .split(unlocked.format.chunk_len())
            .last()
            .ok_or(Error::Internal("a segment without chunks"))?;
        let at = unlocked.start() + part.payload_offset();
        let sealed = self.read_exactly(at, part.sealed_len())?;
        let mut opened = zeroize::Zeroizing::new(zeroed(part.plaintext_len())?);
        let (path, cipher) = (self.source.path(), unlocked.cipher.chunks());
        let damaged = self.source.parser().open(path, &cipher, &part, &sealed, &mut opened)?;
        if damaged.is_some() {
            return Err(Error::Damaged {
                path: path.to_owned(),
                chunk: part.first_chunk(),
                offset: at,
                is_last: true,
            });
        }
        Ok(())
    }

    fn read_exactly(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = zeroed(len)?;
        match self.file.read_up_to(&mut bytes, offset) {
            Ok(read) if read.len() == len => Ok(bytes),
            Ok(_) => Err(self.source.changed()),
            Err(source) => Err(self.unreadable(offset, source)),
        }
    }

    fn unreadable(&self, offset: u64, source: std::io::Error) -> Error {
        Error::Read { path: self.source.path().to_owned(), offset, source }
    }
}
