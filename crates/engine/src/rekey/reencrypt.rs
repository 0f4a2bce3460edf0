//! Re-encrypts a file under a new file key. Several threads decrypt segments, encrypt them again
//! in memory, and write each at its place in the new file.

use std::path::Path;

use cryptstream_format::{ChunkCipher, PayloadCipher, Segment};
use zeroize::Zeroizing;

use super::file::LockedFile;
use super::summary::{RekeyMethod, RekeySummary};
use super::unlock::UnlockedHeader;
use crate::data_file::DataFile;
use crate::error_context::{ErrorContext, WithErrorContext};
use crate::memory::zeroed;
use crate::parallel::run_on_threads;
use crate::parser_cipher::ParserCipher;
use crate::part_io::{Buffers, CiphertextReader, PART_LEN, WriteCoalescer};
use crate::transform::{Operation, PartCipher, transform};
use crate::{Error, Progress, Source};

/// More threads do not write faster into one file.
const MAX_THREADS: usize = 4;

impl LockedFile {
    /// Replaces this file with one that has `header` and a payload encrypted with `cipher`.
    pub(super) fn write_reencrypted(
        &self,
        old: &UnlockedHeader,
        header: &[u8],
        cipher: &PayloadCipher,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        progress.start(Some(self.len));
        let start = header.len() as u64;
        let len = start + old.layout.payload_len();
        let pending = self.begin_replacing()?;
        pending.reserve(len)?;
        pending.write_at(0, header)?;
        pending.write_at(start, cipher.prefix())?;
        progress.advance(old.start() + cipher.prefix().len() as u64);
        let content = Reencryption {
            source: &self.source,
            file: &self.file,
            old,
            chunks: &old.cipher.chunks(),
            new_start: start,
            new: cipher,
            output_path: pending.path(),
        };
        run_on_threads(&old.layout, threads.min(MAX_THREADS), progress, || {
            content.segment_reencryptor(|offset, bytes| pending.write_at(offset, bytes))
        })?;
        self.replace_by(pending)?;
        self.summary(old, RekeyMethod::Reencrypted, header, len)
    }
}

/// A payload that is encrypted again.
pub(super) struct Reencryption<'a> {
    pub(super) source: &'a Source,
    pub(super) file: &'a DataFile,
    pub(super) old: &'a UnlockedHeader,
    pub(super) chunks: &'a ChunkCipher,
    /// Where the new payload begins in the output.
    pub(super) new_start: u64,
    pub(super) new: &'a PayloadCipher,
    pub(super) output_path: &'a Path,
}

impl<'a> Reencryption<'a> {
    /// Returns what one thread does with each segment. `put` writes at an offset.
    pub(super) fn segment_reencryptor<P>(
        &self,
        put: P,
    ) -> Result<impl FnMut(&Segment) -> Result<usize, Error> + use<'a, P>, Error>
    where
        P: Fn(u64, &[u8]) -> Result<(), Error> + Copy + 'a,
    {
        let Self { source, file, old, chunks, new_start, new, output_path } = *self;
        let start = old.start();
        let longest = old.layout.segment(0).map_or(0, |segment| segment.sealed_len());
        let Buffers { mut input, mut output } = Buffers::new(longest)?;
        let (path, output_path) = (source.path().to_owned(), output_path.to_owned());
        let context = ErrorContext { path, output_path, start };
        let mut cipher = Reencrypt {
            old: ParserCipher { operation: Operation::Decrypt, cipher: chunks, source, start },
            new,
            plaintext: Zeroizing::new(zeroed(PART_LEN)?),
        };
        Ok(move |segment: &Segment| {
            let reader = CiphertextReader { file, start, buffer: &mut input };
            let mut reader = WithErrorContext { reader, context: &context };
            let offset = Operation::Encrypt.output_offset(segment, new_start);
            let mut writer = WriteCoalescer::new(Operation::Encrypt, &mut output, offset, put);
            transform(segment, PART_LEN, &mut reader, &mut cipher, &mut writer)?;
            Ok(segment.sealed_len())
        })
    }
}

/// Decrypts a part with the old key and encrypts it with the new one.
struct Reencrypt<'a> {
    old: ParserCipher<'a>,
    new: &'a PayloadCipher,
    plaintext: Zeroizing<Vec<u8>>,
}

impl PartCipher<Error> for Reencrypt<'_> {
    fn apply(&mut self, part: &Segment, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let plaintext = &mut self.plaintext[..part.plaintext_len()];
        self.old.apply(part, input, plaintext)?;
        let sealed = self.new.seal(part, plaintext, output);
        sealed.map_err(|_| Error::Internal("a buffer of the wrong length"))
    }
}
