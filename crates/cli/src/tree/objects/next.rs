//! What is to be done about a file.

use cryptstream_engine::{BatchItem, Destination, Error};

use super::super::event::Event;
use super::super::plan::Plan;
use super::inputs::Found;
use crate::messages::{self, Failure};

/// How many files are looked at ahead, and worked on at once.
pub(crate) const IN_FLIGHT: usize = 64;

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
