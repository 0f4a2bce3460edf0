//! Parses untrusted input in this process or in a sandboxed one.
//!
//! With `--sandbox require` main only moves such bytes. It passes them to a
//! [parser process](super::parser_process), which has no descriptors but its socket and the
//! shared memory. The answer has a fixed form: a table of offsets, which main checks against the
//! bytes; decoded text; or a decrypted run of chunks.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptstream_format::armor::{self, Decoder};
use cryptstream_format::{
    ArmorError, ChunkCipher, ChunkError, HeaderError, HeaderOffsets, Segment,
};
use cryptstream_protection::Protection;
use cryptstream_shm::{Channel, Region};
use rustix::process::Signal;
use zeroize::Zeroizing;

use super::options::{EngineOptions, WORKER_ARGUMENT};
use super::parser_process::{Answer, INPUT_LEN, OUTPUT_LEN, Request, Start, level_of};
use super::sandbox::{SandboxLevel, SandboxMode};
use super::start::sandboxed;
use super::stop::is_shortage;
use crate::Error;
use crate::memory::zeroed;

/// An answer takes a fraction of a second. A process that takes longer than this is killed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a process that has closed its socket may take to end, and how often it is checked.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What parses untrusted input: this process by default, or sandboxed parser processes.
#[derive(Clone, Default)]
pub struct Parser(Option<Arc<ParserProcesses>>);

/// Sandboxed processes.
struct ParserProcesses {
    options: EngineOptions,
    /// Idle processes.
    idle: Mutex<Vec<Process>>,
}

/// The kind of data at the beginning of a file.
pub(crate) enum Beginning {
    /// More bytes are needed to tell.
    Incomplete,
    /// Armor.
    Armor,
    /// A header with its parts at these offsets.
    Header(HeaderOffsets),
    /// Neither.
    Wrong(HeaderError),
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_confined() { "Parser(confined)" } else { "Parser(here)" })
    }
}

impl Parser {
    /// With [`SandboxMode::Require`] a fully sandboxed process, which is started here;
    /// otherwise this process.
    ///
    /// # Errors
    /// [`Error::NoSandbox`] if the process cannot be sandboxed fully, [`Error::NoProcess`]
    /// and [`Error::NoWorkers`] if it cannot be started.
    pub fn new(options: &EngineOptions) -> Result<Self, Error> {
        if options.sandbox != SandboxMode::Require || !Protection::RequireMeansAll.is_on() {
            return Ok(Self::default());
        }
        let processes = ParserProcesses { options: options.clone(), idle: Mutex::default() };
        let first = processes.start()?;
        processes.put_back(first);
        Ok(Self(Some(Arc::new(processes))))
    }

    /// Whether another process parses.
    pub(crate) fn is_confined(&self) -> bool {
        self.0.is_some()
    }

    /// Recognizes `bytes`, the first of the file `path`. If armor was removed already, it is not
    /// recognized again.
    pub(crate) fn begin(
        &self,
        path: &Path,
        bytes: &[u8],
        may_be_armor: bool,
    ) -> Result<Beginning, Error> {
        let Some(processes) = &self.0 else {
            if may_be_armor && armor::is_armored(bytes) {
                return Ok(Beginning::Armor);
            }
            return Ok(match HeaderOffsets::parse(bytes) {
                Ok(None) => Beginning::Incomplete,
                Ok(Some(offsets)) => Beginning::Header(offsets),
                Err(error) => Beginning::Wrong(error),
            });
        };
        // No header is longer, and the parser process reports that.
        let bytes = &bytes[..bytes.len().min(INPUT_LEN)];
        processes.ask(path, |process| {
            process.region.copy_in(0, bytes);
            match process.ask(&Request::Begin { len: bytes.len(), may_be_armor })? {
                Answer::Incomplete => Ok(Beginning::Incomplete),
                Answer::Armor => Ok(Beginning::Armor),
                Answer::Bytes { len } => {
                    let offsets =
                        HeaderOffsets::decode(&process.output(len)?).ok_or_else(invalid_answer)?;
                    Ok(Beginning::Header(offsets))
                }
                Answer::Header(error) => Ok(Beginning::Wrong(error)),
                _ => Err(invalid_answer()),
            }
        })
    }

    /// Decrypts a run of chunks of the file `path`. Returns the number of the first chunk that is
    /// not authentic, if there is one.
    pub(crate) fn open(
        &self,
        path: &Path,
        cipher: &ChunkCipher,
        part: &Segment,
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<Option<u64>, Error> {
        let wrong_length = Error::Internal("a buffer of the wrong length");
        let Some(processes) = &self.0 else {
            return match cipher.open(part, sealed, plain) {
                Ok(()) => Ok(None),
                Err(ChunkError::Damaged { chunk, .. }) => Ok(Some(chunk)),
                Err(ChunkError::BufferLength { .. }) => Err(wrong_length),
            };
        };
        if sealed.len() != part.sealed_len() || plain.len() != part.plaintext_len() {
            return Err(wrong_length);
        }
        let chunks = part.first_chunk()..part.first_chunk() + part.chunks() as u64;
        let damaged = processes.ask(path, |process| {
            process.region.copy_in(0, sealed);
            match process.ask(&Request::Open { cipher, part: *part })? {
                Answer::Done => {
                    process.region.copy_out(INPUT_LEN, plain);
                    Ok(None)
                }
                Answer::Damaged(chunk) if chunks.contains(&chunk) => Ok(Some(chunk)),
                _ => Err(invalid_answer()),
            }
        })?;
        if damaged.is_some() {
            plain.fill(0);
        }
        Ok(damaged)
    }

    /// The length of the content of an armored text of `size` bytes, of which `head` and `tail` are
    /// the beginning and the end.
    pub(crate) fn armor_content_len(
        &self,
        path: &Path,
        size: u64,
        head: &[u8],
        tail: &[u8],
    ) -> Result<Option<u64>, Error> {
        let Some(processes) = &self.0 else { return Ok(armor::content_len(size, head, tail)) };
        processes.ask(path, |process| {
            process.region.copy_in(0, head);
            process.region.copy_in(head.len(), tail);
            let request = Request::ContentLen { size, head: head.len(), tail: tail.len() };
            match process.ask(&request)? {
                Answer::Length(len) => Ok(len),
                _ => Err(invalid_answer()),
            }
        })
    }

    /// A decoder for the armor of the file `path`.
    pub(crate) fn unarmor(&self, path: &Path) -> Result<Unarmor, Error> {
        let Some(processes) = &self.0 else { return Ok(Unarmor::Here(Decoder::new())) };
        let process =
            processes.ask_keeping(path, |process| match process.ask(&Request::ArmorBegin)? {
                Answer::Done => Ok(()),
                _ => Err(invalid_answer()),
            })?;
        let processes = Arc::clone(processes);
        Ok(Unarmor::There(BusyProcess { process: Some(process), processes }))
    }
}

/// Decodes armor piece by piece.
pub(crate) enum Unarmor {
    Here(Decoder),
    There(BusyProcess),
}

/// The process that decodes the armor of one file.
pub(crate) struct BusyProcess {
    process: Option<Process>,
    processes: Arc<ParserProcesses>,
}

impl Unarmor {
    /// Decodes the next bytes of the text of `path`, and appends the result.
    pub(crate) fn decode(
        &mut self,
        path: &Path,
        text: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<Result<(), ArmorError>, Error> {
        match self {
            Self::Here(decoder) => Ok(decoder.decode(text, bytes)),
            Self::There(busy) => busy.ask(path, |process| {
                process.region.copy_in(0, text);
                match process.ask(&Request::ArmorText { len: text.len() })? {
                    Answer::Bytes { len } => {
                        bytes.extend_from_slice(&process.output(len)?);
                        Ok(Ok(()))
                    }
                    Answer::ArmorError(error) => Ok(Err(error)),
                    _ => Err(invalid_answer()),
                }
            }),
        }
    }

    /// Finishes the text.
    pub(crate) fn finish(self, path: &Path) -> Result<Result<(), ArmorError>, Error> {
        match self {
            Self::Here(decoder) => Ok(decoder.finish()),
            Self::There(mut busy) => {
                busy.ask(path, |process| match process.ask(&Request::ArmorEnd)? {
                    Answer::Done => Ok(Ok(())),
                    Answer::ArmorError(error) => Ok(Err(error)),
                    _ => Err(invalid_answer()),
                })
            }
        }
    }
}

impl BusyProcess {
    fn ask<T>(
        &mut self,
        path: &Path,
        ask: impl FnOnce(&Process) -> io::Result<T>,
    ) -> Result<T, Error> {
        let died = || Error::ParserDied { path: path.to_owned() };
        let process = self.process.as_ref().ok_or_else(died)?;
        ask(process).map_err(|_| self.process.take().map_or_else(died, |it| it.lost(path)))
    }
}

impl Drop for BusyProcess {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.processes.put_back(process);
        }
    }
}

impl ParserProcesses {
    /// Sends a request to a process.
    fn ask<T>(&self, path: &Path, ask: impl FnMut(&Process) -> io::Result<T>) -> Result<T, Error> {
        let mut answer = None;
        let mut ask = ask;
        let process = self.ask_keeping(path, |process| {
            answer = Some(ask(process)?);
            Ok(())
        })?;
        self.put_back(process);
        answer.ok_or(Error::Internal("no answer was asked for"))
    }

    /// Does the same without putting the process back. An idle process may have died with the
    /// thread that had started it, so the request is repeated with a new one.
    fn ask_keeping(
        &self,
        path: &Path,
        mut ask: impl FnMut(&Process) -> io::Result<()>,
    ) -> Result<Process, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(process) = idle
            && ask(&process).is_ok()
        {
            return Ok(process);
        }
        let process = self.start()?;
        match ask(&process) {
            Ok(()) => Ok(process),
            Err(_) => Err(process.lost(path)),
        }
    }

    fn put_back(&self, process: Process) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
    }

    /// Starts a fully sandboxed process.
    fn start(&self) -> Result<Process, Error> {
        match Process::start(&self.options) {
            Ok((process, SandboxLevel::Full)) => Ok(process),
            Ok(_) => Err(Error::NoSandbox),
            // Without a number it was started, but has not reported that it is ready.
            Err(source) => Err(match source.raw_os_error() {
                None => Error::NoWorkers,
                Some(errno) if is_shortage(errno) => Error::NoProcess { source },
                Some(_) => Error::NoSandbox,
            }),
        }
    }
}

struct Process {
    child: Child,
    channel: Channel,
    region: Region,
}

impl Process {
    fn start(options: &EngineOptions) -> io::Result<(Self, SandboxLevel)> {
        let region = Region::create(INPUT_LEN + OUTPUT_LEN)?;
        let (mut channel, theirs) = Channel::pair()?;
        channel.set_timeout(Some(ANSWER_TIMEOUT))?;
        let program = options.program.as_ref().ok_or_else(no_program)?;
        let child = sandboxed(program.path(), WORKER_ARGUMENT, theirs).spawn()?;
        let process = Self { child, channel, region };
        let start = Start { parent: std::process::id(), sandbox: options.sandbox };
        // From here on the system is not to blame.
        let sent = process.channel.send(&start.encode(), &[process.region.as_fd()]);
        let ready = sent.and_then(|()| process.channel.receive()).map_err(io::Error::other)?;
        let ready = ready.ok_or(io::ErrorKind::UnexpectedEof)?;
        let level = level_of(&ready).ok_or_else(invalid_answer)?;
        Ok((process, level))
    }

    fn ask(&self, request: &Request<'_>) -> io::Result<Answer> {
        let bytes = Zeroizing::new(request.encode());
        self.channel.send(&bytes, &[])?;
        let answer = self.channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Answer::decode(&answer.bytes).ok_or_else(invalid_answer)
    }

    /// Why it has not answered correctly.
    fn lost(mut self, path: &Path) -> Error {
        let path = path.to_owned();
        // Its socket closes a moment before the process can be reaped.
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if start.elapsed() < EXIT_TIMEOUT => thread::sleep(POLL_INTERVAL),
                status => break status.ok().flatten(),
            }
        };
        let is_signal = |signal: Signal| status.and_then(|it| it.signal()) == Some(signal.as_raw());
        // It was killed from outside, for example for lack of memory, or has reported that itself.
        let is_killed = [Signal::KILL, Signal::TERM, Signal::ABORT].into_iter().any(is_signal);
        match is_killed || status.is_some_and(|status| status.code().is_some()) {
            true => Error::ParserKilled { path },
            false => Error::ParserDied { path },
        }
    }

    /// The first bytes of its output.
    fn output(&self, len: usize) -> io::Result<Vec<u8>> {
        if len > OUTPUT_LEN {
            return Err(invalid_answer());
        }
        let mut bytes = zeroed(len)?;
        self.region.copy_out(INPUT_LEN, &mut bytes);
        Ok(bytes)
    }
}

impl Drop for Process {
    /// Nothing that it holds would be lost.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The error if there is no worker program.
fn no_program() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error())
}

fn invalid_answer() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer that makes no sense")
}

#[cfg(test)]
mod tests;
