//! A process that handles strangers' bytes and is killed before anything that it has
//! made is removed.
//!
//! It is this program again, with an argument that says what it is to do, an empty
//! environment, no descriptor but those that it is sent, and nothing of the terminal.
//! What it does is up to the caller: here is how it is started and how it ends.

use std::fs::File;
use std::io;
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

use crate::interrupt::{OnInterrupt, on_interrupt};
use crate::workers::{die_with_parent, sandboxed};

/// Both sides are the same program; this tells when they are not, such as after an
/// upgrade while this one runs.
const VERSION: &[u8; 26] = b"cryptstream confined 0.1.0";

/// A process that does not come up, or does not end, for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Such a process, seen from the one that has started it.
pub struct Confined {
    child: Arc<Mutex<Child>>,
    channel: Channel,
    /// What kills it when this process is interrupted.
    _cleanup: Option<OnInterrupt>,
}

impl Confined {
    /// Starts this program with `argument`. What is to be removed when this process is
    /// interrupted, and could be added to by that one, must be registered later.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(program: &Path, argument: &str) -> io::Result<Self> {
        let (mut channel, theirs) = Channel::pair()?;
        channel.set_timeout(Some(PATIENCE))?;
        // A process group of its own: what the terminal sends to this one must not make
        // that one look broken.
        let child = sandboxed(program, argument, theirs).process_group(0).spawn()?;
        let child = Arc::new(Mutex::new(child));
        let watched = Arc::clone(&child);
        let cleanup = on_interrupt(Box::new(move || {
            let mut child = lock(&watched);
            let _ = child.kill();
            let _ = child.wait();
            // Its death means nothing any more: this process ends.
            mem::forget(child);
        }));
        Ok(Self { child, channel, _cleanup: cleanup.ok() })
    }

    /// Tells it what to do, which it waits for.
    ///
    /// # Errors
    /// When it has ended, or the system refuses.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let parent = std::process::id().to_le_bytes();
        self.channel.send(&[&VERSION[..], &parent, bytes].concat(), fds)
    }

    /// The stream of what it says, which ends with it. Reading fails with `WouldBlock`
    /// when nothing comes for a while, until it is said to be ready.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stream(&self) -> io::Result<File> {
        self.channel.as_fd().try_clone_to_owned().map(File::from)
    }

    /// It has come up: from now on it may be silent for as long as it likes.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn is_ready(&mut self) -> io::Result<()> {
        self.channel.set_timeout(None)
    }

    /// Ends it, whatever it is doing.
    pub fn kill(&self) {
        // Fails where it has ended already.
        let _ = lock(&self.child).kill();
    }

    /// Waits for its end, when its stream has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn wait(self) -> io::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            // Not held while waiting: an interruption must get through.
            {
                let mut child = lock(&self.child);
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
                if started.elapsed() > PATIENCE {
                    child.kill()?;
                }
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Drop for Confined {
    /// What it was to make is of no use without an answer.
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What such a process was told.
pub struct Orders {
    /// What was sent.
    pub bytes: Vec<u8>,
    /// The descriptors that came along.
    pub fds: Vec<OwnedFd>,
    /// What is written here is read by the process that has started this one.
    pub stream: File,
}

impl Orders {
    /// The first thing that such a process does: waits for what it is to do.
    ///
    /// # Errors
    /// When it was not started by [`Confined::start`], or the process that did so has
    /// ended.
    pub fn receive() -> io::Result<Self> {
        die_with_parent();
        if Protection::CloseDescriptors.is_on() {
            // What the caller has left open, where it got past close-on-exec.
            descriptors::close_inherited()?;
        }
        let channel = Channel::from(io::stdin().as_fd().try_clone_to_owned()?);
        let message = channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let foreign = || io::Error::from(io::ErrorKind::InvalidData);
        let rest = message.bytes.strip_prefix(VERSION).ok_or_else(foreign)?;
        let (parent, bytes) = rest.split_first_chunk().ok_or_else(foreign)?;
        // It may have ended before the system was told to tell us.
        if u32::from_le_bytes(*parent) != std::os::unix::process::parent_id() {
            return Err(foreign());
        }
        let stream = File::from(OwnedFd::from(channel));
        Ok(Self { bytes: bytes.to_vec(), fds: message.fds, stream })
    }
}
