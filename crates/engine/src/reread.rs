//! The output read again before it gets its name, and before its source goes.
//!
//! Workers write their segments themselves, so that they are done says nothing about
//! what is in the file. Here this process encrypts the plaintext file again, with the
//! same key and under the same numbers, and compares the result with the encrypted file:
//! when encrypting, the input with the output, when decrypting, the output with the
//! input. It has written none of the workers' segments itself, and before it begins the
//! workers are gone. The result goes nowhere, so no nonce is used for two texts that
//! anyone sees.
//!
//! Encrypting again, rather than decrypting, parses nothing untrusted, and
//! asks no process that the file itself may have taken over.
//!
//! The system answers from its memory what has just been written. That the disk keeps
//! it is what `fsync` is for. An object is fetched from its store, when it is complete.

use std::path::PathBuf;

use cryptstream_format::{ChunkCipher, ChunkError, Header, Layout, Segment};
use zeroize::Zeroizing;

use crate::header::read_header;
use crate::memory::zeroed;
use crate::part_io::{PART_LEN, SEALED_PART_LEN, SliceReader};
use crate::transform::{DirectCipher, Operation, PartWriter, transform};
use crate::workers::Beginning;
use crate::{Error, Source};

/// Why two files do not belong together.
enum Mismatch {
    /// They differ from this byte of the plaintext on.
    From(u64),
    /// A file cannot be read.
    Error(Error),
}

impl From<Error> for Mismatch {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<ChunkError> for Mismatch {
    fn from(_: ChunkError) -> Self {
        Self::Error(Error::Internal("a buffer of the wrong length"))
    }
}

impl Mismatch {
    /// The error about the output `path`.
    fn error(self, path: PathBuf) -> Error {
        match self {
            Self::From(offset) => Error::OutputDiffers { path, offset },
            Self::Error(error) => error,
        }
    }
}

/// Checks an encrypted output against its source.
pub(crate) fn check_encrypted(
    output: &mut Source,
    source: &Source,
    header: &[u8],
    prefix: &[u8],
    cipher: &ChunkCipher,
    last: &Segment,
) -> Result<(), Error> {
    let path = output.path().to_owned();
    let differs = || Error::OutputDiffers { path: path.clone(), offset: 0 };
    let expected = match output.parser().begin(&path, header, false)? {
        Beginning::Header(offsets) => Header::new(header.to_vec(), &offsets),
        _ => None,
    };
    match read_header(output) {
        Ok(written) if Some(&written) == expected.as_ref() => {}
        Err(error @ Error::Read { .. }) => return Err(error),
        _ => return Err(differs()),
    }
    let mut written = vec![0; prefix.len()];
    if output.fill(&mut written)? < prefix.len() || written != prefix {
        return Err(differs());
    }
    compare(output, &mut source.again()?, cipher, last).map_err(|mismatch| mismatch.error(path))
}

/// Checks a decrypted output against its source, whose payload `cipher` opens.
pub(crate) fn check_decrypted(
    output: &mut Source,
    source: &Source,
    cipher: &ChunkCipher,
    start: u64,
    last: &Segment,
) -> Result<(), Error> {
    let mut sealed = source.again()?;
    let prefix_len = cipher.format().prefix_len();
    if !sealed.go_to(start + prefix_len as u64) || source.is_armored() {
        // Nothing stands at its place in an armor.
        sealed = source.again()?;
        read_header(&mut sealed)?;
        sealed.fill(&mut vec![0; prefix_len])?;
    }
    let path = output.path().to_owned();
    compare(&mut sealed, output, cipher, last).map_err(|mismatch| mismatch.error(path))
}

/// Compares all chunks, from where `sealed` stands, with what all of `plain` becomes.
fn compare(
    sealed: &mut Source,
    plain: &mut Source,
    cipher: &ChunkCipher,
    last: &Segment,
) -> Result<(), Mismatch> {
    let len = last.plaintext_offset() + last.plaintext_len() as u64;
    sealed.read_ahead();
    plain.read_ahead();
    let layout = Layout::of_plaintext(cipher.format(), len)
        .map_err(|_| Error::Internal("a payload of an impossible length"))?;
    let longest = layout.segment(0).map_or(0, |first| first.sealed_len());
    let mut sealed_bytes = zeroed(longest).map_err(Error::from)?;
    let mut plain_bytes = Zeroizing::new(zeroed(longest).map_err(Error::from)?);
    let mut again = zeroed(SEALED_PART_LEN).map_err(Error::from)?;
    for segment in layout.segments() {
        let at = segment.plaintext_offset();
        let sealed_bytes = &mut sealed_bytes[..segment.sealed_len()];
        if sealed.fill(sealed_bytes)? < sealed_bytes.len() {
            return Err(Mismatch::From(at));
        }
        let plain_bytes = &mut plain_bytes[..segment.plaintext_len()];
        if plain.fill(plain_bytes)? < plain_bytes.len() {
            return Err(Mismatch::From(at));
        }
        let mut reader = SliceReader { operation: Operation::Encrypt, bytes: plain_bytes };
        let mut cipher = DirectCipher { operation: Operation::Encrypt, cipher };
        let mut writer = Comparison { expected: sealed_bytes, buffer: &mut again };
        transform(&segment, PART_LEN, &mut reader, &mut cipher, &mut writer)?;
    }
    let mut more = [0];
    if sealed.fill(&mut more)? > 0 || plain.fill(&mut more)? > 0 {
        return Err(Mismatch::From(len));
    }
    Ok(())
}

/// Compares what is encrypted with what should come out.
struct Comparison<'a> {
    /// What was not compared yet.
    expected: &'a [u8],
    buffer: &'a mut [u8],
}

impl PartWriter<Mismatch> for Comparison<'_> {
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], Mismatch> {
        Ok(&mut self.buffer[..part.sealed_len()])
    }

    fn write(&mut self, part: &Segment) -> Result<(), Mismatch> {
        let (expected, rest) = self.expected.split_at(part.sealed_len());
        self.expected = rest;
        match self.buffer[..part.sealed_len()] == *expected {
            true => Ok(()),
            false => Err(Mismatch::From(part.plaintext_offset())),
        }
    }
}
