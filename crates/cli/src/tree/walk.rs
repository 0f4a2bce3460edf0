//! What is in a folder.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use ignore::{Walk, WalkBuilder};

use super::gitignore::{self, Nested};
use super::plan::Root;
use crate::args;
use crate::messages::{self, Failure, tree as words};
use crate::request::is_sealed_name;

/// What is left out.
#[derive(Debug)]
pub(crate) struct Rules {
    globs: Vec<String>,
    ignore_files: Vec<PathBuf>,
    gitignore: bool,
    /// Whether what is found may be gone when it is looked at, as this very run
    /// removes what it has done.
    pub(crate) may_vanish: bool,
    /// `.gitignore` files that were complained about.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The name as it can be opened.
    pub(super) path: PathBuf,
    /// From the root on; empty for the root itself.
    pub(super) relative: PathBuf,
    /// Of the thing itself, where it is a link.
    pub(super) metadata: Metadata,
}

impl Rules {
    pub(crate) fn new(tree: &args::Tree) -> Self {
        // What comes later is stronger.
        let globs = tree.include.iter().cloned();
        let globs = globs.chain(tree.exclude.iter().map(|glob| format!("!{glob}")));
        let ignore_files = tree.ignore_file.clone();
        Self {
            globs: globs.collect(),
            ignore_files,
            gitignore: tree.gitignore,
            may_vanish: false,
            told: Arc::default(),
        }
    }

    /// Sees to it that all globs and files can be read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.overrides(Path::new("."))?;
        self.ignored(Path::new(".")).map(drop)
    }

    fn overrides(&self, root: &Path) -> Result<Override, Failure> {
        let mut builder = OverrideBuilder::new(root);
        for glob in &self.globs {
            if matches!(glob.as_str(), "" | "!") {
                return Err(words::empty_glob());
            }
            builder.add(glob).map_err(|error| words::bad_glob(glob, &error))?;
        }
        builder.build().map_err(|error| words::bad_glob("", &error))
    }

    fn ignored(&self, root: &Path) -> Result<Gitignore, Failure> {
        let mut builder = GitignoreBuilder::new(root);
        for file in &self.ignore_files {
            let text = File::open(file).and_then(gitignore::read);
            let text = text.map_err(|error| words::unread_ignore_file(file, &error))?;
            for line in text.lines() {
                let added = builder.add_line(None, line);
                added.map_err(|error| words::bad_ignore_file(file, &error))?;
            }
        }
        builder.build().map_err(|error| words::bad_glob("", &error))
    }

    /// Everything below a root, folders before what is in them; or the root
    /// itself, if it is no folder.
    pub(super) fn walk(
        &self,
        root: &Root,
    ) -> Result<impl Iterator<Item = Result<Found, Failure>> + use<>, Failure> {
        self.found(&root.input, false)
    }

    /// The names of everything below a folder, from it on, folders before what is in
    /// them and in the order of their bytes.
    pub(crate) fn sorted(
        &self,
        folder: &Path,
    ) -> Result<impl Iterator<Item = Result<PathBuf, Failure>> + use<>, Failure> {
        Ok(self.found(folder, true)?.map(|found| found.map(|found| found.relative)))
    }

    fn found(
        &self,
        root: &Path,
        is_sorted: bool,
    ) -> Result<impl Iterator<Item = Result<Found, Failure>> + use<>, Failure> {
        let (path, ignored) = (root.to_owned(), Arc::new(self.ignored(root)?));
        let nested = self.gitignore.then(|| Mutex::new(Nested::new(root, Arc::clone(&self.told))));
        let entries = self.entries(root, is_sorted, move |entry| {
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            let is_nested = || {
                let nested =
                    nested.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner));
                nested.is_some_and(|mut nested| nested.is_ignored(entry.path(), is_folder))
            };
            !ignored.matched(entry.path(), is_folder).is_ignore() && !is_nested()
        })?;
        let may_vanish = self.may_vanish;
        Ok(entries.filter_map(move |entry| {
            let found = entry.and_then(|entry| {
                let metadata = entry.metadata()?;
                Ok((entry.into_path(), metadata))
            });
            match found {
                Ok((found, _)) if found == path => None,
                Ok((found, metadata)) => {
                    let relative = found.strip_prefix(&path).unwrap_or(&found).to_owned();
                    Some(Ok(Found { path: found, relative, metadata }))
                }
                Err(error) if may_vanish && is_gone(&error) => None,
                Err(error) => Some(Err(unreadable(&path, error))),
            }
        }))
    }

    fn entries(
        &self,
        root: &Path,
        is_sorted: bool,
        is_wanted: impl Fn(&ignore::DirEntry) -> bool + Send + Sync + 'static,
    ) -> Result<Walk, Failure> {
        let mut builder = WalkBuilder::new(root);
        builder
            // A backup must not leave things out that nobody has named.
            .standard_filters(false)
            .follow_links(false)
            .overrides(self.overrides(root)?)
            .filter_entry(is_wanted);
        if is_sorted {
            builder.sort_by_file_name(std::ffi::OsStr::cmp);
        }
        Ok(builder.build())
    }
}

/// The files below a folder that are sealed by their names, in the order of these;
/// and the folders that cannot be read, so that whoever opens them is told why.
pub(crate) fn sealed_files(folder: &Path) -> Vec<PathBuf> {
    let mut builder = WalkBuilder::new(folder);
    builder.standard_filters(false).sort_by_file_name(Ord::cmp);
    let found = builder.build().filter_map(|entry| match entry {
        Ok(entry) => {
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            let path = entry.into_path();
            (is_file && is_sealed_name(&path)).then_some(path)
        }
        Err(error) => Some(place_of(folder, &error)),
    });
    found.collect()
}

/// Whether there is nothing any more where something was found.
fn is_gone(error: &ignore::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What the walker could not read.
fn unreadable(root: &Path, error: ignore::Error) -> Failure {
    let path = place_of(root, &error);
    match error.into_io_error() {
        Some(source) => messages::unreadable(&path, &source),
        None => words::not_walked(&path),
    }
}

/// Where that was.
fn place_of(root: &Path, error: &ignore::Error) -> PathBuf {
    let mut path = root.to_owned();
    let mut inner = error;
    loop {
        inner = match inner {
            ignore::Error::WithPath { path: at, err } => {
                path.clone_from(at);
                err
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => err,
            ignore::Error::Loop { child, .. } => {
                path.clone_from(child);
                break path;
            }
            _ => break path,
        };
    }
}
