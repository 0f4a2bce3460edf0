//! The second time through: one file after the other for the engine, the largest
//! first; folders and links on the way.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_engine::{Inspection, Item, Source, Target};

use super::mirror;
use super::plan::{Fate, Naming, Plan, Root};
use super::survey::Survey;
use super::twins::Twins;
use super::walk::Found;
use crate::messages::{self, Failure, tree as words};

/// Something that happens on the way.
#[derive(Debug)]
pub(crate) enum Event {
    /// A folder was made, or was there.
    Folder,
    /// A link was made, or was there.
    Link,
    /// The output was there and is right: so many bytes need not be done.
    Kept(u64),
    /// Neither file nor folder nor link.
    Special(PathBuf),
    /// A file to be opened whose name is not that of a sealed one.
    NotSealed(PathBuf),
    /// A file that a key of this run was read from.
    Key(PathBuf),
    Failed(Failure),
}

type Entries<'a> = Box<dyn Iterator<Item = Result<Found, Failure>> + 'a>;

/// What is still to be done.
pub(crate) struct Supply<'a> {
    plan: &'a Plan,
    large: std::vec::IntoIter<(usize, Found, PathBuf)>,
    /// Names of those that came first.
    named: HashSet<PathBuf>,
    /// Folders of the copy that could not be made: what belongs into them is not
    /// done, least of all through a link that stands there.
    barred: HashSet<PathBuf>,
    root: usize,
    entries: Option<Entries<'a>>,
    /// Nothing is changed, only told.
    is_dry: bool,
    is_key: &'a dyn Fn(&fs::Metadata) -> bool,
    on_event: &'a mut dyn FnMut(Event),
    twins: Twins,
}

impl<'a> Supply<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        survey: Survey,
        is_dry: bool,
        is_key: &'a dyn Fn(&fs::Metadata) -> bool,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Self {
        let Survey { large, named, .. } = survey;
        let (large, twins, barred) = (large.into_iter(), Twins::default(), HashSet::new());
        Self { plan, large, named, barred, root: 0, entries: None, is_dry, is_key, on_event, twins }
    }

    /// What is to be done about something that was found, if it is a file.
    fn treat(&mut self, number: usize, found: Found) -> Option<Item> {
        let plan = self.plan;
        let root = &plan.roots[number];
        if self.is_barred(root, &found.relative) {
            return None;
        }
        let event = match plan.fate(root, &found) {
            Fate::File(_) if self.named.contains(&found.path) => return None,
            Fate::File(output) => return self.file(root, found, output),
            Fate::Folder(_) if self.is_dry => Event::Folder,
            Fate::Folder(output) => match mirror::folder(&output, &found.metadata) {
                Ok(()) => Event::Folder,
                Err(failure) => {
                    self.bar(output, failure);
                    return None;
                }
            },
            Fate::Link(_) if self.is_dry => Event::Link,
            Fate::Link(output) => mirror::link(&found.path, &output, &found.metadata, plan.force)
                .map_or_else(Event::Failed, |()| Event::Link),
            Fate::Special => Event::Special(found.path),
            Fate::NotSealed => Event::NotSealed(found.path),
        };
        (self.on_event)(event);
        None
    }

    /// A folder of the copy could not be made.
    fn bar(&mut self, folder: PathBuf, failure: Failure) {
        if self.barred.insert(folder) {
            (self.on_event)(Event::Failed(failure));
        }
    }

    fn is_barred(&self, root: &Root, relative: &Path) -> bool {
        let is_barred = |above: &Path| self.barred.contains(&root.output.join(above));
        !self.barred.is_empty() && relative.ancestors().any(is_barred)
    }

    /// Gives the folders of the copy the times of the originals, when everything
    /// is in them.
    pub(crate) fn finish(&mut self) {
        mirror::finish_folders(self.plan, &self.barred, |failure| {
            (self.on_event)(Event::Failed(failure));
        });
    }

    fn file(&mut self, root: &Root, found: Found, output: PathBuf) -> Option<Item> {
        if (self.is_key)(&found.metadata) {
            (self.on_event)(Event::Key(found.path));
            return None;
        }
        let len = found.metadata.len();
        let force = match self.present(&found, &output) {
            // Not even with --force: what comes there meanwhile may be another file
            // of this run, where upper and lower case are the same.
            Ok(Present::Nothing) => false,
            Ok(Present::ToReplace) => true,
            Ok(Present::Fresh) => {
                (self.on_event)(Event::Kept(len));
                return None;
            }
            Err(failure) => {
                (self.on_event)(Event::Failed(failure));
                return None;
            }
        };
        let beneath = root.folder.as_ref().map(|folder| (Arc::clone(folder), found.relative));
        let target = Some(Target::Path { path: output, force });
        Some(Item { input: found.path, beneath, len, target })
    }

    /// What stands under the output's name, and what that means.
    fn present(&mut self, found: &Found, output: &Path) -> Result<Present, Failure> {
        let there = match fs::symlink_metadata(output) {
            Ok(there) => there,
            // Also where nothing can be there, which is reported when it is made.
            Err(_) => return Ok(Present::Nothing),
        };
        if (self.is_key)(&there) {
            return Err(messages::key_is_output(output));
        }
        if self.plan.force {
            return match there.is_file() {
                // What this very run has written must stay.
                true if self.twins.has(&found.path, output) => Err(words::case_twin(output)),
                true => Ok(Present::ToReplace),
                // Least of all what a link leads to.
                false => Err(words::not_a_file(output)),
            };
        }
        let time = |metadata: &fs::Metadata| (metadata.mtime(), metadata.mtime_nsec());
        let (now, then) = (time(&found.metadata), time(&there));
        let is_own = || match self.plan.naming {
            Naming::Add(_) => plaintext_len(output) == Some(found.metadata.len()),
            Naming::TakeOff(_) => plaintext_len(&found.path) == Some(there.len()),
        };
        match there.is_file() {
            true if now == then && is_own() => match self.twins.has(&found.path, output) {
                true => Err(words::case_twin(output)),
                false => Ok(Present::Fresh),
            },
            true if self.plan.newer && then < now => Ok(Present::ToReplace),
            true if self.plan.newer && then > now => Ok(Present::Fresh),
            _ => Err(words::exists(output)),
        }
    }

    /// The roots' files and folders, one after the other.
    fn next_found(&mut self) -> Option<(usize, Result<Found, Failure>)> {
        loop {
            if let Some(found) = self.entries.as_mut().and_then(Iterator::next) {
                return Some((self.root - 1, found));
            }
            let number = self.root;
            let root = self.plan.roots.get(number)?;
            self.root += 1;
            if root.folder.is_none() {
                self.entries = None;
                let (path, metadata) = (root.input.clone(), root.metadata.clone());
                return Some((number, Ok(Found { path, relative: PathBuf::new(), metadata })));
            }
            match self.plan.rules.walk(root) {
                Ok(entries) => self.entries = Some(Box::new(entries)),
                Err(failure) => return Some((number, Err(failure))),
            }
        }
    }

    /// Makes what all roots stand on.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        match self.is_dry {
            true => Ok(()),
            false => self.plan.roots.iter().try_for_each(mirror::root),
        }
    }
}

impl Iterator for Supply<'_> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while let Some((number, found, output)) = self.large.next() {
            let root = &self.plan.roots[number];
            let made = match self.is_dry {
                true => Ok(()),
                false => mirror::folders_of(root, &found.relative),
            };
            if let Err((folder, failure)) = made {
                self.bar(folder, failure);
            } else if let Some(item) = self.file(root, found, output) {
                return Some(item);
            }
        }
        loop {
            let (number, found) = self.next_found()?;
            match found {
                Ok(found) if self.plan.roots[number].folder.is_none() => {
                    // A file that was named, under the name that was settled.
                    let root = &self.plan.roots[number];
                    let item = match root.metadata.is_file() {
                        true => self.file(root, found, root.output.clone()),
                        false => {
                            (self.on_event)(Event::Special(found.path));
                            None
                        }
                    };
                    if item.is_some() {
                        return item;
                    }
                }
                Ok(found) => {
                    if let Some(item) = self.treat(number, found) {
                        return Some(item);
                    }
                }
                Err(failure) => (self.on_event)(Event::Failed(failure)),
            }
        }
    }
}

/// How much is in a sealed file, going by its header and its length.
fn plaintext_len(sealed: &Path) -> Option<u64> {
    let seen = Inspection::of(&mut Source::open(sealed).ok()?).ok()?;
    seen.layout()?.ok().map(|layout| layout.plaintext_len())
}

/// What stands under the output's name.
enum Present {
    Nothing,
    /// The output of an earlier run.
    Fresh,
    ToReplace,
}
