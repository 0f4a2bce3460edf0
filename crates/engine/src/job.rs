//! One payload, and how one segment of it is encrypted or decrypted, by main or by a
//! worker.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use cryptstream_format::payload::{MAX_SEALED_SEGMENT_LEN, SEGMENT_LEN, TAG_LEN};
use cryptstream_format::{ChunkCipher, ChunkError, Format, Layout, Segment};
use cryptstream_shm::{PrivateBuffer, Region};

use crate::fault_points::{Point, at};
use crate::memory::{OutOfMemory, zeroed};

/// Plaintext that is read and sealed or opened in one go: 64 KiB. It and what
/// becomes of it stays in the processor's own cache: on a processor with
/// 1 MiB of it this took 0.9 of the time of parts of 256 KiB.
const PART_LEN: usize = 64 << 10;
/// The longest that a part can be with its tags: age's chunks are no shorter
/// than a part, native ones no shorter than 16 KiB.
const SEALED_PART_LEN: usize = PART_LEN + 4 * TAG_LEN;

/// Output is written in pieces that end at multiples of this, 256 KiB: the
/// page cache then takes few large folios for them. Pieces of 256 KiB that
/// begin anywhere took 1.3 times as long (ext4, Linux 6.18), pieces of 64 KiB
/// more; whole MiB take folios of that size, which are hard to come by.
const WRITE_ALIGN: usize = 256 << 10;

/// Whether plaintext becomes ciphertext or the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Seal,
    Open,
}

impl Operation {
    /// Bytes of a full segment before the operation.
    pub(crate) fn full_len(self, format: Format) -> usize {
        match self {
            Self::Seal => SEGMENT_LEN,
            Self::Open => format.sealed_segment_len(),
        }
    }
}

/// One payload.
pub(crate) struct Job {
    pub(crate) operation: Operation,
    /// Where the payload's length is known before it is worked on.
    pub(crate) layout: Option<Layout>,
    /// Byte of the sealed file, be it input or output, at which the payload
    /// begins.
    pub(crate) payload_start: u64,
    pub(crate) cipher: ChunkCipher,
    /// What segments are read from, at their offsets; `None` when main reads
    /// them, into the buffers of the slots.
    pub(crate) input: Option<File>,
    pub(crate) output: Output,
}

/// Where the results of a job go.
pub(crate) enum Output {
    /// To a file, at their offsets.
    File(File),
    /// Into the buffers of the slots, from where main takes them.
    Slot,
    /// Nowhere: the job is to find out whether everything opens.
    Nowhere,
}

/// Why a segment could not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The input ends within the segment, which it did not when it was opened.
    Short,
    /// Reading failed: `errno` at byte `offset` of the input.
    Read { errno: i32, offset: u64 },
    /// Writing failed: `errno` at byte `offset` of the output.
    Write { errno: i32, offset: u64 },
    /// A chunk does not verify.
    Damaged { chunk: u64 },
    /// A bug, or a worker that lies.
    Internal,
}

/// Where a segment's input is.
pub(crate) enum InputLocation<'a> {
    /// In the job's file, to be read and forgotten.
    File,
    /// In the job's file, to be read into the private buffer, which marks how many bytes
    /// are loaded before any of them is encrypted.
    Private(&'a mut PrivateBuffer),
    /// In the slot's buffer.
    Slot,
}

/// The two buffers of a slot, in the region from these offsets on.
#[derive(Clone, Copy)]
pub(crate) struct SlotBuffers<'a> {
    pub(crate) region: &'a Region,
    pub(crate) input: usize,
    pub(crate) output: usize,
}

impl SlotBuffers<'_> {
    /// Bytes of each of the two: a segment, sealed.
    pub(crate) const LEN: usize = MAX_SEALED_SEGMENT_LEN;
}

/// What a process needs to work, allocated once.
pub(crate) struct Buffers {
    /// One part.
    input: Vec<u8>,
    /// A piece to be written, and the part that reaches beyond it.
    output: Vec<u8>,
}

impl Buffers {
    /// For segments of up to `len` bytes, sealed.
    pub(crate) fn new(len: usize) -> Result<Self, OutOfMemory> {
        let output = zeroed((WRITE_ALIGN + SEALED_PART_LEN).min(len))?;
        Ok(Self { input: zeroed(SEALED_PART_LEN.min(len))?, output })
    }
}

impl Job {
    /// Where a segment's input lies in the input file, and how long it is.
    pub(crate) fn input_of(&self, segment: &Segment) -> (u64, usize) {
        match self.operation {
            Operation::Seal => (segment.plaintext_offset(), segment.plaintext_len()),
            Operation::Open => {
                (self.payload_start + segment.payload_offset(), segment.sealed_len())
            }
        }
    }

    /// The same of a segment's output in the output file.
    pub(crate) fn output_of(&self, segment: &Segment) -> (u64, usize) {
        match self.operation {
            Operation::Seal => {
                (self.payload_start + segment.payload_offset(), segment.sealed_len())
            }
            Operation::Open => (segment.plaintext_offset(), segment.plaintext_len()),
        }
    }

    /// Does a segment. `slot` is for jobs whose input or output are slots.
    pub(crate) fn run(
        &self,
        segment: &Segment,
        mut location: InputLocation<'_>,
        slot: Option<SlotBuffers<'_>>,
        buffers: &mut Buffers,
    ) -> Result<(), Failure> {
        let Buffers { input, output } = buffers;
        let (start, len) = self.output_of(segment);
        let mut coalescer = WriteCoalescer { buffer: output, len: 0, offset: start };
        let mut put = |offset: u64, bytes: &[u8]| match (&self.output, slot) {
            (Output::File(file), _) => {
                file.write_all_at(bytes, offset)
                    .map_err(|error| Failure::Write { errno: errno(&error), offset })?;
                at(Point::Writing);
                Ok(())
            }
            (Output::Slot, Some(slot)) => {
                slot.region.copy_in(slot.output + (offset - start) as usize, bytes);
                Ok(())
            }
            (Output::Slot, None) => Err(Failure::Internal),
            (Output::Nowhere, _) => Ok(()),
        };
        for part in segment.split(PART_LEN) {
            let from = self.fetch(segment, &part, &mut location, slot, input)?;
            let to = coalescer.spare(self.output_of(&part).1);
            let done = match self.operation {
                Operation::Seal => self.cipher.seal(&part, from, to),
                Operation::Open => self.cipher.open(&part, from, to),
            };
            done.map_err(|error| match error {
                ChunkError::Damaged { chunk, .. } => Failure::Damaged { chunk },
                ChunkError::BufferLength { .. } => Failure::Internal,
            })?;
            coalescer.take(self.output_of(&part).1, &mut put)?;
        }
        coalescer.finish(&mut put)?;
        debug_assert_eq!(coalescer.offset, start + len as u64);
        Ok(())
    }

    /// The input of a part of `segment`.
    fn fetch<'b>(
        &self,
        segment: &Segment,
        part: &Segment,
        location: &'b mut InputLocation<'_>,
        slot: Option<SlotBuffers<'_>>,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Failure> {
        let (offset, len) = self.input_of(part);
        let begin = (offset - self.input_of(segment).0) as usize;
        match (location, &self.input) {
            (InputLocation::Slot, _) => {
                let slot = slot.ok_or(Failure::Internal)?;
                let buffer = &mut buffer[..len];
                slot.region.copy_out(slot.input + begin, buffer);
                Ok(buffer)
            }
            (InputLocation::File, Some(file)) => {
                let buffer = &mut buffer[..len];
                read_exact_at(file, buffer, offset)?;
                Ok(buffer)
            }
            (InputLocation::Private(private), Some(file)) => {
                read_exact_at(file, &mut private.bytes_mut()[begin..begin + len], offset)?;
                private.mark_progress((begin + len) as u64);
                at(Point::Loaded);
                Ok(&private.bytes()[begin..begin + len])
            }
            (InputLocation::File | InputLocation::Private(_), None) => Err(Failure::Internal),
        }
    }
}

/// Reads a piece of the input.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), Failure> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::Short,
        _ => Failure::Read { errno: errno(&error), offset },
    })
}

/// Collects output until a piece is complete that ends at a multiple of
/// [`WRITE_ALIGN`].
struct WriteCoalescer<'a> {
    buffer: &'a mut [u8],
    /// Bytes in the buffer.
    len: usize,
    /// Where they belong in the output.
    offset: u64,
}

impl WriteCoalescer<'_> {
    /// Free space for `len` bytes, at most a sealed part.
    fn spare(&mut self, len: usize) -> &mut [u8] {
        &mut self.buffer[self.len..self.len + len]
    }

    /// Takes `more` bytes that were put into the free space.
    fn take(
        &mut self,
        more: usize,
        put: &mut impl FnMut(u64, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.len += more;
        let cut = WRITE_ALIGN - (self.offset % WRITE_ALIGN as u64) as usize;
        if self.len >= cut {
            put(self.offset, &self.buffer[..cut])?;
            self.buffer.copy_within(cut..self.len, 0);
            self.offset += cut as u64;
            self.len -= cut;
        }
        Ok(())
    }

    /// Writes what is left.
    fn finish(
        &mut self,
        put: &mut impl FnMut(u64, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.len > 0 {
            put(self.offset, &self.buffer[..self.len])?;
            self.offset += self.len as u64;
            self.len = 0;
        }
        Ok(())
    }
}

/// The system's number of an error; EIO for one that has none, such as a
/// write of nothing.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error())
}

// A part is smaller than a piece, so one `take` completes one piece at most.
const _: () = assert!(SEALED_PART_LEN < WRITE_ALIGN);
