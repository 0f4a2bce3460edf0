//! Readers and writers of parts, for [`transform`](crate::transform).

use cryptstream_format::Segment;
use cryptstream_format::payload::TAG_LEN;

use crate::data_file::DataFile;
use crate::failure::{Failure, read_exact_at};
use crate::memory::{OutOfMemory, grow, zeroed};
use crate::transform::{Operation, PartReader, PartWriter};

/// Plaintext that is read and encrypted or decrypted in one go: 64 KiB. It and what
/// becomes of it stays in the processor's own cache: on a processor with
/// 1 MiB of it this took 0.9 of the time of parts of 256 KiB.
pub(crate) const PART_LEN: usize = 64 << 10;
/// The longest that a part can be with its tags: age's chunks are no shorter
/// than a part, native ones no shorter than 16 KiB.
pub(crate) const SEALED_PART_LEN: usize = PART_LEN + 4 * TAG_LEN;

/// Output is written in pieces that end at multiples of this, 256 KiB: the
/// page cache then takes few large folios for them. Pieces of 256 KiB that
/// begin anywhere took 1.3 times as long (ext4, Linux 6.18), pieces of 64 KiB
/// more; whole MiB take folios of that size, which are hard to come by.
const WRITE_ALIGN: usize = 256 << 10;

/// The buffers of a thread that works on segments, allocated once.
pub(crate) struct Buffers {
    /// One part.
    pub(crate) input: Vec<u8>,
    /// A piece to be written, and the part that reaches beyond it.
    pub(crate) output: Vec<u8>,
}

impl Buffers {
    /// For segments of up to `len` encrypted bytes.
    pub(crate) fn new(len: usize) -> Result<Self, OutOfMemory> {
        let output = zeroed((WRITE_ALIGN + SEALED_PART_LEN).min(len))?;
        Ok(Self { input: zeroed(SEALED_PART_LEN.min(len))?, output })
    }
}

/// The input of a segment, which is in memory.
pub(crate) struct SliceReader<'a> {
    pub(crate) operation: Operation,
    /// What was not read yet.
    pub(crate) bytes: &'a [u8],
}

impl<E> PartReader<E> for SliceReader<'_> {
    fn read(&mut self, part: &Segment) -> Result<&[u8], E> {
        let (input, rest) = self.bytes.split_at(self.operation.input_len(part));
        self.bytes = rest;
        Ok(input)
    }
}

/// Reads encrypted chunks at their offsets in a file.
pub(crate) struct CiphertextReader<'a> {
    pub(crate) file: &'a DataFile,
    /// Where the payload begins.
    pub(crate) start: u64,
    /// Long enough for a part.
    pub(crate) buffer: &'a mut [u8],
}

impl PartReader<Failure> for CiphertextReader<'_> {
    fn read(&mut self, part: &Segment) -> Result<&[u8], Failure> {
        let buffer = &mut self.buffer[..part.sealed_len()];
        read_exact_at(self.file, buffer, self.start + part.payload_offset())?;
        Ok(buffer)
    }
}

/// Collects output, and writes it in pieces that end at multiples of [`WRITE_ALIGN`].
pub(crate) struct WriteCoalescer<'a, P> {
    operation: Operation,
    buffer: &'a mut [u8],
    /// Bytes in the buffer.
    len: usize,
    /// Where they belong in the output.
    offset: u64,
    /// Writes a piece at an offset.
    put: P,
}

impl<'a, P> WriteCoalescer<'a, P> {
    /// For output from byte `offset` on. `buffer` is that of [`Buffers`].
    pub(crate) fn new(operation: Operation, buffer: &'a mut [u8], offset: u64, put: P) -> Self {
        Self { operation, buffer, len: 0, offset, put }
    }
}

impl<E, P: FnMut(u64, &[u8]) -> Result<(), E>> PartWriter<E> for WriteCoalescer<'_, P> {
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], E> {
        Ok(&mut self.buffer[self.len..self.len + self.operation.output_len(part)])
    }

    fn write(&mut self, part: &Segment) -> Result<(), E> {
        self.len += self.operation.output_len(part);
        let piece = WRITE_ALIGN - (self.offset % WRITE_ALIGN as u64) as usize;
        if self.len >= piece {
            (self.put)(self.offset, &self.buffer[..piece])?;
            self.buffer.copy_within(piece..self.len, 0);
            self.offset += piece as u64;
            self.len -= piece;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), E> {
        if self.len > 0 {
            (self.put)(self.offset, &self.buffer[..self.len])?;
            self.offset += self.len as u64;
            self.len = 0;
        }
        Ok(())
    }
}

/// Keeps the plaintext of a part that is the whole segment.
pub(crate) struct BufferWriter<'a>(pub(crate) &'a mut Vec<u8>);

impl<E: From<OutOfMemory>> PartWriter<E> for BufferWriter<'_> {
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], E> {
        grow(self.0, part.plaintext_len())?;
        self.0.truncate(part.plaintext_len());
        Ok(self.0)
    }

    fn write(&mut self, _part: &Segment) -> Result<(), E> {
        Ok(())
    }
}

// A part is smaller than a piece, so one `write` completes one piece at most.
const _: () = assert!(SEALED_PART_LEN < WRITE_ALIGN);
