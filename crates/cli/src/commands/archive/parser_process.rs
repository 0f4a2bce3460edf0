//! Starts and serves the process that parses an archive.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::thread;

use cryptstream_archive::{DirectPathOps, Event, Member, PathOps, read_event};
use cryptstream_beneath::Dir;
use cryptstream_engine::program::{SandboxedProcess, Stream};
use cryptstream_engine::{Error, SandboxLevel, SandboxMode, Summary};
use rustix::pipe::{PipeFlags, pipe_with};

use super::parser::{self, PARSER_ARGUMENT, Parsed, Task};
use crate::messages::{self, Failure};
use crate::system;

/// A folder to be filled.
pub(super) struct UnpackFolder<'a> {
    pub(super) dir: Dir,
    /// Held while this process changes something in it.
    pub(super) change_lock: &'a Mutex<()>,
}

/// Called with each member.
pub(super) type TakeMember<'t> = dyn FnMut(Member) -> Result<(), Failure> + Send + 't;

/// Why an archive could not be read.
pub(super) enum ParserError {
    /// It could not be decrypted.
    Engine(Error),
    /// It is invalid, or could not be unpacked.
    Archive(cryptstream_archive::Error),
    /// The parser process ended without a reason.
    Died(ExitStatus),
    /// The parser process sent something invalid.
    InvalidAnswer,
    /// A member was not accepted.
    Refused(Failure),
}

impl ParserError {
    /// Whether a whole archive was read, and more follows.
    pub(super) fn is_after_end(&self) -> bool {
        use cryptstream_archive::{Error, Refusal};
        matches!(
            self,
            Self::Archive(
                Error::TrailingData { .. } | Error::Refused { reason: Refusal::Concatenated, .. }
            )
        )
    }

    pub(super) fn into_failure(
        self,
        input: &Path,
        engine: impl FnOnce(Error) -> Failure,
        archive: impl FnOnce(cryptstream_archive::Error) -> Failure,
    ) -> Failure {
        match self {
            Self::Engine(error) => engine(error),
            Self::Archive(error) => archive(error),
            Self::Died(status) => messages::archive::parser_died(input, status),
            Self::InvalidAnswer => messages::archive::parser_answer_invalid(input),
            Self::Refused(failure) => failure,
        }
    }
}

type DecryptResult = Result<Summary, Error>;
type ParseResult = Result<Parsed, ParserError>;

/// Combines the results of decrypting and parsing; the earlier failure counts.
pub(super) fn combine(
    decrypted: DecryptResult,
    parsed: ParseResult,
) -> Result<(Summary, Parsed), ParserError> {
    match (decrypted, parsed) {
        (Ok(decrypted), Ok(parsed)) => Ok((decrypted, parsed)),
        // The parser process ended before the writer was done.
        (Err(Error::BrokenPipe { .. }) | Ok(_), Err(error)) => Err(error),
        // It claimed to have read everything, and had not.
        (Err(Error::BrokenPipe { .. }), Ok(_)) => Err(ParserError::InvalidAnswer),
        (Err(error), _) => Err(ParserError::Engine(error)),
    }
}

/// The process that parses one archive, before it has its task.
pub(super) struct ParserProcess {
    task: Task,
    process: io::Result<SandboxedProcess>,
}

impl ParserProcess {
    /// Starts the process, which waits for its task.
    pub(super) fn new(task: &Task, program: &Path) -> Self {
        Self { task: *task, process: SandboxedProcess::start(program, PARSER_ARGUMENT) }
    }

    /// Reads what `decrypt` writes, and passes members to `take`. Also returns the sandbox of the
    /// process; `None` if this process read the archive. `input` is for messages.
    pub(super) fn run(
        self,
        input: &Path,
        folder: Option<&UnpackFolder<'_>>,
        take: &mut TakeMember<'_>,
        decrypt: impl FnOnce(OwnedFd) -> DecryptResult,
    ) -> Result<(DecryptResult, ParseResult, Option<SandboxLevel>), Failure> {
        let Self { task, process } = self;
        let pipe = pipe_with(PipeFlags::CLOEXEC);
        let unread = |error: &io::Error| messages::archive::internal(input, error);
        let (reader, writer) = pipe.map_err(|error| unread(&error.into()))?;
        let begin = |process| Process::begin(process, &task, &reader, folder);
        let mut process = process.map_err(BeginError::System).and_then(begin);
        if matches!(process, Err(BeginError::Killed(_))) {
            let again = SandboxedProcess::start(system::own_program(), PARSER_ARGUMENT);
            process = again.map_err(BeginError::System).and_then(begin);
        }
        match process {
            Ok(Process { level, .. })
                if task.sandbox == SandboxMode::Require && level < SandboxLevel::Full =>
            {
                Err(messages::archive::no_sandbox(level))
            }
            Ok(process) => {
                let level = process.level;
                if task.sandbox == SandboxMode::Auto && level < SandboxLevel::Full {
                    messages::warn(&messages::archive::weak_sandbox(level));
                }
                drop(reader);
                let decrypt = || decrypt(writer);
                let (decrypted, parsed) = process.run(unread, folder, take, decrypt)?;
                Ok((decrypted, parsed, Some(level)))
            }
            // That does not mean that there is no sandbox.
            Err(BeginError::Killed(signal)) => Err(messages::archive::parser_killed(signal)),
            Err(BeginError::System(error)) if task.sandbox == SandboxMode::Require => {
                Err(messages::archive::no_parser(&error))
            }
            Err(BeginError::System(error)) => {
                messages::warn(&messages::archive::no_parser_process(&error));
                let (decrypted, parsed) =
                    in_process(&task, File::from(reader), folder, take, || decrypt(writer))?;
                Ok((decrypted, parsed, None))
            }
        }
    }
}

/// Why the process did not become ready.
enum BeginError {
    /// This signal ended it.
    Killed(i32),
    System(io::Error),
}

/// A process that is ready to parse.
struct Process {
    sandboxed: SandboxedProcess,
    events: BufReader<Stream>,
    level: SandboxLevel,
}

impl Process {
    fn begin(
        mut sandboxed: SandboxedProcess,
        task: &Task,
        reader: &OwnedFd,
        folder: Option<&UnpackFolder<'_>>,
    ) -> Result<Self, BeginError> {
        let begun = (|| {
            let mut fds = vec![reader.as_fd()];
            fds.extend(folder.map(|folder| folder.dir.as_fd()));
            sandboxed.send(&task.encode(), &fds)?;
            let mut events = BufReader::new(sandboxed.stream()?);
            let Some(Event::Ready(level)) = read_event(&mut events)? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let level = SandboxLevel::from_byte(level).ok_or(io::ErrorKind::InvalidData)?;
            events.get_mut().is_ready();
            sandboxed.is_ready()?;
            Ok((events, level))
        })();
        match begun {
            Ok((events, level)) => Ok(Self { sandboxed, events, level }),
            Err(error) if has_ended(&error) => match sandboxed.wait().map(|it| it.signal()) {
                Ok(Some(signal)) => Err(BeginError::Killed(signal)),
                _ => Err(BeginError::System(error)),
            },
            Err(error) => Err(BeginError::System(error)),
        }
    }

    fn run(
        self,
        unread: impl Fn(&io::Error) -> Failure,
        folder: Option<&UnpackFolder<'_>>,
        take: &mut TakeMember<'_>,
        decrypt: impl FnOnce() -> DecryptResult,
    ) -> Result<(DecryptResult, ParseResult), Failure> {
        let Self { sandboxed, mut events, .. } = self;
        let (decrypted, heard) = thread::scope(|scope| {
            let listener = thread::Builder::new().name("listener".to_owned());
            let listening = listener.spawn_scoped(scope, || {
                let heard = listen(&mut events, folder, take);
                if !matches!(heard, Ok(None)) {
                    // It has nothing left to do, and nothing may wait for it.
                    sandboxed.kill();
                }
                heard
            });
            let listening = listening.map_err(|error| cannot_listen(&error))?;
            let decrypted = decrypt();
            Ok((decrypted, listening.join()))
        })?;
        let heard = heard.map_err(|_| messages::internal("the listening thread failed"))?;
        let status = sandboxed.wait().map_err(|error| unread(&error))?;
        Ok((decrypted, heard.and_then(|heard| heard.ok_or(ParserError::Died(status)))))
    }
}

/// Whether the error says that the other process has ended.
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn cannot_listen(error: &io::Error) -> Failure {
    messages::cannot_start("the thread that reads the archive", error)
}

/// Serves the process until it is done or has ended (`None`).
fn listen(
    events: &mut BufReader<Stream>,
    folder: Option<&UnpackFolder<'_>>,
    take: &mut TakeMember<'_>,
) -> Result<Option<Parsed>, ParserError> {
    let mut path_ops = folder.map(|folder| DirectPathOps::new(&folder.dir));
    loop {
        match (read_event(events), &mut path_ops) {
            (Ok(None), _) => return Ok(None),
            (Ok(Some(Event::Member(member))), None) => {
                take(member).map_err(ParserError::Refused)?;
            }
            (Ok(Some(Event::LinkTime { path, time })), Some(path_ops)) => {
                path_ops.set_link_time(&path, time).map_err(|_| ParserError::InvalidAnswer)?;
            }
            (Ok(Some(Event::Remove(path))), Some(path_ops)) => {
                let removed = path_ops.remove(&path).map_err(|_| ParserError::InvalidAnswer)?;
                let _ = events.get_mut().write_all(&[u8::from(removed)]);
            }
            (Ok(Some(Event::Wait)), Some(_)) => {
                // If it has ended, that is noticed next.
                let _ = events.get_mut().write_all(&[0]);
            }
            (Ok(Some(Event::Done(read, is_zstd))), _) => return Ok(Some((read, is_zstd))),
            (Ok(Some(Event::Failed(error))), _) => return Err(ParserError::Archive(error)),
            // It died while writing.
            (Err(error), _) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            _ => return Err(ParserError::InvalidAnswer),
        }
    }
}

/// Reads the archive on a thread of this process, if no other process can be started.
fn in_process(
    task: &Task,
    pipe: File,
    folder: Option<&UnpackFolder<'_>>,
    take: &mut TakeMember<'_>,
    decrypt: impl FnOnce() -> DecryptResult,
) -> Result<(DecryptResult, ParseResult), Failure> {
    let work = || match (task.unpack, folder) {
        (Some(options), Some(UnpackFolder { dir, change_lock })) => {
            let mut path_ops = DirectPathOps::new(dir);
            parser::extract(pipe, task.limits, options, dir, change_lock, &mut path_ops)
                .map_err(ParserError::Archive)
        }
        _ => {
            let mut failure = None;
            let listed = parser::list(pipe, task.limits, &mut |member| {
                take(member).map_err(|error| {
                    failure = Some(error);
                    io::ErrorKind::Other.into()
                })
            });
            match failure {
                Some(failure) => Err(ParserError::Refused(failure)),
                None => listed.map_err(ParserError::Archive),
            }
        }
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("parser".to_owned());
        let working = worker.spawn_scoped(scope, work).map_err(|error| cannot_listen(&error))?;
        let decrypted = decrypt();
        let parsed = working.join();
        parsed
            .map(|parsed| (decrypted, parsed))
            .map_err(|_| messages::internal("the other end of the pipe failed"))
    })
}
