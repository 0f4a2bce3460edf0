//! The messages between main and its workers. The control socket carries the start and its answer,
//! each job before its first segment, and the release of a job before its file gets its name.
//! Segments and results go through the queue.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cryptstream_format::{ChunkCipher, Format, Layout, Segment};
use cryptstream_shm::queue::{Task, TaskResult};
use cryptstream_shm::{Channel, Message, PostMortemReader, QueueLayout};
use zeroize::Zeroizing;

use super::sandbox::{SandboxLevel, SandboxMode};
use crate::chacha20_poly1305::use_loaded;
use crate::data_file::{Caching, DataFile};
use crate::failure::Failure;
use crate::job::{Job, Output};
use crate::transform::Operation;

/// Detects that the two sides are not the same program, for example after an upgrade while main
/// runs.
const VERSION: &[u8; 24] = b"cryptstream worker 0.1.0";

/// What a worker must know before it enters the sandbox. Encoded as the version and then the
/// numbers in little endian; the descriptor of the region is attached.
pub(super) struct Start {
    /// The process id that the worker's parent must still have.
    pub(super) parent: u32,
    /// The worker's number in the queue, from 1.
    pub(super) worker: u16,
    pub(super) queue: QueueLayout,
    pub(super) sandbox: SandboxMode,
    /// Whether it loads OpenSSL.
    pub(super) loads_openssl: bool,
}

impl Start {
    pub(super) fn send(&self, channel: &Channel, region: BorrowedFd<'_>) -> io::Result<()> {
        let mut bytes = VERSION.to_vec();
        bytes.extend_from_slice(&self.parent.to_le_bytes());
        bytes.extend_from_slice(&self.worker.to_le_bytes());
        bytes.extend_from_slice(&(self.queue.capacity() as u32).to_le_bytes());
        bytes.push(self.sandbox as u8);
        bytes.push(u8::from(self.loads_openssl));
        channel.send(&bytes, &[region])
    }

    pub(super) fn decode(message: Message) -> io::Result<(Self, OwnedFd)> {
        let mut rest = Fields(&message.bytes);
        let [region] = <[OwnedFd; 1]>::try_from(message.fds).map_err(|_| malformed())?;
        let start = (|| {
            (rest.take()? == *VERSION).then_some(())?;
            Some(Self {
                parent: u32::from_le_bytes(rest.take()?),
                worker: u16::from_le_bytes(rest.take()?),
                queue: QueueLayout::new(u32::from_le_bytes(rest.take()?) as usize).ok()?,
                sandbox: SandboxMode::from_byte(rest.take::<1>()?[0])?,
                loads_openssl: rest.take()? != [0],
            })
        })();
        rest.end(start).map(|start| (start, region))
    }
}

/// A message from a worker.
pub(super) enum Reply {
    /// It is sandboxed and about to take a segment. The reader of its private buffer is attached.
    Ready(SandboxLevel, PostMortemReader),
    /// It has dropped the key and the descriptors of this job.
    Released(u32),
}

/// The first byte of a reply.
const READY: u8 = 0;
const RELEASED: u8 = 1;

pub(super) fn send_ready(
    channel: &Channel,
    level: SandboxLevel,
    private: BorrowedFd<'_>,
) -> io::Result<()> {
    channel.send(&[&[READY], VERSION.as_slice(), &[level as u8]].concat(), &[private])
}

pub(super) fn send_released(channel: &Channel, number: u32) -> io::Result<()> {
    channel.send(&[&[RELEASED], number.to_le_bytes().as_slice()].concat(), &[])
}

impl Reply {
    pub(super) fn decode(message: Message) -> io::Result<Self> {
        let mut rest = Fields(&message.bytes);
        match rest.take() {
            Some([READY]) => {
                let level = (|| {
                    (rest.take()? == *VERSION).then_some(())?;
                    SandboxLevel::from_byte(rest.take::<1>()?[0])
                })();
                let level = rest.end(level)?;
                let [private] = <[OwnedFd; 1]>::try_from(message.fds).map_err(|_| malformed())?;
                Ok(Self::Ready(level, PostMortemReader::new(private)))
            }
            Some([RELEASED]) => {
                let number = rest.take().map(u32::from_le_bytes);
                rest.end(number).map(Self::Released)
            }
            _ => Err(malformed()),
        }
    }
}

/// A message from main after the start.
pub(super) enum Command {
    /// A job, whose segments will be published.
    Job(u32, Job),
    /// No segment of this job is left: drop it and confirm that.
    Release(u32),
}

/// The first byte of a command.
const JOB: u8 = 0;
const RELEASE: u8 = 1;

/// Sends a job to a worker: its number, then the job with the secret of its payload. The
/// descriptors of its input and output are attached, if it has them.
pub(super) fn send_job(channel: &Channel, number: u32, job: &Job) -> io::Result<()> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    bytes.push(JOB);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.push(u8::from(job.cipher.format() == Format::Age));
    bytes.push(u8::from(job.operation == Operation::Decrypt));
    bytes.push(u8::from(job.input.is_some()));
    bytes.push(match job.output {
        Output::File(_) => 0,
        Output::Slot => 1,
        Output::Nowhere => 2,
    });
    bytes.extend_from_slice(&job.payload_start.to_le_bytes());
    let len = job.layout.map_or(UNKNOWN, |layout| layout.plaintext_len());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(job.cipher.expose_secret());
    let mut fds = Vec::new();
    let output = match &job.output {
        Output::File(file) => Some(file),
        Output::Slot | Output::Nowhere => None,
    };
    for file in job.input.iter().chain(output) {
        let Caching { drop_from, is_written_through } = file.caching();
        bytes.extend_from_slice(&drop_from.to_le_bytes());
        bytes.push(u8::from(is_written_through));
        fds.push(file.as_fd());
    }
    channel.send(&bytes, &fds)
}

/// Tells a worker to drop a job.
pub(super) fn send_release(channel: &Channel, number: u32) -> io::Result<()> {
    channel.send(&[&[RELEASE], number.to_le_bytes().as_slice()].concat(), &[])
}

/// Stands for an unknown length of the plaintext.
const UNKNOWN: u64 = u64::MAX;

impl Command {
    pub(super) fn decode(message: Message) -> io::Result<Self> {
        let Message { bytes, fds } = message;
        let bytes = Zeroizing::new(bytes);
        let mut rest = Fields(&bytes);
        match rest.take() {
            Some([JOB]) => {
                let job = take_job(&mut rest, fds);
                rest.end(job).map(|(number, job)| Self::Job(number, job))
            }
            Some([RELEASE]) => {
                let number = rest.take().map(u32::from_le_bytes);
                rest.end(number).map(Self::Release)
            }
            _ => Err(malformed()),
        }
    }
}

fn take_job(rest: &mut Fields<'_>, fds: Vec<OwnedFd>) -> Option<(u32, Job)> {
    let number = u32::from_le_bytes(rest.take()?);
    let format = match rest.take()? {
        [0] => Format::Native,
        [1] => Format::Age,
        _ => return None,
    };
    let operation = match rest.take()? {
        [0] => Operation::Encrypt,
        [1] => Operation::Decrypt,
        _ => return None,
    };
    let [has_input, output] = rest.take()?;
    let payload_start = u64::from_le_bytes(rest.take()?);
    let layout = match u64::from_le_bytes(rest.take()?) {
        UNKNOWN => None,
        len => Some(Layout::of_plaintext(format, len).ok()?),
    };
    let mut cipher = ChunkCipher::from_secret(format, Zeroizing::new(rest.take()?));
    use_loaded(&mut cipher);
    let mut files = fds.into_iter().map(|fd| {
        let drop_from = u64::from_le_bytes(rest.take()?);
        let is_written_through = rest.take()? != [0];
        Some(DataFile::new(fd.into(), Caching { drop_from, is_written_through }))
    });
    let input = match has_input {
        0 => None,
        _ => Some(files.next()??),
    };
    let output = match output {
        0 => Output::File(files.next()??),
        1 => Output::Slot,
        _ => Output::Nowhere,
    };
    Some((number, Job { operation, layout, payload_start, cipher, input, output }))
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other side is of another version")
}

/// The rest of a message.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    /// Returns the value that was read if nothing is left.
    fn end<T>(&self, read: Option<T>) -> io::Result<T> {
        read.filter(|_| self.0.is_empty()).ok_or_else(malformed)
    }
}

/// Encodes a segment as a task: the numbers of the job and the segment and, for jobs without a
/// layout, the length of its plaintext and whether it is the last.
pub(super) fn task_of(job: u32, segment: &Segment) -> Task {
    let mut task = Task::default();
    let (len, is_last) = (segment.plaintext_len() as u64, u64::from(segment.is_last()));
    task[..4].copy_from_slice(&[u64::from(job), segment.index(), len, is_last]);
    task
}

/// The number of a task's job.
pub(super) fn job_of(task: &Task) -> u32 {
    u32::try_from(task[0]).unwrap_or(u32::MAX)
}

/// The segment of a task. If the job has a layout, only that describes the segment, since every
/// worker can write to the task.
pub(super) fn segment_of(task: &Task, job: &Job) -> Option<Segment> {
    let [_, index, len, is_last, ..] = *task;
    match (&job.layout, is_last) {
        (Some(layout), _) => layout.segment(index),
        (None, 0) => Some(Segment::inner(job.cipher.format(), index)),
        (None, _) => Segment::last(job.cipher.format(), index, usize::try_from(len).ok()?),
    }
}

/// Encodes how a segment ended: a code, an error number, and an offset or a chunk.
pub(super) fn encode_result(result: Result<(), Failure>) -> TaskResult {
    match result {
        Ok(()) => [0, 0, 0, 0],
        Err(Failure::Short) => [1, 0, 0, 0],
        Err(Failure::Read { errno, offset }) => [2, u64::from(errno.unsigned_abs()), offset, 0],
        Err(Failure::Write { errno, offset }) => [3, u64::from(errno.unsigned_abs()), offset, 0],
        Err(Failure::Damaged { chunk }) => [4, 0, chunk, 0],
        Err(Failure::Internal) => [5, 0, 0, 0],
    }
}

/// Decodes the result of a segment of `job`; `None` if this segment cannot have it.
pub(super) fn decode_result(
    words: &TaskResult,
    job: &Job,
    segment: &Segment,
) -> Option<Result<(), Failure>> {
    let [code, errno, place, _] = *words;
    let errno = i32::try_from(errno).ok().filter(|errno| *errno <= MAX_ERRNO);
    let is_within = |(start, len): (u64, usize)| (start..start + len as u64).contains(&place);
    let chunks = segment.first_chunk()..segment.first_chunk() + segment.chunks() as u64;
    let (is_read, is_written) = (job.input.is_some(), matches!(job.output, Output::File(_)));
    match code {
        0 => Some(Ok(())),
        1 if is_read => Some(Err(Failure::Short)),
        2 if is_read && is_within(job.input_of(segment)) => {
            errno.map(|errno| Err(Failure::Read { errno, offset: place }))
        }
        3 if is_written && is_within(job.output_of(segment)) => {
            errno.map(|errno| Err(Failure::Write { errno, offset: place }))
        }
        4 if job.operation == Operation::Decrypt && chunks.contains(&place) => {
            Some(Err(Failure::Damaged { chunk: place }))
        }
        _ => None,
    }
}

/// The largest error number that Linux gives.
const MAX_ERRNO: i32 = 4095;

#[cfg(test)]
mod tests {
    use cryptstream_format::{FileKey, PayloadCipher};

    use super::*;

    const LEN: u64 = (3 << 20) + 5;

    fn job(operation: Operation) -> Job {
        let cipher = PayloadCipher::generate(Format::Native, &FileKey::generate().unwrap());
        let file = || std::fs::File::open("/dev/null").unwrap().into();
        Job {
            operation,
            layout: Layout::of_plaintext(Format::Native, LEN).ok(),
            payload_start: 1000,
            cipher: cipher.unwrap().into_chunks(),
            input: Some(file()),
            output: Output::File(file()),
        }
    }

    fn decoded(job: &Job, result: Result<(), Failure>) -> Option<Result<(), Failure>> {
        let segment = job.layout.unwrap().segment(1).unwrap();
        decode_result(&encode_result(result), job, &segment)
    }

    #[test]
    fn results_survive_their_words() {
        let (seal, open) = (job(Operation::Encrypt), job(Operation::Decrypt));
        for result in [
            Ok(()),
            Err(Failure::Short),
            Err(Failure::Read { errno: 5, offset: (1 << 20) + 7 }),
            Err(Failure::Write { errno: 28, offset: (1 << 20) + 5000 }),
        ] {
            assert_eq!(decoded(&seal, result), Some(result));
        }
        let damaged = Err(Failure::Damaged { chunk: 65 });
        assert_eq!(decoded(&open, damaged), Some(damaged));
    }

    #[test]
    fn results_that_the_segment_cannot_have_are_refused() {
        let (seal, open) = (job(Operation::Encrypt), job(Operation::Decrypt));
        for (job, failure) in [
            (&seal, Failure::Damaged { chunk: 65 }),
            (&open, Failure::Damaged { chunk: 1 << 50 }),
            (&open, Failure::Damaged { chunk: 0 }),
            (&seal, Failure::Read { errno: 5, offset: 7 }),
            (&seal, Failure::Read { errno: 1 << 20, offset: 1 << 20 }),
            (&seal, Failure::Write { errno: 5, offset: u64::MAX }),
            (&seal, Failure::Internal),
        ] {
            assert_eq!(decoded(job, Err(failure)), None, "{failure:?}");
        }
        let segment = seal.layout.unwrap().segment(1).unwrap();
        assert_eq!(decode_result(&[99, 0, 0, 0], &seal, &segment), None);
    }
}
