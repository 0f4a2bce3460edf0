//! What is to be done about a file.

use cryptstream_engine::{BatchItem, Destination, Error};
use rustix::process::{Resource, getrlimit};

use super::super::event::Event;
use super::super::plan::Plan;
use super::inputs::Found;
use crate::messages::{self, Failure};

/// How many files are looked at ahead, and worked on at once, if there are descriptors for so many.
const MAX_IN_FLIGHT: usize = 64;
/// Descriptors of everything else, such as open folders.
const OTHER_DESCRIPTORS: usize = 64;
/// Descriptors of a file that is worked on, and of one that is looked at.
const DESCRIPTORS_EACH: usize = 6;

/// How many files are looked at ahead, and worked on at once.
pub(crate) fn max_in_flight() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let possible = limit.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS_EACH;
    possible.clamp(1, MAX_IN_FLIGHT)
}

/// What is to be done about a file.
pub(super) enum Next<Pending> {
    Event(Event),
    Item(BatchItem),
    /// The store has been asked.
    Pending(Box<Pending>),
}

impl<Pending> Next<Pending> {
    /// To process an input.
    pub(super) fn item(found: Found, output: Destination) -> Self {
        let (len, origin) = (found.len, found.input.origin(found.len));
        Self::Item(BatchItem { input: found.path, origin, len, output, guard: None })
    }

    pub(super) fn failed(failure: Failure) -> Self {
        Self::Event(Event::Failed(failure))
    }

    /// An error of the engine about an input or an output.
    pub(super) fn failed_by(error: Error, plan: &Plan) -> Self {
        Self::failed(messages::engine(error, plan.verb()))
    }
}
