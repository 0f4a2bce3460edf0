//! Follows what becomes of the objects of a shard.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use cryptstream_engine::{BatchItem, Error, Summary};

use super::receipt_writer::Note;
use crate::commands::tree::{Settled, Track};
use crate::messages::{self, Context, Failure, code};
use crate::tree::{CurrentObject, Plan, is_up_to_date};

/// Follows what becomes of the objects of a shard, and has receipts written for them.
pub(super) struct Tracker {
    current: CurrentObject,
    /// The objects in progress, by the number of their file.
    begun: RefCell<HashMap<usize, Begun>>,
    count: Cell<usize>,
    notes: SyncSender<Note>,
    may_pass: Cell<bool>,
}

/// An object in progress.
struct Begun {
    object: u64,
    /// The path of its output below the target.
    output: PathBuf,
    item: BatchItem,
}

impl Tracker {
    pub(super) fn new(current: CurrentObject, notes: SyncSender<Note>) -> Self {
        let (begun, count, may_pass) = (RefCell::default(), Cell::new(0), Cell::new(false));
        Self { current, begun, count, notes, may_pass }
    }

    /// Whether another attempt may do what has failed.
    pub(super) fn may_pass(&self) -> bool {
        self.may_pass.get()
    }

    fn note(&self, note: Note) {
        // If the thread has ended, it tells why.
        let _ = self.notes.send(note);
    }

    fn note_failure(&self, object: u64, failure: &Failure) {
        self.may_pass.set(self.may_pass.get() || failure.code == code::TRY_AGAIN);
        let (code, kind) = (failure.code, failure.kind().to_owned());
        self.note(Note::Failed { object, code, kind });
    }
}

impl Track for Tracker {
    fn begun(&self, item: &BatchItem) {
        let number = self.count.replace(self.count.get() + 1);
        if let Some((object, output)) = self.current.borrow().clone() {
            self.begun.borrow_mut().insert(number, Begun { object, output, item: item.clone() });
        }
    }

    fn kept(&self) {
        if let Some((object, output)) = self.current.borrow().clone() {
            self.note(Note::Done { object, output, kept: true });
        }
    }

    fn refused(&self, failure: &Failure) {
        match *self.current.borrow() {
            Some((object, _)) => self.note_failure(object, failure),
            None => self.may_pass.set(self.may_pass.get() || failure.code == code::TRY_AGAIN),
        }
    }

    fn settle(
        &self,
        number: usize,
        result: Result<Summary, Error>,
        plan: &Plan,
        context: Context,
    ) -> Settled {
        let Some(Begun { object, output, item }) = self.begun.borrow_mut().remove(&number) else {
            return Settled::Unchanged(result);
        };
        let error = match result {
            Ok(summary) => {
                self.note(Note::Done { object, output, kept: false });
                return Settled::Unchanged(Ok(summary));
            }
            Err(error) => error,
        };
        let failure = match error {
            // Another attempt at this shard was faster.
            Error::OutputExists { .. } if is_up_to_date(plan, &item) => {
                self.note(Note::Done { object, output, kept: true });
                return Settled::Kept(item.len);
            }
            Error::OutputExists { path } => messages::tree::output_appeared(&path),
            Error::InputChanged { path } => messages::job::source_changed(&path),
            error => messages::engine(error, context),
        };
        self.note_failure(object, &failure);
        Settled::Failed(failure)
    }
}
