//! Trees in stores, on one side of a run or on both: [`inputs`] finds files in folders and in
//! listings, and outputs go to a [`prefix`] or into a [`folder`]. What exists there is
//! [compared](compare) by the same rules as between folders.
//!
//! A store that is asked takes its time, so questions about the next files are under way together.

mod compare;
mod folder;
mod inputs;
mod next;
mod prefix;
mod prune;

use std::collections::VecDeque;

use cryptstream_engine::{BatchItem, Destination};

use self::compare::Pending;
use self::folder::FolderOutputs;
pub(crate) use self::inputs::encrypted_objects;
use self::inputs::{Found, Inputs};
use self::next::Next;
pub(crate) use self::next::max_in_flight;
use self::prefix::PrefixOutputs;
pub(super) use self::prune::prune;
use super::event::Event;
use super::plan::{Plan, Store};
use super::prune::IsKey;
use super::scan::TreeScan;
use crate::messages::Failure;

/// The files of a run with a store that are still to be processed.
pub(crate) struct ObjectItems<'a> {
    plan: &'a Plan,
    is_key: &'a IsKey<'a>,
    on_event: &'a mut dyn FnMut(Event),
    inputs: Inputs<'a>,
    outputs: Outputs<'a>,
    in_flight: usize,
    /// What comes next, in order.
    ahead: VecDeque<Next<Pending>>,
}

/// Where the outputs go.
enum Outputs<'a> {
    Prefix(PrefixOutputs),
    Folder(Box<FolderOutputs<'a>>),
}

impl<'a> ObjectItems<'a> {
    /// The items of `plan`.
    pub(super) fn new(
        plan: &'a Plan,
        store: &'a Store,
        scan: TreeScan,
        unusable: Vec<(usize, Failure)>,
        is_dry: bool,
        is_key: &'a IsKey<'a>,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Result<Self, Failure> {
        let outputs = match store {
            Store::From { output, .. } if crate::objects::url(output).is_none() => {
                Outputs::Folder(Box::new(FolderOutputs::new(plan, output, is_dry)?))
            }
            store => Outputs::Prefix(PrefixOutputs::new(plan, store)?),
        };
        let inputs = Inputs::new(plan, store, scan, unusable)?;
        let (in_flight, ahead) = (max_in_flight(), VecDeque::new());
        Ok(Self { plan, is_key, on_event, inputs, outputs, in_flight, ahead })
    }

    /// Ends the run. If it has failed, a folder that it has created is removed if it is empty.
    pub(super) fn finish(self, has_failed: impl Fn() -> bool) {
        if let Outputs::Folder(folder) = self.outputs
            && has_failed()
        {
            folder.remove_created_if_empty();
        }
    }

    fn begin(&mut self, found: Found) -> Next<Pending> {
        if let Some(file) = found.file()
            && (self.is_key)(&file.stat, &|| file.real_path())
        {
            return Next::Event(Event::Key(found.path));
        }
        match &mut self.outputs {
            Outputs::Prefix(prefix) => prefix.begin(self.plan, found),
            Outputs::Folder(folder) => folder.begin(self.plan, self.is_key, self.on_event, found),
        }
    }
}

impl Iterator for ObjectItems<'_> {
    type Item = BatchItem;

    fn next(&mut self) -> Option<BatchItem> {
        loop {
            while self.ahead.len() < self.in_flight {
                let next = match self.inputs.next() {
                    Some(Ok(found)) => self.begin(found),
                    Some(Err(event)) => Next::Event(event),
                    None => break,
                };
                self.ahead.push_back(next);
            }
            let next = match self.ahead.pop_front()? {
                Next::Pending(pending) => match &mut self.outputs {
                    Outputs::Prefix(_) => pending.settle(self.plan, None),
                    Outputs::Folder(folder) => pending.settle(self.plan, Some(folder.comparison())),
                },
                next => next,
            };
            match next {
                Next::Item(item) => return Some(item),
                Next::Event(event) => (self.on_event)(event),
                Next::Pending(_) => {}
            }
        }
    }
}

/// The first file that could be decrypted, whether or not its output exists.
pub(super) fn first_object(plan: &Plan, store: &Store) -> Option<BatchItem> {
    let mut inputs = Inputs::new(plan, store, TreeScan::default(), Vec::new()).ok()?;
    let found = inputs.find_map(Result::ok)?;
    let (len, origin) = (found.len, found.input.origin(found.len));
    Some(BatchItem { input: found.path, origin, len, output: Destination::Nowhere, guard: None })
}
