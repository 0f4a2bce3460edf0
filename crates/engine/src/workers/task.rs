//! The steps from a claimed segment to its result, for main and for workers.

use cryptstream_format::Segment;
use cryptstream_shm::{Claim, PrivateBuffer, RegionWords, TaskRevoked};

use super::protocol::encode_result;
use crate::failure::Failure;
use crate::fault_points::{Point, at};
use crate::job::{InputLocation, Job, SlotBuffers};
use crate::part_io::Buffers;
use crate::transform::Operation;

/// Where the input of a segment comes from.
pub(super) enum TaskInput<'a> {
    /// A worker reads it, and keeps the bytes that it encrypts in its private buffer.
    Private(&'a mut PrivateBuffer),
    /// Main reads it. If main dies, the run ends.
    File,
    /// Main's own table says that main has put it into the slot's buffer.
    Slot,
}

/// Processes the claimed segment of a job, if there is such a job, and reports the result.
pub(super) fn perform(
    mut claim: Claim<'_, RegionWords>,
    work: Option<(&Job, Segment)>,
    slot: SlotBuffers<'_>,
    input: TaskInput<'_>,
    buffers: &mut Buffers,
) -> Result<(), TaskRevoked> {
    let result = match work {
        None => Err(Failure::Internal),
        Some((job, segment)) => {
            let location = input_location(&mut claim, job, input)?;
            job.run(&segment, location, Some(slot), buffers)
        }
    };
    claim.mark_loaded()?;
    at(Point::Written);
    claim.complete(&encode_result(result))?;
    at(Point::Done);
    Ok(())
}

/// Decides where the input comes from.
fn input_location<'a>(
    claim: &mut Claim<'_, RegionWords>,
    job: &Job,
    input: TaskInput<'a>,
) -> Result<InputLocation<'a>, TaskRevoked> {
    match (&job.input, job.operation, input) {
        (None, ..) => Ok(InputLocation::Slot),
        (Some(_), Operation::Encrypt, TaskInput::Slot) => Ok(InputLocation::Slot),
        // Other bytes than those that a dead worker may have encrypted and written would
        // use a nonce twice: see the nonce rule in docs/queue.md.
        (Some(_), Operation::Encrypt, TaskInput::Private(_)) if claim.is_loaded() => {
            Ok(InputLocation::Slot)
        }
        (Some(_), Operation::Encrypt, TaskInput::Private(private)) => {
            // Main may read the progress mark from here on, so it must belong to this segment.
            private.mark_progress(0);
            at(Point::Claimed);
            claim.mark_loaded()?;
            Ok(InputLocation::Private(private))
        }
        // Decrypting the same chunks again is harmless.
        (Some(_), ..) => Ok(InputLocation::File),
    }
}
