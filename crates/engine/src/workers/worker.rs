//! The life of a worker process.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use cryptstream_format::payload::{MAX_SEALED_SEGMENT_LEN, SEGMENT_LEN};
use cryptstream_protection::Protection;
use cryptstream_shm::{
    Channel, Consumer, PrivateBuffer, Region, RegionWords, Semaphore, WorkerId, descriptors,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::options::{WORKER_ARGUMENT, WorkerProgram};
use super::parser_process;
use super::protocol::{Command, Start, job_of, segment_of, send_ready, send_released};
use super::region_layout::RegionLayout;
use super::sandbox::{self, Profile, SandboxLevel, SandboxMode};
use super::task::{TaskInput, perform};
use crate::chacha20_poly1305;
use crate::fault_points::{self, Point, at};
use crate::job::Job;
use crate::part_io::Buffers;

/// Makes this process a worker if it was started as one, and then does not return.
/// Otherwise the result says that this program can be started as a worker.
///
/// Call it first in `main`, before any thread is started and before anything reads the arguments.
#[must_use]
pub fn init_worker() -> WorkerProgram {
    if std::env::args_os().nth(1).is_some_and(|first| first == WORKER_ARGUMENT) {
        // Main notices that no answer comes, and reports it.
        std::process::exit(i32::from(run().is_err()));
    }
    WorkerProgram::this()
}

/// Runs a worker. Its standard input is the control socket. It is usually killed at the end; it
/// returns only if it cannot start or go on.
fn run() -> io::Result<()> {
    sandbox::die_with_parent();
    if Protection::CloseDescriptors.is_on() {
        // This project's program does not pass descriptors on to workers, but another program that
        // uses the engine may.
        descriptors::close_inherited()?;
    }
    let channel = Channel::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(message) = channel.receive()? else { return Ok(()) };
    if parser_process::is_start(&message) {
        return parser_process::serve(&channel, message);
    }
    let (start, region) = Start::decode(message)?;
    // Main may have ended before this process asked to die with it.
    if std::os::unix::process::parent_id() != start.parent {
        return Ok(());
    }
    let Start { worker, queue, sandbox: mode, loads_openssl, .. } = start;
    fault_points::name(worker);
    at(Point::Started);
    let region = Arc::new(Region::attach(region)?);
    let layout = RegionLayout::new(queue);
    if !region.contains(0, layout.len()) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (tasks, done) = layout.semaphores(&region)?;
    let words = RegionWords::new(Arc::clone(&region), RegionLayout::QUEUE, queue.words());
    let consumer = Consumer::new(words, queue, WorkerId::new(worker))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if loads_openssl {
        chacha20_poly1305::load();
    }
    // Everything is open and allocated. The sandbox begins here.
    let mut buffers = Buffers::new(MAX_SEALED_SEGMENT_LEN)?;
    let mut private = PrivateBuffer::create(SEGMENT_LEN)?;
    let mut jobs = Jobs { channel, known: Vec::new(), newest: None };
    let level = sandbox::restrict_process(mode, Profile::Worker);
    at(Point::LockedIn);
    send_ready(&jobs.channel, level, private.as_fd())?;
    if mode == SandboxMode::Require && level != SandboxLevel::Full {
        return Ok(());
    }

    if level == SandboxLevel::Full {
        cryptstream_protection::confined();
    }

    loop {
        while let Some(claim) = consumer.claim() {
            let job = jobs.get(job_of(claim.task()))?;
            let work = job.and_then(|job| Some((job, segment_of(claim.task(), job)?)));
            let slot = layout.slot_buffers(&region, claim.slot());
            // Revoked: main considered this worker dead, and does not wait for its result.
            let _ = perform(claim, work, slot, TaskInput::Private(&mut private), &mut buffers);
            done.post(1)?;
            // A finished job is dropped now, even if there is more to do, because its file
            // waits for that.
            jobs.catch_up()?;
        }
        jobs.catch_up()?;
        tasks.wait(None)?;
    }
}

/// The unfinished jobs that this worker has received.
struct Jobs {
    channel: Channel,
    known: Vec<(u32, Job)>,
    /// The number of the last job received.
    newest: Option<u32>,
}

impl Jobs {
    /// Job `number`. Main sends a job before it publishes a segment of it, so a number that never
    /// arrives was made up by some worker.
    fn get(&mut self, number: u32) -> io::Result<Option<&Job>> {
        while self.newest.is_none_or(|newest| newest < number) {
            self.receive()?;
        }
        Ok(self.known.iter().find(|(known, _)| *known == number).map(|(_, job)| job))
    }

    /// Receives pending messages, so that the socket does not fill up and finished jobs are
    /// dropped.
    fn catch_up(&mut self) -> io::Result<()> {
        while is_readable(&self.channel)? {
            self.receive()?;
        }
        Ok(())
    }

    /// Waits for the next message and handles it.
    ///
    /// # Errors
    /// `UnexpectedEof` if main has ended.
    fn receive(&mut self) -> io::Result<()> {
        let message = self.channel.receive()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match Command::decode(message)? {
            Command::Job(number, job) => {
                self.newest = Some(number);
                self.known.push((number, job));
                Ok(())
            }
            Command::Release(number) => {
                self.known.retain(|(known, _)| *known != number);
                send_released(&self.channel, number)
            }
        }
    }
}

fn is_readable(channel: &Channel) -> io::Result<bool> {
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    Ok(poll(&mut fds, Some(&Timespec::default()))? > 0)
}
