//! One payload, and how one segment of it is encrypted or decrypted, by main or by a
//! worker.

use cryptstream_format::payload::MAX_SEALED_SEGMENT_LEN;
use cryptstream_format::{ChunkCipher, Layout, Segment};
use cryptstream_shm::{PrivateBuffer, Region};

use crate::chacha20_poly1305::pays;
use crate::data_file::DataFile;
use crate::failure::{Failure, errno, read_exact_at};
use crate::fault_points::{Point, at};
use crate::part_io::{Buffers, PART_LEN, WriteCoalescer};
use crate::transform::{DirectCipher, Operation, PartReader, transform};

/// One payload.
pub(crate) struct Job {
    pub(crate) operation: Operation,
    /// Where the payload's length is known before it is worked on.
    pub(crate) layout: Option<Layout>,
    /// Byte of the encrypted file, be it input or output, at which the payload
    /// begins.
    pub(crate) payload_start: u64,
    pub(crate) cipher: ChunkCipher,
    /// What segments are read from, at their offsets; `None` when main reads
    /// them, into the buffers of the slots.
    pub(crate) input: Option<DataFile>,
    pub(crate) output: Output,
}

/// Where the results of a job go.
pub(crate) enum Output {
    /// To a file, at their offsets.
    File(DataFile),
    /// Into the buffers of the slots, from where main takes them.
    Slot,
    /// Nowhere: the job is to find out whether everything opens.
    Nowhere,
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
    /// Bytes of each of the two: an encrypted segment.
    pub(crate) const LEN: usize = MAX_SEALED_SEGMENT_LEN;
}

impl Job {
    /// Whether OpenSSL is to compute its cipher.
    pub(crate) fn pays_for_openssl(&self) -> bool {
        let layout = self.layout.as_ref();
        layout.is_some_and(|layout| pays(layout.format(), layout.plaintext_len()))
    }

    /// Where a segment's input lies in the input file, and how long it is.
    pub(crate) fn input_of(&self, segment: &Segment) -> (u64, usize) {
        match self.operation {
            Operation::Encrypt => (segment.plaintext_offset(), segment.plaintext_len()),
            Operation::Decrypt => {
                (self.payload_start + segment.payload_offset(), segment.sealed_len())
            }
        }
    }

    /// The same of a segment's output in the output file.
    pub(crate) fn output_of(&self, segment: &Segment) -> (u64, usize) {
        let operation = self.operation;
        (operation.output_offset(segment, self.payload_start), operation.output_len(segment))
    }

    /// Encrypts or decrypts a segment. `slot` is for jobs whose input or output are slots.
    pub(crate) fn run(
        &self,
        segment: &Segment,
        location: InputLocation<'_>,
        slot: Option<SlotBuffers<'_>>,
        buffers: &mut Buffers,
    ) -> Result<(), Failure> {
        let start = self.output_of(segment).0;
        let put = |offset: u64, bytes: &[u8]| match (&self.output, slot) {
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
        let begin = self.input_of(segment).0;
        let mut reader =
            InputReader { job: self, begin, location, slot, buffer: &mut buffers.input };
        let mut cipher = DirectCipher { operation: self.operation, cipher: &self.cipher };
        let mut writer = WriteCoalescer::new(self.operation, &mut buffers.output, start, put);
        transform(segment, PART_LEN, &mut reader, &mut cipher, &mut writer)
    }
}

/// Reads the input of a segment from where it is.
struct InputReader<'a> {
    job: &'a Job,
    /// Where the segment begins in the input.
    begin: u64,
    location: InputLocation<'a>,
    slot: Option<SlotBuffers<'a>>,
    buffer: &'a mut [u8],
}

impl PartReader<Failure> for InputReader<'_> {
    fn read(&mut self, part: &Segment) -> Result<&[u8], Failure> {
        let (offset, len) = self.job.input_of(part);
        let begin = (offset - self.begin) as usize;
        match (&mut self.location, &self.job.input) {
            (InputLocation::Slot, _) => {
                let slot = self.slot.ok_or(Failure::Internal)?;
                let buffer = &mut self.buffer[..len];
                slot.region.copy_out(slot.input + begin, buffer);
                Ok(buffer)
            }
            (InputLocation::File, Some(file)) => {
                let buffer = &mut self.buffer[..len];
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
