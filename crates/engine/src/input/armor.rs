//! Armored input: text that is read in order and decoded.

use std::io::{self, Read};
use std::path::Path;

use cryptstream_format::ArmorError;

use crate::data_file::DataFile;
use crate::memory::{OutOfMemory, zeroed};
use crate::workers::Unarmor;
use crate::{Error, Parser};

/// Text that is read in one go.
const TEXT_LEN: usize = 64 << 10;

/// An armored text that is being decoded.
pub(super) struct Armor {
    /// `None` after the end of the text has been verified.
    decoder: Option<Unarmor>,
    text: Vec<u8>,
    /// Bytes of text read so far.
    text_len: u64,
    /// What was decoded last; the first `given` bytes were taken.
    bytes: Vec<u8>,
    given: usize,
}

impl Armor {
    /// The armor of a text that begins with `head`, which was read already.
    pub(super) fn new(head: &[u8], path: &Path, parser: &Parser) -> Result<Self, Error> {
        let text = zeroed(TEXT_LEN)?;
        let (decoder, bytes) = (Some(parser.unarmor(path)?), Vec::new());
        let mut armor = Self { decoder, text, text_len: 0, bytes, given: 0 };
        for part in head.chunks(TEXT_LEN) {
            armor.decode(part, path)?;
        }
        Ok(armor)
    }

    /// Bytes of text read so far.
    pub(super) fn text_len(&self) -> u64 {
        self.text_len
    }

    /// Whether nothing more will be decoded.
    pub(super) fn is_over(&self) -> bool {
        self.decoder.is_none()
    }

    /// The decoded bytes that were not taken yet.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.given..]
    }

    /// Takes this many of them.
    pub(super) fn give(&mut self, len: usize) {
        self.given += len;
    }

    /// Reads and decodes more of the text once, which may give no bytes. Verifies the end of
    /// the text.
    pub(super) fn refill(
        &mut self,
        file: &DataFile,
        is_positional: bool,
        path: &Path,
    ) -> Result<(), Error> {
        let read = match is_positional {
            true => file.read_at(&mut self.text, self.text_len),
            false => (&**file).read(&mut self.text),
        };
        match read {
            Ok(0) => match self.decoder.take().map(|decoder| decoder.finish(path)) {
                Some(ended) => ended?.map_err(|source| wrong(path, source)),
                None => Ok(()),
            },
            Ok(len) => {
                let text = std::mem::take(&mut self.text);
                let decoded = self.decode(&text[..len], path);
                self.text = text;
                decoded
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(source) => {
                Err(Error::Read { path: path.to_owned(), offset: self.text_len, source })
            }
        }
    }

    fn decode(&mut self, text: &[u8], path: &Path) -> Result<(), Error> {
        self.bytes.drain(..self.given);
        self.given = 0;
        // More than is decoded, a line that has begun before included.
        self.bytes.try_reserve(text.len() + 64).map_err(OutOfMemory::from)?;
        self.text_len += text.len() as u64;
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let decoded = decoder.decode(path, text, &mut self.bytes)?;
        decoded.map_err(|source| wrong(path, source))
    }
}

fn wrong(path: &Path, source: ArmorError) -> Error {
    Error::Armor { path: path.to_owned(), source }
}
