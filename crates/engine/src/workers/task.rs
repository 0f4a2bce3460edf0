//! A segment in hand: the same steps for main and for a worker.

use cryptstream_shm::{Claim, Estate, RegionWords, Stale};

use super::faults::{Point, at};
use super::protocol::{encode_result, segment_of};
use crate::job::{Buffers, Failure, Feed, Job, Operation, Room};

/// Does the claimed segment of `job`, if there is such a job, and hands the
/// result over. A worker keeps in its `estate` what it seals; main needs none,
/// since when it dies nobody takes over.
pub(super) fn perform(
    mut claim: Claim<'_, RegionWords>,
    job: Option<&Job>,
    room: Room<'_>,
    estate: Option<&mut Estate>,
    buffers: &mut Buffers,
) -> Result<(), Stale> {
    let result = match job.and_then(|job| Some((job, segment_of(claim.task(), job)?))) {
        None => Err(Failure::Internal),
        Some((job, segment)) => {
            let feed = choose(&mut claim, job, estate)?;
            job.run(&segment, feed, Some(room), buffers)
        }
    };
    claim.mark_loaded()?;
    at(Point::Written);
    claim.complete(&encode_result(result))?;
    at(Point::Done);
    Ok(())
}

/// Where the input is to come from.
fn choose<'a>(
    claim: &mut Claim<'_, RegionWords>,
    job: &Job,
    estate: Option<&'a mut Estate>,
) -> Result<Feed<'a>, Stale> {
    match (&job.input, job.operation, estate) {
        (None, ..) => Ok(Feed::Slot),
        // Sealing other bytes than a dead worker may have sealed and written
        // would use a nonce twice: see the nonce rule in docs/queue.md.
        (Some(_), Operation::Seal, _) if claim.is_loaded() => Ok(Feed::Slot),
        (Some(_), Operation::Seal, Some(estate)) => {
            // From here on the heir looks at the note, so it must be of this
            // segment.
            estate.note(0);
            at(Point::Claimed);
            claim.mark_loaded()?;
            Ok(Feed::Kept(estate))
        }
        // Opening the same chunks again is harmless.
        (Some(_), ..) => Ok(Feed::File),
    }
}
