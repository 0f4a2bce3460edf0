//! Removes from a prefix what the folder no longer has: encrypted files, by their suffix and their
//! first bytes.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, Folder};
use cryptstream_engine::{Error, Inspection};
use cryptstream_remote::{ObjectUrl, Opening, Removal};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::super::event::Event;
use super::super::plan::Plan;
use super::super::root::Root;
use super::inputs::listing;
use super::next::max_in_flight;
use crate::file_names::is_encrypted_name;
use crate::messages::{self, Failure};
use crate::objects;

/// How much of an object tells whether it is encrypted.
const HEADER: u64 = 4 << 10;

/// Removes from each prefix what its folder no longer has.
pub(in super::super) fn prune(plan: &Plan, is_dry: bool, on_event: &mut dyn FnMut(Event)) {
    for root in &plan.roots {
        let Some(original) = &root.folder else { continue };
        let mut pruning = Pruning {
            plan,
            is_dry,
            on_event,
            in_flight: max_in_flight(),
            opening: VecDeque::new(),
            removing: VecDeque::new(),
        };
        let result = pruning.root(root, original);
        pruning.settle(0);
        if let Err(failure) = result {
            on_event(Event::Failed(failure));
        }
    }
}

struct Pruning<'a> {
    plan: &'a Plan,
    is_dry: bool,
    on_event: &'a mut dyn FnMut(Event),
    in_flight: usize,
    /// Objects whose first bytes were asked for.
    opening: VecDeque<(ObjectUrl, Opening)>,
    /// Objects that are being deleted.
    removing: VecDeque<(ObjectUrl, Removal)>,
}

impl Pruning<'_> {
    fn root(&mut self, root: &Root, original: &Arc<Folder>) -> Result<(), Failure> {
        let unreadable = |path: &Path, error: Errno| messages::unreadable(path, &error.into());
        let original = original.dir().map_err(|error| unreadable(&root.input, error))?;
        let names = original.entries().map_err(|error| unreadable(&root.input, error))?;
        let has_nothing = { names }.next().is_none();
        let filter = self.plan.rules.key_filter()?;
        let prefix = objects::required_url(&root.output)?.to_prefix();
        let failed = |source| {
            let error = Error::Open { path: objects::shown(&prefix), source };
            messages::engine(error, self.plan.verb())
        };
        for object in listing(self.plan, &prefix)? {
            let key = object.map_err(failed)?.key;
            let Some(below) = key.strip_prefix(prefix.key()).map(Path::new) else { continue };
            // What else is there was not written by this program.
            let Ok(url) = prefix.at(&key) else { continue };
            if url.is_prefix() || !is_encrypted_name(below) {
                continue;
            }
            let relative = below.with_extension("");
            if !filter.wants(&relative) {
                continue;
            }
            let has_origin = self.has_origin(&original, &relative, below);
            if has_origin.map_err(|error| unreadable(&root.input.join(&relative), error))? {
                continue;
            }
            if has_nothing {
                return Err(messages::tree::nothing_left(&root.input, &root.output));
            }
            match objects::begin_open(&url, HEADER) {
                Ok(opening) => self.opening.push_back((url, opening)),
                Err(error) => self.fail(messages::engine(error, self.plan.verb())),
            }
            self.settle(self.in_flight);
        }
        Ok(())
    }

    /// Whether the folder has a file that becomes this object.
    fn has_origin(&self, original: &Dir, relative: &Path, below: &Path) -> Result<bool, Errno> {
        let name = |path: &Path| path.file_name().map(OsStr::to_owned);
        let is_own_name = || {
            let output = relative.file_name().and_then(|own| self.plan.naming.apply(own));
            output == name(below)
        };
        match original.stat(relative) {
            Ok(stat) => {
                let kind = FileType::from_raw_mode(stat.st_mode);
                Ok(kind == FileType::RegularFile && is_own_name())
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits for answers until there are not more than `left` outstanding of each kind.
    fn settle(&mut self, left: usize) {
        while self.opening.len() > left {
            let Some((url, opening)) = self.opening.pop_front() else { return };
            let opened = opening.finish().map(|source| source.parsed_by(&self.plan.parser));
            let inspected = opened.and_then(|mut source| Inspection::of(&mut source).map(drop));
            match inspected {
                Err(Error::NotEncrypted { head, .. }) if !head.is_empty() => {
                    (self.on_event)(Event::Foreign(objects::shown(&url)));
                }
                Err(error @ Error::Open { .. }) => {
                    self.fail(messages::engine(error, self.plan.verb()));
                }
                // A truncated one is ours too.
                _ if self.is_dry => (self.on_event)(Event::Removed(objects::shown(&url))),
                _ => match objects::begin_remove(&url) {
                    Ok(removal) => self.removing.push_back((url, removal)),
                    Err(error) => self.removed(&url, Err(error)),
                },
            }
        }
        while self.removing.len() > left {
            let Some((url, removal)) = self.removing.pop_front() else { return };
            self.removed(&url, removal.finish());
        }
    }

    fn removed(&mut self, url: &ObjectUrl, result: io::Result<()>) {
        let path = objects::shown(url);
        match result {
            Ok(()) => (self.on_event)(Event::Removed(path)),
            Err(error) => self.fail(messages::tree::remove_failed(&path, &error)),
        }
    }

    fn fail(&mut self, failure: Failure) {
        (self.on_event)(Event::Failed(failure));
    }
}
