//! The files of a run, on whatever sides it has a store.

use cryptstream_engine::BatchItem;

use super::event::Event;
use super::objects::ObjectItems;
use super::plan::Plan;
use super::prune::IsKey;
use super::scan::TreeScan;
use super::work_items::WorkItems;
use crate::messages::Failure;

/// The files that are still to be processed.
pub(crate) enum Items<'a> {
    Files(Box<WorkItems<'a>>),
    Objects(Box<ObjectItems<'a>>),
}

impl<'a> Items<'a> {
    /// The items of `plan`. `unusable` says why other inputs cannot be used, each with the number
    /// of roots before it; each is reported in its turn.
    pub(crate) fn new(
        plan: &'a Plan,
        scan: TreeScan,
        unusable: Vec<(usize, Failure)>,
        is_dry: bool,
        is_key: &'a IsKey<'a>,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Result<Self, Failure> {
        Ok(match &plan.store {
            None => {
                let items = WorkItems::new(plan, scan, unusable, is_dry, is_key, on_event)?;
                Self::Files(Box::new(items))
            }
            Some(store) => {
                let items =
                    ObjectItems::new(plan, store, scan, unusable, is_dry, is_key, on_event)?;
                Self::Objects(Box::new(items))
            }
        })
    }

    /// Finishes all folders, and reports those that cannot be finished. If the run has failed by
    /// then, folders that it has created for its outputs are removed if they are empty.
    pub(crate) fn finish(self, has_failed: impl Fn() -> bool) {
        match self {
            Self::Files(items) => items.finish(has_failed),
            Self::Objects(items) => items.finish(has_failed),
        }
    }
}

impl Iterator for Items<'_> {
    type Item = BatchItem;

    fn next(&mut self) -> Option<BatchItem> {
        match self {
            Self::Files(items) => items.next(),
            Self::Objects(items) => items.next(),
        }
    }
}
