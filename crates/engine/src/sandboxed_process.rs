//! A sandboxed process of this program that does one task for it, such as unpacking an
//! archive.
//!
//! It gets an argument that says what to do, an empty environment, only the descriptors that it is
//! sent, and no terminal. On an interruption it is killed before its output is removed. This module
//! starts and ends it; the caller decides what it does.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cryptstream_protection::Protection;
use cryptstream_shm::{Channel, descriptors};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::interrupt::{OnInterrupt, on_interrupt};
use crate::workers::{die_with_parent, sandboxed};

/// Detects that the two sides are not the same program, for example after an upgrade while this one
/// runs.
const VERSION: &[u8; 26] = b"cryptstream confined 0.1.0";

/// A process that takes longer to start or to end is considered stuck.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A sandboxed process, from the point of view of the one that has started it.
pub struct SandboxedProcess {
    child: Arc<Mutex<Child>>,
    channel: Channel,
    /// What kills it when this process is interrupted.
    _cleanup: Option<OnInterrupt>,
}

impl SandboxedProcess {
    /// Starts `program` with `argument`. Call it before [`on_interrupt`] registers the
    /// removal of something that the new process writes to, so that it is killed first.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start(program: &Path, argument: &str) -> io::Result<Self> {
        let mut process = Self::start_alone(program, argument)?;
        let watched = Arc::clone(&process.child);
        let cleanup = on_interrupt(Box::new(move || {
            let mut child = lock(&watched);
            let _ = child.kill();
            let _ = child.wait();
            // Its death does not matter any more: this process ends.
            mem::forget(child);
        }));
        process._cleanup = cleanup.ok();
        Ok(process)
    }

    /// Starts `program` with `argument`. An interruption of this process does not kill it; it ends
    /// when the thread that called this ends.
    ///
    /// # Errors
    /// Those of the system.
    pub fn start_alone(program: &Path, argument: &str) -> io::Result<Self> {
        let (mut channel, theirs) = Channel::pair()?;
        channel.set_timeout(Some(TIMEOUT))?;
        // In its own process group: signals that the terminal sends to this one must not make that
        // one look broken.
        let child = sandboxed(program, argument, theirs).process_group(0).spawn()?;
        Ok(Self { child: Arc::new(Mutex::new(child)), channel, _cleanup: None })
    }

    /// Sends the task that it waits for.
    ///
    /// # Errors
    /// If it has ended, or those of the system.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let parent = std::process::id().to_le_bytes();
        self.channel.send(&[&VERSION[..], &parent, bytes].concat(), fds)
    }

    /// Another handle of the socket through which it gets messages and answers them.
    ///
    /// # Errors
    /// Those of the system.
    pub fn channel(&self) -> io::Result<Channel> {
        self.channel.as_fd().try_clone_to_owned().map(Channel::from)
    }

    /// The stream of its output, until it ends. Before [`Stream::is_ready`] is called, reading
    /// fails with `TimedOut` after 10 seconds, even if bytes keep trickling in.
    ///
    /// # Errors
    /// Those of the system.
    pub fn stream(&self) -> io::Result<Stream> {
        let file = self.channel.as_fd().try_clone_to_owned().map(File::from)?;
        Ok(Stream { file, deadline: Some(Instant::now() + TIMEOUT) })
    }

    /// Reports that it has started. From now on it may be silent for any time.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_ready(&mut self) -> io::Result<()> {
        self.channel.set_timeout(None)
    }

    /// Kills it.
    pub fn kill(&self) {
        // Fails if it has ended already.
        let _ = lock(&self.child).kill();
    }

    /// Waits until it ends, after its stream has ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(self) -> io::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            // The lock is not held while waiting, so that an interruption can kill the process.
            {
                let mut child = lock(&self.child);
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
                if started.elapsed() > TIMEOUT {
                    child.kill()?;
                }
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// The output of a [`SandboxedProcess`].
#[derive(Debug)]
pub struct Stream {
    file: File,
    deadline: Option<Instant>,
}

impl Stream {
    /// The process has started: from now on it may be silent for any time.
    pub fn is_ready(&mut self) {
        self.deadline = None;
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
            if left.is_zero() || poll(&mut fds, Some(&timeout))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.file.read(bytes)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SandboxedProcess {
    /// Its output is of no use without an answer.
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task that a [`SandboxedProcess`] was sent.
pub struct SandboxedTask {
    /// The message.
    pub bytes: Vec<u8>,
    /// The descriptors that were attached.
    pub fds: Vec<OwnedFd>,
    /// The stream to the process that started this one.
    pub stream: File,
}

impl SandboxedTask {
    /// Waits for the task. Must be called first in a sandboxed process.
    ///
    /// # Errors
    /// If this process was not started by [`SandboxedProcess::start`], or if the one that
    /// started it has ended.
    pub fn receive() -> io::Result<Self> {
        die_with_parent();
        if Protection::CloseDescriptors.is_on() {
            // Descriptors that the caller has left open without close-on-exec.
            descriptors::close_inherited()?;
        }
        let channel = Channel::from(io::stdin().as_fd().try_clone_to_owned()?);
        let message = channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let foreign = || io::Error::from(io::ErrorKind::InvalidData);
        let rest = message.bytes.strip_prefix(VERSION).ok_or_else(foreign)?;
        let (parent, bytes) = rest.split_first_chunk().ok_or_else(foreign)?;
        // The parent may have ended before this process asked to die with it.
        if u32::from_le_bytes(*parent) != std::os::unix::process::parent_id() {
            return Err(foreign());
        }
        let stream = File::from(OwnedFd::from(channel));
        Ok(Self { bytes: bytes.to_vec(), fds: message.fds, stream })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Single bytes must not extend the deadline.
    #[test]
    fn an_answer_that_trickles_is_not_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let trickle = thread::spawn(move || {
            while theirs.write_all(&[0]).is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        });
        let deadline = Some(Instant::now() + Duration::from_millis(100));
        let mut stream = Stream { file: File::from(OwnedFd::from(ours)), deadline };
        let error = stream.read_exact(&mut vec![0; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        stream.is_ready();
        stream.read_exact(&mut [0; 3]).unwrap();
        drop(stream);
        trickle.join().unwrap();
    }
}
