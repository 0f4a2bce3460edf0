//! The files of a run with a store: those in folders, or those in a listing.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use cryptstream_beneath::WalkEntry;
use cryptstream_engine::program::is_leftover;
use cryptstream_engine::{Error, ObjectError, ObjectErrorKind, Origin};
use cryptstream_remote::{ListedObject, Listing, ObjectUrl};

use super::super::compare::SourceFile;
use super::super::event::Event;
use super::super::plan::{Action, Plan, Store};
use super::super::scan::TreeScan;
use super::super::steps::{Step, Steps};
use super::super::walk::{KeyFilter, entry, join, len};
use crate::file_names::is_encrypted_name;
use crate::messages::{self, Failure};
use crate::objects;
use crate::request::Input;

/// The suffix of objects that stand for folders, as Hadoop writes them.
const FOLDER_SUFFIX: &str = "_$folder$";

/// A file or an object to be encrypted or decrypted.
pub(super) struct Found {
    /// Its path or its URL, for messages.
    pub(super) path: PathBuf,
    pub(super) input: FoundInput,
    /// Its length in bytes.
    pub(super) len: u64,
    /// What its output is below; a file that the user has named has its output's own name here.
    pub(super) root: PathBuf,
    /// The output's path below it; empty for a file that the user has named.
    pub(super) relative: PathBuf,
}

pub(super) enum FoundInput {
    File(Box<SourceFile>),
    Object(ObjectUrl),
}

impl FoundInput {
    /// How it is opened. `len` is its length.
    pub(super) fn origin(self, len: u64) -> Origin {
        match self {
            Self::File(file) => file.entry.map_or(Origin::Path, Origin::Entry),
            Self::Object(url) => Origin::Object(objects::stored(url, len)),
        }
    }
}

impl Found {
    /// The file, if it is one of this system.
    pub(super) fn file(&self) -> Option<&SourceFile> {
        match &self.input {
            FoundInput::File(file) => Some(file),
            FoundInput::Object(_) => None,
        }
    }
}

/// What is found, and what happens on the way.
pub(super) enum Inputs<'a> {
    Files(Box<Files<'a>>),
    Objects(Box<Objects<'a>>),
}

impl<'a> Inputs<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        store: &'a Store,
        scan: TreeScan,
        unusable: Vec<(usize, Failure)>,
    ) -> Result<Self, Failure> {
        Ok(match store {
            Store::To => Self::Files(Box::new(Files::new(plan, scan, unusable))),
            Store::From { input, output } => Self::Objects(Box::new(Objects {
                plan,
                prefix: input,
                output,
                listing: Some(listing(plan, input)?),
                filter: plan.rules.key_filter()?,
                has_any: false,
            })),
        })
    }
}

impl Iterator for Inputs<'_> {
    type Item = Result<Found, Event>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Files(files) => files.next(),
            Self::Objects(objects) => objects.next(),
        }
    }
}

/// Files in folders, the largest first.
pub(super) struct Files<'a> {
    plan: &'a Plan,
    steps: Steps<'a>,
    ready: VecDeque<Result<Found, Event>>,
    /// Folders of the largest files, by root and path.
    with_large: HashSet<(usize, PathBuf)>,
    /// The last entry, if it is a folder, in which nothing was found so far.
    empty: Option<(usize, PathBuf)>,
}

impl<'a> Files<'a> {
    fn new(plan: &'a Plan, scan: TreeScan, unusable: Vec<(usize, Failure)>) -> Self {
        Self {
            plan,
            steps: Steps::new(plan, scan, unusable),
            ready: VecDeque::new(),
            with_large: HashSet::new(),
            empty: None,
        }
    }

    fn next(&mut self) -> Option<Result<Found, Event>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            match self.steps.next() {
                Some(step) => self.take(step),
                None if self.empty.is_some() => self.leave_folder(None),
                None => return None,
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Root(_) => self.leave_folder(None),
            Step::Failed(failure) => {
                // It may be about what is in the folder.
                self.empty = None;
                self.ready.push_back(Err(Event::Failed(failure)));
            }
            Step::LargeFile(number, found, name) => {
                let above = found.relative.parent().unwrap_or(Path::new(""));
                self.with_large.insert((number, above.to_owned()));
                self.file(number, found, &name);
            }
            // Only shards of jobs have them, whose objects are files.
            Step::Kept(len) => self.ready.push_back(Err(Event::Kept(len))),
            Step::NamedFile(number) => {
                self.leave_folder(None);
                self.named_file(number);
            }
            Step::Entry(number, found, action) => {
                self.leave_folder(Some((number, &found.relative)));
                self.entry(number, found, action);
            }
        }
    }

    fn entry(&mut self, number: usize, found: WalkEntry, action: Action) {
        let path = join(&self.plan.roots[number].input, &found.relative);
        let event = match action {
            Action::File(name) => return self.file(number, found, &name),
            Action::Folder => {
                self.empty = Some((number, found.relative));
                return;
            }
            Action::Temporary => Event::Temporary(path),
            Action::Link => Event::NotInStores(path, messages::objects::LINK),
            Action::NotEncrypted if is_leftover(&found.name) => Event::Leftover(path),
            Action::NotEncrypted => Event::NotEncrypted(path),
            Action::Special => Event::Special(path),
        };
        self.ready.push_back(Err(event));
    }

    /// Reports the last entry if it is a folder, and the next one is not in it.
    fn leave_folder(&mut self, next: Option<(usize, &Path)>) {
        let Some((number, folder)) = self.empty.take() else { return };
        let is_in_it = next.is_some_and(|(at, path)| at == number && path.starts_with(&folder));
        let path = join(&self.plan.roots[number].input, &folder);
        if !is_in_it && !self.with_large.contains(&(number, folder)) {
            let event = Event::NotInStores(path, messages::objects::EMPTY_FOLDER);
            self.ready.push_back(Err(event));
        }
    }

    fn file(&mut self, number: usize, found: WalkEntry, name: &std::ffi::OsStr) {
        let root = &self.plan.roots[number];
        let path = join(&root.input, &found.relative);
        if is_leftover(&found.name) {
            self.ready.push_back(Err(Event::Leftover(path.clone())));
        }
        let (stat, relative) = (found.stat, found.relative.with_file_name(name));
        let file = SourceFile { path: path.clone(), entry: Some(entry(found)), stat };
        self.ready.push_back(Ok(Found {
            path,
            input: FoundInput::File(Box::new(file)),
            len: len(stat.st_size),
            root: root.output.clone(),
            relative,
        }));
    }

    fn named_file(&mut self, number: usize) {
        let root = &self.plan.roots[number];
        let (path, stat) = (root.input.clone(), root.stat);
        let file = SourceFile { path: path.clone(), entry: None, stat };
        self.ready.push_back(Ok(Found {
            path,
            input: FoundInput::File(Box::new(file)),
            len: len(stat.st_size),
            root: root.output.clone(),
            relative: PathBuf::new(),
        }));
    }
}

/// Objects below a prefix.
pub(super) struct Objects<'a> {
    plan: &'a Plan,
    prefix: &'a ObjectUrl,
    output: &'a Path,
    /// `None` when it has ended.
    listing: Option<Listing>,
    filter: KeyFilter,
    has_any: bool,
}

impl Objects<'_> {
    fn next(&mut self) -> Option<Result<Found, Event>> {
        loop {
            match self.listing.as_mut()?.next() {
                Some(Ok(object)) => {
                    self.has_any = true;
                    let found = self.object(&object);
                    if found.is_some() {
                        return found;
                    }
                }
                Some(Err(source)) => {
                    self.listing = None;
                    let error = Error::Open { path: objects::shown(self.prefix), source };
                    let failure = messages::engine(error, self.plan.verb());
                    return Some(Err(Event::Failed(failure)));
                }
                None => {
                    self.listing = None;
                    let is_missing = !self.has_any;
                    let failure = || messages::objects::nothing_below(&objects::shown(self.prefix));
                    return is_missing.then(|| Err(Event::Failed(failure())));
                }
            }
        }
    }

    /// What becomes of a listed object; `None` if nothing.
    fn object(&mut self, ListedObject { key, len }: &ListedObject) -> Option<Result<Found, Event>> {
        let path = shown_key(self.prefix, key);
        let rest = key.strip_prefix(self.prefix.key())?;
        if *len == 0 && (rest.is_empty() || rest.ends_with('/') || rest.ends_with(FOLDER_SUFFIX)) {
            return None;
        }
        let refused = |failure| Some(Err(Event::Failed(failure)));
        if rest.is_empty() || rest.ends_with('/') {
            return refused(messages::objects::bad_key(&path, messages::objects::NO_FILE_NAME));
        }
        let url = match self.prefix.at(key) {
            Ok(url) => url,
            Err(error) => {
                return refused(messages::objects::bad_key(&path, &error.problem().to_string()));
            }
        };
        let relative = Path::new(rest);
        if !self.filter.wants(relative) {
            return None;
        }
        let Some(name) = relative.file_name().and_then(|name| self.plan.naming.apply(name)) else {
            return Some(Err(Event::NotEncrypted(path)));
        };
        Some(Ok(Found {
            path,
            input: FoundInput::Object(url),
            len: *len,
            root: self.output.to_owned(),
            relative: relative.with_file_name(name),
        }))
    }
}

/// The encrypted objects below a prefix, with their lengths, and what cannot be read.
pub(crate) fn encrypted_objects(
    prefix: &ObjectUrl,
) -> impl Iterator<Item = (Input, Option<u64>)> + use<> {
    let prefix = prefix.clone();
    let unlisted = |path: PathBuf, kind, message: String| {
        Some((Input::Unlisted(path, ObjectError::new(kind, message)), None))
    };
    let (listing, error) = match objects::list(&prefix) {
        Ok(listing) => (Some(listing), None),
        Err(error) => (None, Some(std::io::Error::other(error.to_string()))),
    };
    let found = listing.into_iter().flatten().chain(error.map(Err));
    found.filter_map(move |found| match found {
        Ok(object) if !is_encrypted_name(object.key.as_ref()) || object.key.ends_with('/') => None,
        Ok(object) => match prefix.at(&object.key) {
            Ok(url) => {
                let path = objects::shown(&url);
                Some((Input::Object(url, path), Some(object.len)))
            }
            Err(error) => {
                let path = shown_key(&prefix, &object.key);
                unlisted(path, ObjectErrorKind::NotFound, error.problem().to_string())
            }
        },
        Err(error) => {
            let of_store = ObjectError::of(&error).cloned();
            let error = of_store
                .unwrap_or_else(|| ObjectError::new(ObjectErrorKind::Other, error.to_string()));
            Some((Input::Unlisted(objects::shown(&prefix), error), None))
        }
    })
}

/// The path that stands for a key in messages, which may be one that is not allowed.
fn shown_key(prefix: &ObjectUrl, key: &str) -> PathBuf {
    PathBuf::from(format!("{}://{}/{key}", prefix.scheme().as_str(), prefix.bucket()))
}

/// The objects below a prefix.
pub(super) fn listing(plan: &Plan, prefix: &ObjectUrl) -> Result<Listing, Failure> {
    objects::list(prefix).map_err(|error| messages::engine(error, plan.verb()))
}
