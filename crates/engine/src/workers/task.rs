//! A segment in hand: the same steps for main and for a worker.

use cryptstream_format::Segment;
use cryptstream_shm::{Claim, Estate, RegionWords, Stale};

use super::protocol::encode_result;
use crate::fault_points::{Point, at};
use crate::job::{Buffers, Failure, Feed, Job, Operation, Room};

/// Where the one that does a segment takes its input from.
pub(super) enum Source<'a> {
    /// A worker reads it, and keeps in its estate what it encrypts.
    Estate(&'a mut Estate),
    /// Main reads it: when main dies nobody takes over.
    File,
    /// Main has put it into the slot's buffer itself, and knows so from its own
    /// table.
    Slot,
}

/// Does the claimed segment of a job, if there is such a job, and hands the
/// result over.
pub(super) fn perform(
    mut claim: Claim<'_, RegionWords>,
    work: Option<(&Job, Segment)>,
    room: Room<'_>,
    source: Source<'_>,
    buffers: &mut Buffers,
) -> Result<(), Stale> {
    let result = match work {
        None => Err(Failure::Internal),
        Some((job, segment)) => {
            let feed = choose(&mut claim, job, source)?;
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
    source: Source<'a>,
) -> Result<Feed<'a>, Stale> {
    match (&job.input, job.operation, source) {
        (None, ..) => Ok(Feed::Slot),
        (Some(_), Operation::Seal, Source::Slot) => Ok(Feed::Slot),
        // Sealing other bytes than a dead worker may have sealed and written
        // would use a nonce twice: see the nonce rule in docs/queue.md.
        (Some(_), Operation::Seal, Source::Estate(_)) if claim.is_loaded() => Ok(Feed::Slot),
        (Some(_), Operation::Seal, Source::Estate(estate)) => {
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
