//! Starts and serves the process that reads an archive.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::thread;

use cryptstream_archive::{DirectPathOps, Event, Member, PathOps, read_event};
use cryptstream_beneath::Dir;
use cryptstream_engine::{Error, SandboxLevel, SandboxMode, SandboxedProcess, Stream, Summary};
use rustix::pipe::{PipeFlags, pipe_with};

use super::reader::{self, READER_ARGUMENT, ReaderOutcome, Task};
use crate::messages::{self, Failure};

/// A folder to be filled.
pub(super) struct UnpackFolder<'a> {
    pub(super) dir: Dir,
    /// Held while this process changes something in it.
    pub(super) change_lock: &'a Mutex<()>,
}

/// Called with each member.
pub(super) type TakeMember<'t> = dyn FnMut(Member) -> Result<(), Failure> + Send + 't;

/// Why an archive could not be read.
pub(super) enum ReadError {
    /// It could not be decrypted.
    Engine(Error),
    /// It is invalid, or could not be unpacked.
    Archive(cryptstream_archive::Error),
    /// The reader process ended without a reason.
    Died(ExitStatus),
    /// The reader process sent something invalid.
    Nonsense,
    /// A member was not accepted.
    Taking(Failure),
}

impl ReadError {
    pub(super) fn into_failure(
        self,
        input: &Path,
        engine: impl FnOnce(Error) -> Failure,
        archive: impl FnOnce(cryptstream_archive::Error) -> Failure,
    ) -> Failure {
        match self {
            Self::Engine(error) => engine(error),
            Self::Archive(error) => archive(error),
            Self::Died(status) => messages::archive::reader_died(input, status),
            Self::Nonsense => messages::archive::reader_nonsense(input),
            Self::Taking(failure) => failure,
        }
    }
}

type DecryptResult = Result<Summary, Error>;
type ReaderResult = Result<ReaderOutcome, ReadError>;

/// Combines the results of decryption and reading; the earlier failure counts.
pub(super) fn combine(
    opened: DecryptResult,
    worked: ReaderResult,
) -> Result<(Summary, ReaderOutcome), ReadError> {
    match (opened, worked) {
        (Ok(opened), Ok(worked)) => Ok((opened, worked)),
        // The reader ended before the writer was done.
        (Err(Error::BrokenPipe { .. }) | Ok(_), Err(trouble)) => Err(trouble),
        // It claimed to have read everything, and had not.
        (Err(Error::BrokenPipe { .. }), Ok(_)) => Err(ReadError::Nonsense),
        (Err(error), _) => Err(ReadError::Engine(error)),
    }
}

/// An archive that is about to be read.
pub(super) struct ReaderProcess {
    task: Task,
    process: io::Result<SandboxedProcess>,
}

impl ReaderProcess {
    /// Starts the process, which waits for its task.
    pub(super) fn new(task: &Task, program: &Path) -> Self {
        Self { task: *task, process: SandboxedProcess::start(program, READER_ARGUMENT) }
    }

    /// Reads what `open` writes, and passes members to `take`. Also returns the sandbox of the
    /// process; `None` if this process read the archive.
    pub(super) fn run(
        self,
        folder: Option<&UnpackFolder<'_>>,
        take: &mut TakeMember<'_>,
        open: impl FnOnce(OwnedFd) -> DecryptResult,
    ) -> Result<(DecryptResult, ReaderResult, Option<SandboxLevel>), Failure> {
        let Self { task, process } = self;
        let pipe = pipe_with(PipeFlags::CLOEXEC);
        let (reader, writer) = pipe.map_err(|error| messages::archive::internal(&error.into()))?;
        let process = process.and_then(|process| Process::begin(process, &task, &reader, folder));
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
                let (opened, worked) = process.run(folder, take, || open(writer))?;
                Ok((opened, worked, Some(level)))
            }
            Err(error) if task.sandbox == SandboxMode::Require => {
                Err(messages::archive::no_reader(&error))
            }
            Err(error) => {
                messages::warn(&messages::archive::no_reader_process(&error));
                let (opened, worked) =
                    in_process(&task, File::from(reader), folder, take, || open(writer))?;
                Ok((opened, worked, None))
            }
        }
    }
}

/// A process that is ready to read.
struct Process {
    confined: SandboxedProcess,
    events: BufReader<Stream>,
    level: SandboxLevel,
}

impl Process {
    fn begin(
        mut confined: SandboxedProcess,
        task: &Task,
        reader: &OwnedFd,
        folder: Option<&UnpackFolder<'_>>,
    ) -> io::Result<Self> {
        let mut fds = vec![reader.as_fd()];
        fds.extend(folder.map(|folder| folder.dir.as_fd()));
        confined.send(&task.encode(), &fds)?;
        let mut events = BufReader::new(confined.stream()?);
        let Some(Event::Ready(level)) = read_event(&mut events)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let level = SandboxLevel::from_byte(level).ok_or(io::ErrorKind::InvalidData)?;
        events.get_mut().is_ready();
        confined.is_ready()?;
        Ok(Self { confined, events, level })
    }

    fn run(
        self,
        folder: Option<&UnpackFolder<'_>>,
        take: &mut TakeMember<'_>,
        open: impl FnOnce() -> DecryptResult,
    ) -> Result<(DecryptResult, ReaderResult), Failure> {
        let Self { confined, mut events, .. } = self;
        let (opened, heard) = thread::scope(|scope| {
            let listener = thread::Builder::new().name("listener".to_owned());
            let listening = listener.spawn_scoped(scope, || {
                let heard = listen(&mut events, folder, take);
                if !matches!(heard, Ok(None)) {
                    // It has nothing left to do, and nothing may wait for it.
                    confined.kill();
                }
                heard
            });
            let listening = listening.map_err(|error| cannot_listen(&error))?;
            let opened = open();
            Ok((opened, listening.join()))
        })?;
        let heard = heard.map_err(|_| messages::internal("the listening thread failed"))?;
        let status = confined.wait().map_err(|error| messages::archive::internal(&error))?;
        Ok((opened, heard.and_then(|heard| heard.ok_or(ReadError::Died(status)))))
    }
}

fn cannot_listen(error: &io::Error) -> Failure {
    messages::cannot_start("the thread that reads the archive", error)
}

/// Serves the process until it is done or has ended (`None`).
fn listen(
    events: &mut BufReader<Stream>,
    folder: Option<&UnpackFolder<'_>>,
    take: &mut TakeMember<'_>,
) -> Result<Option<ReaderOutcome>, ReadError> {
    let mut path_ops = folder.map(|folder| DirectPathOps::new(&folder.dir));
    loop {
        match (read_event(events), &mut path_ops) {
            (Ok(None), _) => return Ok(None),
            (Ok(Some(Event::Member(member))), None) => take(member).map_err(ReadError::Taking)?,
            (Ok(Some(Event::LinkTime { path, time })), Some(path_ops)) => {
                path_ops.set_link_time(&path, time).map_err(|_| ReadError::Nonsense)?;
            }
            (Ok(Some(Event::Remove(path))), Some(path_ops)) => {
                let removed = path_ops.remove(&path).map_err(|_| ReadError::Nonsense)?;
                let _ = events.get_mut().write_all(&[u8::from(removed)]);
            }
            (Ok(Some(Event::Wait)), Some(_)) => {
                // If it has ended, that is noticed next.
                let _ = events.get_mut().write_all(&[0]);
            }
            (Ok(Some(Event::Done(read, is_zstd))), _) => return Ok(Some((read, is_zstd))),
            (Ok(Some(Event::Failed(error))), _) => return Err(ReadError::Archive(error)),
            // It died while writing.
            (Err(error), _) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            _ => return Err(ReadError::Nonsense),
        }
    }
}

/// Reads the archive on a thread of this process, if no other process can be started.
fn in_process(
    task: &Task,
    pipe: File,
    folder: Option<&UnpackFolder<'_>>,
    take: &mut TakeMember<'_>,
    open: impl FnOnce() -> DecryptResult,
) -> Result<(DecryptResult, ReaderResult), Failure> {
    let work = || match (task.unpack, folder) {
        (Some(options), Some(UnpackFolder { dir, change_lock })) => {
            let mut path_ops = DirectPathOps::new(dir);
            reader::extract(pipe, task.limits, options, dir, change_lock, &mut path_ops)
                .map_err(ReadError::Archive)
        }
        _ => {
            let mut failure = None;
            let listed = reader::list(pipe, task.limits, &mut |member| {
                take(member).map_err(|error| {
                    failure = Some(error);
                    io::ErrorKind::Other.into()
                })
            });
            match failure {
                Some(failure) => Err(ReadError::Taking(failure)),
                None => listed.map_err(ReadError::Archive),
            }
        }
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("reader".to_owned());
        let working = worker.spawn_scoped(scope, work).map_err(|error| cannot_listen(&error))?;
        let opened = open();
        let worked = working.join();
        worked
            .map(|worked| (opened, worked))
            .map_err(|_| messages::internal("the other end of the pipe failed"))
    })
}
