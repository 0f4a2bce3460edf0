//! Runs a payload in this process, without any worker.

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{Layout, Segment};

use crate::chacha20_poly1305;
use crate::error_context::ErrorContext;
use crate::job::{InputLocation, Job, Output};
use crate::memory::grow;
use crate::output::Sink;
use crate::parallel::run_on_threads;
use crate::parser_cipher::ParserCipher;
use crate::part_io::{Buffers, SliceReader};
use crate::payload::{Payload, Read, last_of, segment_read};
use crate::progress::check_cancelled;
use crate::transform::{Operation, PartWriter, transform};
use crate::{Error, Progress, Source};

/// Plaintext that is written to a stream in one go: 256 KiB.
const STREAM_PART_LEN: usize = 256 << 10;

/// How far a payload has come.
pub(crate) enum InProcess {
    /// All of it is through; its last segment.
    Complete(Segment),
    /// What comes before this segment is through.
    Paused(Payload, u64),
}

impl InProcess {
    pub(crate) fn complete(self) -> Result<Segment, Error> {
        match self {
            Self::Complete(last) => Ok(last),
            Self::Paused(..) => Err(Error::Internal("a payload was left in the middle")),
        }
    }
}

/// Encrypts or decrypts all segments on up to `threads` threads. Returns the last one.
pub(crate) fn run_to_end(
    payload: Payload,
    threads: usize,
    source: &mut Source,
    sink: &mut Sink,
    progress: &dyn Progress,
) -> Result<Segment, Error> {
    run_in_process(payload, 0, None, threads, source, sink, progress)?.complete()
}

/// Encrypts or decrypts from segment `first` on. Without a known length, only up to segment
/// `until`. Only between files are there several threads.
pub(crate) fn run_in_process(
    mut payload: Payload,
    first: u64,
    until: Option<u64>,
    threads: usize,
    source: &mut Source,
    sink: &mut Sink,
    progress: &dyn Progress,
) -> Result<InProcess, Error> {
    match payload.layout {
        // The parser process returns the plaintext, and this process writes it.
        Some(layout) if !sink.is_in_order() && !is_opened_elsewhere(&payload, source) => {
            payload.put_head(sink)?;
            let last = run_at_offsets(payload, layout, threads, source, sink, progress)?;
            Ok(InProcess::Complete(last))
        }
        _ => run_in_order(payload, first, until, source, sink, progress),
    }
}

/// Segment after segment.
fn run_in_order(
    mut payload: Payload,
    first: u64,
    until: Option<u64>,
    source: &mut Source,
    sink: &mut Sink,
    progress: &dyn Progress,
) -> Result<InProcess, Error> {
    let mut head = match until {
        Some(0) => Vec::new(),
        _ => std::mem::take(&mut payload.head),
    };
    let is_opened_elsewhere = is_opened_elsewhere(&payload, source);
    let Payload { operation, layout, start, cipher, .. } = &mut payload;
    let (format, operation) = (cipher.format(), *operation);
    let input_len = operation.full_len(format);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut index = first;
    loop {
        if layout.is_none() && until == Some(index) {
            return Ok(InProcess::Paused(payload, index));
        }
        if !is_opened_elsewhere {
            // As much has come of a stream that as much again is likely.
            let so_far = index * SEGMENT_LEN as u64;
            chacha20_poly1305::choose(cipher, layout.map_or(so_far, |all| all.plaintext_len()));
        }
        let len = source.fill_up(&mut input, input_len)?;
        let is_end = match len == input_len && format.final_chunk_may_be_full() {
            true => source.is_over(true)?.unwrap_or_default(),
            false => len < input_len,
        };
        let read = Read { format, operation, len, is_end };
        let segment = segment_read(read, *layout, index, source)?;
        let mut reader = SliceReader { operation, bytes: &input[..len] };
        let mut cipher = ParserCipher { operation, cipher, source, start: *start };
        let (start, buffer, head) = (*start, &mut output, &mut head);
        let mut writer = SinkWriter { operation, sink, start, buffer, head };
        transform(&segment, STREAM_PART_LEN, &mut reader, &mut cipher, &mut writer)?;
        progress.advance(len as u64);
        check_cancelled(progress)?;
        if segment.is_last() {
            return Ok(InProcess::Complete(segment));
        }
        index += 1;
    }
}

/// Writes each part to a sink.
struct SinkWriter<'a> {
    operation: Operation,
    sink: &'a mut Sink,
    /// Where the payload begins in the encrypted file.
    start: u64,
    buffer: &'a mut Vec<u8>,
    /// What comes before the first part and is written with it.
    head: &'a mut Vec<u8>,
}

impl PartWriter<Error> for SinkWriter<'_> {
    fn space(&mut self, part: &Segment) -> Result<&mut [u8], Error> {
        let (before, len) = (self.head.len(), self.operation.output_len(part));
        grow(self.buffer, before + len)?;
        Ok(&mut self.buffer[before..before + len])
    }

    fn write(&mut self, part: &Segment) -> Result<(), Error> {
        let offset = self.operation.output_offset(part, self.start);
        let (before, len) = (self.head.len(), self.operation.output_len(part));
        self.buffer[..before].copy_from_slice(self.head);
        self.head.clear();
        self.sink.put(offset - before as u64, &self.buffer[..before + len])
    }
}

/// Whether another process opens the chunks.
fn is_opened_elsewhere(payload: &Payload, source: &Source) -> bool {
    payload.operation == Operation::Decrypt && source.parser().is_confined()
}

/// From file to file.
fn run_at_offsets(
    payload: Payload,
    layout: Layout,
    threads: usize,
    source: &Source,
    sink: &Sink,
    progress: &dyn Progress,
) -> Result<Segment, Error> {
    let Payload { operation, start, mut cipher, .. } = payload;
    chacha20_poly1305::choose(&mut cipher, layout.plaintext_len());
    let job = Job {
        operation,
        layout: Some(layout),
        payload_start: start,
        cipher,
        input: Some(source.file().duplicate(source.path())?),
        output: match sink {
            Sink::File(pending) => Output::File(pending.file().duplicate(pending.path())?),
            Sink::Object(object) => Output::File(object.file()?),
            _ => Output::Nowhere,
        },
    };
    let object = source.as_object();
    let longest = layout.segment(0).map_or(0, |first| first.sealed_len());
    run_on_threads(&layout, threads, progress, || {
        let mut buffers = Buffers::new(longest)?;
        let (job, object) = (&job, &object);
        Ok(move |segment: &Segment| {
            let (input, output) = (job.input_of(segment), job.output_of(segment));
            if let Some(object) = object {
                object.fetch(input.0, input.1, true)?;
            }
            sink.reserve(output.0, output.1, true)?;
            job.run(segment, InputLocation::File, None, &mut buffers).map_err(|failure| {
                let (path, output_path) = (source.path().to_owned(), sink.path().to_owned());
                ErrorContext { path, output_path, start }.error(segment, failure)
            })?;
            if let Some(object) = object {
                object.release(input.0, input.1);
            }
            sink.written(output.0, output.1)?;
            Ok(input.1)
        })
    })?;
    last_of(&layout)
}
