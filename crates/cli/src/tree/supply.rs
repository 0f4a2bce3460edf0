//! The second time through: one file after the other for the engine, the largest
//! first; folders and links on the way.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_engine::{Item, Target};

use super::mirror;
use super::plan::{Fate, Plan, Root};
use super::survey::Survey;
use super::walk::Found;
use crate::messages::{Failure, tree as words};

/// The most that a header adds to a file, and the tags of so much of it.
const MAX_HEADER: u64 = 1 << 20;

/// Something that happens on the way.
#[derive(Debug)]
pub(crate) enum Event {
    /// A folder was made, or was there.
    Folder,
    /// A link was made.
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
    named: std::collections::HashSet<PathBuf>,
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
        let (large, twins) = (large.into_iter(), Twins::default());
        Self { plan, large, named, root: 0, entries: None, is_dry, is_key, on_event, twins }
    }

    /// What is to be done about something that was found, if it is a file.
    fn treat(&mut self, number: usize, found: Found) -> Option<Item> {
        let plan = self.plan;
        let root = &plan.roots[number];
        let event = match plan.fate(root, &found) {
            Fate::File(_) if self.named.contains(&found.path) => return None,
            Fate::File(output) => return self.file(root, found, output),
            Fate::Folder(_) if self.is_dry => Event::Folder,
            Fate::Folder(output) => mirror::folder(&output, &found.metadata)
                .map_or_else(Event::Failed, |()| Event::Folder),
            Fate::Link(_) if self.is_dry => Event::Link,
            Fate::Link(output) => {
                match mirror::link(&found.path, &output, &found.metadata, plan.force) {
                    Ok(true) => Event::Link,
                    Ok(false) => Event::Kept(0),
                    Err(failure) => Event::Failed(failure),
                }
            }
            Fate::Special => Event::Special(found.path),
            Fate::NotSealed => Event::NotSealed(found.path),
        };
        (self.on_event)(event);
        None
    }

    fn file(&mut self, root: &Root, found: Found, output: PathBuf) -> Option<Item> {
        if (self.is_key)(&found.metadata) {
            (self.on_event)(Event::Key(found.path));
            return None;
        }
        let len = found.metadata.len();
        let force = match self.present(&found, &output) {
            Ok(Present::Nothing) => self.plan.force,
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
        if self.plan.force {
            return Ok(Present::ToReplace);
        }
        let time = |metadata: &fs::Metadata| (metadata.mtime(), metadata.mtime_nsec());
        let (now, then) = (time(&found.metadata), time(&there));
        let longer = found.metadata.len().max(there.len());
        let difference = found.metadata.len().abs_diff(there.len());
        // A tag of 16 bytes for each chunk of 16 KiB or more, and a header.
        let is_plausible = difference <= MAX_HEADER + longer / 1000;
        match there.is_file() {
            true if now == then && is_plausible => match self.twins.has(&found.path, output) {
                true => Err(words::case_twin(output)),
                false => Ok(Present::Fresh),
            },
            true if self.plan.newer && then < now => Ok(Present::ToReplace),
            true if self.plan.newer => Ok(Present::Fresh),
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
            if let Err(failure) = made {
                (self.on_event)(Event::Failed(failure));
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

/// What stands under the output's name.
enum Present {
    Nothing,
    /// The output of an earlier run.
    Fresh,
    ToReplace,
}

/// On a file system that does not tell upper from lower case, another file's
/// output may be found under this one's name, and be taken for it.
#[derive(Default)]
struct Twins {
    /// Of the folder that was looked at last, how often each name occurs.
    folder: PathBuf,
    names: HashMap<String, usize>,
}

impl Twins {
    fn has(&mut self, input: &Path, output: &Path) -> bool {
        let (Some(name), Some(folder)) = (output.file_name(), input.parent()) else { return false };
        let text = name.to_string_lossy();
        let swap = |c: char| {
            if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }
        };
        let swapped: String = text.chars().map(swap).collect();
        if swapped == text {
            return false;
        }
        let id =
            |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
        let other = id(&output.with_file_name(&swapped));
        if other.is_none() || other != id(output) {
            return false;
        }
        if self.folder != folder {
            self.names.clear();
            folder.clone_into(&mut self.folder);
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                *self.names.entry(lower(&entry.file_name())).or_default() += 1;
            }
        }
        input.file_name().is_some_and(|name| self.names.get(&lower(name)).is_some_and(|n| *n > 1))
    }
}

fn lower(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}
