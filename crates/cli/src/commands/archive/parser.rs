//! Parses archives in a sandboxed process, which has nothing but the decrypted stream, the folder
//! to fill, if any, and a stream for its findings. It has parsed no arguments and never held a
//! key or passphrase.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Mutex;

use cryptstream_archive::{
    ArchiveReader, Error, Event, Limits, Member, Options, PathOps, Time, Unpacked, unpack,
    write_event,
};
use cryptstream_beneath::Dir;
use cryptstream_engine::program::{Profile, SandboxedTask, restrict_process};
use cryptstream_engine::{SandboxLevel, SandboxMode};

use crate::messages::code;

/// The argument that starts the program as a parser process of archives.
pub(crate) const PARSER_ARGUMENT: &str = "__unpack";

/// What to do with an archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// How to unpack it; otherwise it is listed.
    pub(super) unpack: Option<Options>,
    pub(super) limits: Limits,
    /// The sandbox that is required.
    pub(super) sandbox: SandboxMode,
}

/// What an archive had in it, and whether it was compressed.
pub(super) type Parsed = (Unpacked, bool);

impl Task {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Limits { entries, bytes, growth, ratio } = self.limits;
        let mut encoded: Vec<u8> =
            [entries, bytes, growth, ratio].iter().flat_map(|limit| limit.to_le_bytes()).collect();
        encoded.push(self.sandbox as u8);
        if let Some(Options { any_links, umask, drops_content }) = self.unpack {
            encoded.extend([u8::from(any_links), u8::from(drops_content)]);
            encoded.extend_from_slice(&umask.to_le_bytes());
        }
        encoded
    }

    /// The task, and the bytes after it.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (limits, rest) = bytes.split_at_checked(32)?;
        let (limits, _) = limits.as_chunks::<8>();
        let [entries, bytes, growth, ratio] =
            [0, 1, 2, 3].map(|at: usize| u64::from_le_bytes(limits[at]));
        let (sandbox, rest) = rest.split_first()?;
        let unpack = match rest {
            [] => None,
            [any_links, drops_content, umask @ ..] => {
                let umask = u32::from_le_bytes(umask.try_into().ok()?);
                let (any_links, drops_content) = (*any_links != 0, *drops_content != 0);
                Some(Options { any_links, umask, drops_content })
            }
            [_] => return None,
        };
        let limits = Limits { entries, bytes, growth, ratio };
        Some(Self { unpack, limits, sandbox: SandboxMode::from_byte(*sandbox)? })
    }
}

/// Lists what comes out of `pipe`.
pub(super) fn list(
    pipe: File,
    limits: Limits,
    take: &mut dyn FnMut(Member) -> io::Result<()>,
) -> Result<Parsed, Error> {
    let mut archive = ArchiveReader::new(pipe, limits)?;
    let mut read = Unpacked::default();
    while let Some(member) = archive.next()? {
        read.entries += 1;
        read.bytes = read.bytes.saturating_add(member.size);
        take(member).map_err(Error::Report)?;
    }
    Ok((read, archive.is_zstd()))
}

/// Unpacks what comes out of `pipe` into `folder`.
pub(super) fn extract(
    pipe: File,
    limits: Limits,
    options: Options,
    folder: &Dir,
    change_lock: &Mutex<()>,
    path_ops: &mut dyn PathOps,
) -> Result<Parsed, Error> {
    let mut archive = ArchiveReader::new(pipe, limits)?;
    let unpacked = unpack(&mut archive, folder, change_lock, options, path_ops)?;
    Ok((unpacked, archive.is_zstd()))
}

/// The main function of a process started with [`PARSER_ARGUMENT`].
pub(crate) fn parser_main() -> ExitCode {
    // A message would not be read, but the exit status is.
    std::panic::set_hook(Box::new(|_| std::process::exit(i32::from(code::INTERNAL))));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // The other side notices and reports it.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    let SandboxedTask { bytes, fds, stream } = SandboxedTask::receive()?;
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let task = Task::decode(&bytes).ok_or_else(malformed)?;
    let mut fds = fds.into_iter();
    let pipe = File::from(fds.next().ok_or_else(malformed)?);
    let folder: Option<OwnedFd> = fds.next();
    let (unpack, profile) = match (task.unpack, &folder) {
        (None, None) => (None, Profile::List),
        (Some(options), Some(folder)) => (Some(options), Profile::Unpack(folder.as_fd())),
        _ => return Err(malformed()),
    };
    // Everything is open; from here on the process is sandboxed.
    let answers = stream.try_clone()?;
    let mut events = Events { stream: BufWriter::new(stream), answers, has_asked: false };
    let level = restrict_process(task.sandbox, profile);
    events.send(&Event::Ready(level as u8))?;
    events.stream.flush()?;
    if task.sandbox == SandboxMode::Require && level != SandboxLevel::Full {
        return Ok(());
    }
    #[cfg(feature = "protection-switches")]
    super::attempts::attempt_what_was_asked_for();
    let read = match (unpack, folder) {
        (Some(options), Some(folder)) => {
            let folder = Dir::from(folder);
            extract(pipe, task.limits, options, &folder, &Mutex::new(()), &mut events)
        }
        _ => list(pipe, task.limits, &mut |member| events.send(&Event::Member(member))),
    };
    events.send(&match read {
        Ok((unpacked, is_zstd)) => Event::Done(unpacked, is_zstd),
        Err(error) => Event::Failed(error),
    })?;
    events.stream.flush()
}

/// Sends events to the process that has started it.
struct Events {
    stream: BufWriter<File>,
    answers: File,
    has_asked: bool,
}

impl Events {
    fn send(&mut self, event: &Event) -> io::Result<()> {
        write_event(&mut self.stream, event)
    }
}

impl PathOps for Events {
    fn set_link_time(&mut self, path: &[u8], time: Time) -> io::Result<()> {
        self.has_asked = true;
        self.send(&Event::LinkTime { path: path.to_vec(), time })
    }

    fn remove(&mut self, path: &[u8]) -> io::Result<bool> {
        self.send(&Event::Remove(path.to_vec()))?;
        self.stream.flush()?;
        let mut answer = [0];
        self.answers.read_exact(&mut answer)?;
        Ok(answer == [1])
    }

    fn wait(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.has_asked) {
            return Ok(());
        }
        self.send(&Event::Wait)?;
        self.stream.flush()?;
        self.answers.read_exact(&mut [0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_back() {
        let options = Options { any_links: true, umask: 0o027, drops_content: true };
        for unpack in [None, Some(options)] {
            let task = Task { unpack, limits: Limits::DEFAULT, sandbox: SandboxMode::Require };
            let bytes = task.encode();
            assert_eq!(format!("{:?}", Task::decode(&bytes)), format!("{:?}", Some(task)));
            for cut in 0..bytes.len() {
                let decoded = Task::decode(&bytes[..cut]);
                assert!(decoded.is_none_or(|task| task.unpack.is_none()), "{cut}");
            }
        }
    }
}
