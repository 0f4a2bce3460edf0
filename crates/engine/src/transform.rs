//! The one loop in which chunks are encrypted and decrypted.
//!
//! A segment goes through it in parts that stay in the processor's cache. Where the input
//! comes from, what happens to it and where the output goes are exchangeable. So main, the
//! workers, ranges, re-encryption and the check of an output all share these lines.

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{ChunkCipher, ChunkError, Format, Segment};

/// Whether plaintext becomes ciphertext or the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Encrypt,
    Decrypt,
}

impl Operation {
    /// Bytes of a full segment before the operation.
    pub(crate) fn full_len(self, format: Format) -> usize {
        match self {
            Self::Encrypt => SEGMENT_LEN,
            Self::Decrypt => format.sealed_segment_len(),
        }
    }
}

impl Operation {
    /// Bytes of a part before the operation.
    pub(crate) fn input_len(self, part: &Segment) -> usize {
        match self {
            Self::Encrypt => part.plaintext_len(),
            Self::Decrypt => part.sealed_len(),
        }
    }

    /// Bytes of a part after the operation.
    pub(crate) fn output_len(self, part: &Segment) -> usize {
        match self {
            Self::Encrypt => part.sealed_len(),
            Self::Decrypt => part.plaintext_len(),
        }
    }

    /// Where the output of a part lies in a file whose payload starts at byte `start`.
    pub(crate) fn output_offset(self, part: &Segment, start: u64) -> u64 {
        match self {
            Self::Encrypt => start + part.payload_offset(),
            Self::Decrypt => part.plaintext_offset(),
        }
    }
}

/// Where the input of a segment comes from.
pub(crate) trait PartReader<E> {
    /// The input of `part`. Parts are asked for in order.
    fn read(&mut self, part: &Segment) -> Result<&[u8], E>;
}

/// What happens to a part.
pub(crate) trait PartCipher<E> {
    /// Makes `output` of `input`.
    fn apply(&mut self, part: &Segment, input: &[u8], output: &mut [u8]) -> Result<(), E>;
}

/// Where the output of a segment goes.
pub(crate) trait PartWriter<E> {
    /// Free space for the output of `part`.
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], E>;
    /// Takes the output of `part`, which is in the free space now.
    fn write(&mut self, part: &Segment) -> Result<(), E>;
    /// Takes the end of the segment.
    fn finish(&mut self) -> Result<(), E> {
        Ok(())
    }
}

/// Runs a segment through the loop, in parts of `part_len` bytes of plaintext.
pub(crate) fn transform<E>(
    segment: &Segment,
    part_len: usize,
    reader: &mut impl PartReader<E>,
    cipher: &mut impl PartCipher<E>,
    writer: &mut impl PartWriter<E>,
) -> Result<(), E> {
    for part in segment.split(part_len) {
        let input = reader.read(&part)?;
        let output = writer.space(&part)?;
        // Here chunks are encrypted and decrypted.
        cipher.apply(&part, input, output)?;
        writer.write(&part)?;
    }
    writer.finish()
}

/// Encrypts or decrypts in this process.
pub(crate) struct DirectCipher<'a> {
    pub(crate) operation: Operation,
    pub(crate) cipher: &'a ChunkCipher,
}

impl<E: From<ChunkError>> PartCipher<E> for DirectCipher<'_> {
    fn apply(&mut self, part: &Segment, input: &[u8], output: &mut [u8]) -> Result<(), E> {
        match self.operation {
            Operation::Encrypt => Ok(self.cipher.seal(part, input, output)?),
            Operation::Decrypt => Ok(self.cipher.open(part, input, output)?),
        }
    }
}
