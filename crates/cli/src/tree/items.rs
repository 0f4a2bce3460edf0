//! The files of a run, on whatever sides it has a store.

use cryptstream_engine::BatchItem;

use super::event::Event;
use super::objects::{self, ObjectItems};
use super::plan::Plan;
use super::prune::{IsKey, Prune};
use super::scan::TreeScan;
use super::work_items::WorkItems;
use crate::messages::{self, Failure};

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

/// Removes from every copy what the original does not have, if that was asked for. After a failure
/// nothing is removed: the original may merely be unreadable.
pub(crate) fn prune(
    plan: &Plan,
    is_clean: bool,
    is_dry: bool,
    is_key: &IsKey<'_>,
    on_event: &mut dyn FnMut(Event),
) {
    match plan.store {
        _ if !plan.delete => {}
        _ if !is_clean => messages::warn(messages::tree::not_removed()),
        None => Prune { plan, is_dry, is_key, on_event }.all(),
        Some(_) => objects::prune(plan, is_dry, on_event),
    }
}
