//! What main and its workers say to each other: one message each way over the
//! control socket, and then segments and results through the queue.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use cryptstream_format::{ChunkCipher, Layout};
use cryptstream_shm::queue::{Task, TaskResult};
use cryptstream_shm::{Message, Shape};
use zeroize::Zeroizing;

use super::sandbox::{SandboxLevel, SandboxMode};
use crate::work::{Failure, Operation, Work};

/// Both sides are the same program; this tells when they are not, such as
/// after an upgrade while main runs.
const VERSION: &[u8; 24] = b"cryptstream worker 0.1.0";

/// Everything that a worker needs to know.
pub(super) struct Start {
    /// The process that must still be the worker's parent.
    pub(super) parent: u32,
    /// The worker's number in the queue, from 1.
    pub(super) worker: u16,
    pub(super) shape: Shape,
    pub(super) sandbox: SandboxMode,
    pub(super) work: Work,
    pub(super) region: OwnedFd,
}

/// [`Start`] as bytes: version, then numbers in little endian, then the
/// payload's secret. The descriptors of region, input and output go with it.
pub(super) fn encode_start(
    parent: u32,
    worker: u16,
    shape: Shape,
    sandbox: SandboxMode,
    work: &Work,
) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    bytes.extend_from_slice(VERSION);
    bytes.extend_from_slice(&parent.to_le_bytes());
    bytes.extend_from_slice(&worker.to_le_bytes());
    bytes.extend_from_slice(&(shape.capacity() as u32).to_le_bytes());
    bytes.push(sandbox as u8);
    bytes.push(u8::from(work.operation == Operation::Open));
    bytes.extend_from_slice(&work.payload_start.to_le_bytes());
    bytes.extend_from_slice(&work.layout.plaintext_len().to_le_bytes());
    bytes.extend_from_slice(work.cipher.expose_secret());
    bytes
}

pub(super) fn decode_start(message: Message) -> io::Result<Start> {
    let Message { bytes, fds } = message;
    let bytes = Zeroizing::new(bytes);
    let mut rest = Fields(&bytes);
    let start = (|| {
        if rest.take::<24>()? != *VERSION {
            return None;
        }
        let [region, input, output] = <[OwnedFd; 3]>::try_from(fds).ok()?;
        Some(Start {
            parent: u32::from_le_bytes(rest.take()?),
            worker: u16::from_le_bytes(rest.take()?),
            shape: Shape::new(u32::from_le_bytes(rest.take()?) as usize).ok()?,
            sandbox: SandboxMode::from_byte(rest.take::<1>()?[0])?,
            work: Work {
                operation: match rest.take()? {
                    [0] => Operation::Seal,
                    [1] => Operation::Open,
                    _ => return None,
                },
                payload_start: u64::from_le_bytes(rest.take()?),
                layout: Layout::of_plaintext(u64::from_le_bytes(rest.take()?)).ok()?,
                cipher: ChunkCipher::from_secret(Zeroizing::new(rest.take()?)),
                input: File::from(input),
                output: File::from(output),
            },
            region,
        })
    })();
    start.filter(|_| rest.0.is_empty()).ok_or_else(malformed)
}

/// The worker's answer, when it is locked in and about to take a segment.
pub(super) fn encode_ready(level: SandboxLevel) -> Vec<u8> {
    [VERSION.as_slice(), &[level as u8]].concat()
}

pub(super) fn decode_ready(message: &Message) -> io::Result<SandboxLevel> {
    let level = message.bytes.strip_prefix(VERSION.as_slice()).filter(|rest| rest.len() == 1);
    level.and_then(|rest| SandboxLevel::from_byte(rest[0])).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other side is of another version")
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

/// A segment as a task: its number.
pub(super) fn task_of(segment: u64) -> Task {
    let mut task = Task::default();
    task[0] = segment;
    task
}

/// How a segment ended, in the words of a result: a code, an error number, an
/// offset or a chunk.
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

pub(super) fn decode_result(words: &TaskResult) -> Result<(), Failure> {
    let [code, errno, place, _] = *words;
    let errno = i32::try_from(errno).unwrap_or_default();
    match code {
        0 => Ok(()),
        1 => Err(Failure::Short),
        2 => Err(Failure::Read { errno, offset: place }),
        3 => Err(Failure::Write { errno, offset: place }),
        4 => Err(Failure::Damaged { chunk: place }),
        _ => Err(Failure::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_their_words() {
        for result in [
            Ok(()),
            Err(Failure::Short),
            Err(Failure::Read { errno: 5, offset: 1 << 50 }),
            Err(Failure::Write { errno: 28, offset: 7 }),
            Err(Failure::Damaged { chunk: 1 << 37 }),
            Err(Failure::Internal),
        ] {
            assert_eq!(decode_result(&encode_result(result)), result);
        }
        assert_eq!(decode_result(&[99, 0, 0, 0]), Err(Failure::Internal));
    }
}
