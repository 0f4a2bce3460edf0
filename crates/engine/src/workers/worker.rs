//! The life of a worker process.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use cryptstream_format::Segment;
use cryptstream_shm::{Channel, Claim, Consumer, Region, RegionWords, Tokens, WorkerId};

use super::pool::Places;
use super::protocol::{Start, decode_start, encode_ready, encode_result};
use super::sandbox::{self, SandboxLevel, SandboxMode};
use crate::work::{Buffers, Failure, Operation, Work};

/// What a process does that was started with
/// [`WORKER_ARGUMENT`](super::WORKER_ARGUMENT): its standard input is the
/// control socket. It ends when it is killed; an exit status is only given
/// when it cannot start.
#[must_use]
pub fn worker_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        // Main notices that no answer comes, and says so.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<()> {
    sandbox::die_with_parent();
    let channel = Channel::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(message) = channel.receive()? else { return Ok(()) };
    let start = decode_start(message)?;
    // It may have ended before the system was told to tell us.
    if std::os::unix::process::parent_id() != start.parent {
        return Ok(());
    }
    let Start { worker, shape, sandbox: mode, work, region, .. } = start;
    let region = Arc::new(Region::attach(region)?);
    let places = Places::new(shape);
    if !region.contains(0, places.len()) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (tasks, done) = places.tokens(&region)?;
    let words = RegionWords::new(Arc::clone(&region), Places::QUEUE, shape.words());
    let consumer = Consumer::new(words, shape, WorkerId::new(worker))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    // Everything is opened and allocated; from here on it is locked in.
    let mut buffers = Buffers::new();
    let level = sandbox::enter(mode);
    channel.send(&encode_ready(level), &[])?;
    if mode == SandboxMode::Require && level != SandboxLevel::Full {
        return Ok(());
    }

    loop {
        while let Some(claim) = consumer.claim() {
            let buffer = places.buffer(claim.slot());
            work_on(claim, &work, &region, buffer, &mut buffers);
            done.post(1)?;
        }
        tasks.wait(None)?;
    }
}

/// Does one segment and hands the result over. `buffer` is where the slot's
/// buffer begins in the region.
fn work_on(
    mut claim: Claim<'_, RegionWords>,
    work: &Work,
    region: &Region,
    buffer: usize,
    buffers: &mut Buffers,
) {
    let Some(segment) = work.layout.segment(claim.task()[0]) else {
        let _ = claim.mark_loaded();
        let _ = claim.complete(&encode_result(Err(Failure::Internal)));
        return;
    };
    let result = match work.operation {
        // The bytes that are sealed must stay where a successor finds them.
        Operation::Seal => load(&mut claim, work, region, buffer, &segment).and_then(|()| {
            work.run_from(&segment, buffers, |part, input| {
                let offset = (part.plaintext_offset() - segment.plaintext_offset()) as usize;
                region.copy_out(buffer + offset, input);
                Ok(())
            })
        }),
        // Opening the same bytes again is harmless.
        Operation::Open => work.run(&segment, buffers),
    };
    // Fails if this worker was taken for dead: then nobody waits for it.
    let _ = claim.mark_loaded();
    let _ = claim.complete(&encode_result(result));
}

/// Reads a segment into the slot's buffer, unless a predecessor has done so,
/// and says that it is there.
fn load(
    claim: &mut Claim<'_, RegionWords>,
    work: &Work,
    region: &Region,
    buffer: usize,
    segment: &Segment,
) -> Result<(), Failure> {
    if claim.is_loaded() {
        return Ok(());
    }
    let (offset, len) = work.input_of(segment);
    let mut loaded = 0;
    while loaded < len {
        let (from, to) = (offset + loaded as u64, buffer + loaded);
        match region.pread_into(&work.input, from, to, len - loaded) {
            Ok(0) => return Err(Failure::Short),
            Ok(n) => loaded += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                return Err(Failure::Read { errno, offset: from });
            }
        }
    }
    claim.mark_loaded().map_err(|_| Failure::Internal)
}
