//! Follows what becomes of each file of a run.

use cryptstream_engine::{BatchItem, Error, Summary};

use crate::messages::{Context, Failure};
use crate::tree::Plan;

/// Follows what becomes of each file of a run.
pub(crate) trait Track {
    /// The file of the present step is begun. The files are numbered in this order, from 0.
    fn begun(&self, item: &BatchItem);

    /// The file of the present step is up to date.
    fn kept(&self);

    /// The file of the present step, if there is one, cannot be begun.
    fn refused(&self, failure: &Failure);

    /// A file is done, or has failed. Decides what that means.
    fn settle(
        &self,
        number: usize,
        result: Result<Summary, Error>,
        plan: &Plan,
        context: Context,
    ) -> Settled;
}

/// What the end of a file means.
pub(crate) enum Settled {
    /// What it usually means.
    Unchanged(Result<Summary, Error>),
    /// Another process has written the same output, from this many bytes.
    Kept(u64),
    /// It has failed.
    Failed(Failure),
}
