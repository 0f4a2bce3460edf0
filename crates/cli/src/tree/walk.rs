//! What is in a folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cryptstream_beneath::{Dir, FileEntry, FileId, Folder, Walk, WalkEntry, WalkError};
use cryptstream_engine::Error;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::gitignore::{self, Nested};
use crate::args;
use crate::messages::{self, Context, Failure};
use crate::request::{Input, is_encrypted_name};

/// What is left out.
#[derive(Debug)]
pub(crate) struct Rules {
    globs: Vec<String>,
    ignore_files: Vec<PathBuf>,
    gitignore: bool,
    has_include: bool,
    /// What came of the patterns, in all walks together.
    matches: Arc<Matches>,
    /// Whether what is found may be gone when it is looked at, as this very run
    /// removes what it has done.
    pub(crate) may_vanish: bool,
    /// `.gitignore` files that were complained about.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Whether any file is wanted, and any is not.
#[derive(Debug, Default)]
struct Matches {
    is_any_wanted: AtomicBool,
    is_any_left_out: AtomicBool,
}

/// Whether something is wanted, by the folder that it is in, its path from the root, and
/// whether it is a folder.
pub(super) type Filter = Box<dyn FnMut(&Arc<Folder>, &Path, bool) -> bool>;

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
            has_include: !tree.include.is_empty(),
            matches: Arc::default(),
            may_vanish: false,
            told: Arc::default(),
        }
    }

    /// Sees to it that all globs and files can be read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.overrides(Path::new("."))?;
        self.ignored(Path::new(".")).map(drop)
    }

    /// Whether nothing that was walked through matches what is to be included.
    pub(crate) fn include_nothing(&self) -> bool {
        let Matches { is_any_wanted, is_any_left_out } = &*self.matches;
        self.has_include
            && is_any_left_out.load(Ordering::Relaxed)
            && !is_any_wanted.load(Ordering::Relaxed)
    }

    /// Whether a file that the user has named is wanted. A pattern with a folder in it
    /// is compared with the name as it was typed.
    pub(super) fn wants_named(&self, path: &Path) -> Result<bool, Failure> {
        let root = Path::new(".");
        let (overrides, ignored) = (self.overrides(root)?, self.ignored(root)?);
        let relative = match path.file_name() {
            Some(name) if path.has_root() => Path::new(name),
            _ => path,
        };
        let is_wanted = !overrides.matched(relative, false).is_ignore()
            && !ignored.matched(relative, false).is_ignore();
        self.matches.put_down(is_wanted);
        Ok(is_wanted)
    }

    fn overrides(&self, root: &Path) -> Result<Override, Failure> {
        let mut builder = OverrideBuilder::new(root);
        for glob in &self.globs {
            if matches!(glob.as_str(), "" | "!") {
                return Err(messages::tree::empty_glob());
            }
            builder.add(glob).map_err(|error| {
                let typed = glob.strip_prefix('!').unwrap_or(glob);
                messages::tree::bad_glob(typed, &error)
            })?;
        }
        builder.build().map_err(|error| messages::tree::bad_glob("", &error))
    }

    fn ignored(&self, root: &Path) -> Result<Gitignore, Failure> {
        let mut builder = GitignoreBuilder::new(root);
        for file in &self.ignore_files {
            let text = File::open(file).and_then(gitignore::read);
            let text = text.map_err(|error| messages::tree::unread_ignore_file(file, &error))?;
            for line in text.lines() {
                let added = builder.add_line(None, line);
                added.map_err(|error| messages::tree::bad_ignore_file(file, &error))?;
            }
        }
        builder.build().map_err(|error| messages::tree::bad_glob("", &error))
    }

    /// Everything below a root, folders before what is in them. `path` is what the root
    /// is called.
    pub(super) fn walk(&self, root: &Arc<Folder>, path: &Path) -> Result<FilteredWalk, Failure> {
        self.tree(root, path, false)
    }

    /// The names of everything below a folder that is open, folders before what is in
    /// them and in the order of their bytes. `path` is what the folder is called.
    pub(crate) fn sorted(
        &self,
        folder: Dir,
        path: &Path,
    ) -> Result<impl Iterator<Item = Result<PathBuf, Failure>> + use<>, Failure> {
        let root = Folder::root(folder);
        let root = root.map_err(|error| messages::unreadable(path, &error.into()))?;
        Ok(self.tree(&root, path, true)?.map(|found| found.map(|found| found.relative)))
    }

    fn tree(
        &self,
        root: &Arc<Folder>,
        path: &Path,
        is_sorted: bool,
    ) -> Result<FilteredWalk, Failure> {
        let filter = self.filter(path)?;
        let walk = Walk::new(Arc::clone(root), is_sorted, filter);
        Ok(FilteredWalk { walk, path: path.to_owned(), may_vanish: self.may_vanish })
    }

    /// The patterns compare paths as texts, and look at no file.
    pub(super) fn filter(&self, root: &Path) -> Result<Filter, Failure> {
        let (overrides, ignored) = (self.overrides(root)?, self.ignored(root)?);
        let mut nested = self.gitignore.then(|| Nested::new(root, Arc::clone(&self.told)));
        if overrides.is_empty() && ignored.is_empty() && nested.is_none() {
            return Ok(Box::new(|_, _, _| true));
        }
        let root = root.to_owned();
        let matches = Arc::clone(&self.matches);
        Ok(Box::new(move |folder, relative, is_folder| {
            let path = root.join(relative);
            let mut is_nested = || {
                let nested = nested.as_mut();
                nested.is_some_and(|nested| nested.is_ignored(folder, relative, is_folder))
            };
            let is_wanted = !overrides.matched(&path, is_folder).is_ignore()
                && !ignored.matched(&path, is_folder).is_ignore()
                && !is_nested();
            if !is_folder || !is_wanted {
                matches.put_down(is_wanted);
            }
            is_wanted
        }))
    }
}

impl Matches {
    fn put_down(&self, is_wanted: bool) {
        let which = if is_wanted { &self.is_any_wanted } else { &self.is_any_left_out };
        which.store(true, Ordering::Relaxed);
    }
}

/// A walk through a tree that skips what is not wanted.
pub(super) struct FilteredWalk {
    walk: Walk<Filter>,
    path: PathBuf,
    may_vanish: bool,
}

impl FilteredWalk {
    /// Whether something beside what came last is wanted too.
    pub(super) fn wants(&mut self, folder: &Arc<Folder>, relative: &Path, is_folder: bool) -> bool {
        self.walk.wants(folder, relative, is_folder)
    }

    /// Does not go into the folder that came last.
    pub(super) fn skip_folder(&mut self) {
        self.walk.skip_folder();
    }
}

impl Iterator for FilteredWalk {
    type Item = Result<WalkEntry, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.next()? {
                Ok(found) => return Some(Ok(found)),
                Err(WalkError { error: Errno::NOENT, .. }) if self.may_vanish => {}
                Err(failed) => return Some(Err(failure(&self.path, &failed))),
            }
        }
    }
}

/// What could not be looked at, below the root that is called `root`.
fn failure(root: &Path, failed: &WalkError) -> Failure {
    let path = join(root, &failed.relative);
    match failed.error {
        Errno::STALE => messages::engine(Error::InputChanged { path }, Context::default()),
        error => messages::unreadable(&path, &error.into()),
    }
}

/// The path of something below a root; the root's own stays as it was named.
pub(super) fn join(root: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) }
}

/// The files below a folder that are encrypted by their names, in the order of these, with
/// their lengths, and what could not be looked at; `None` where `path` is no folder.
pub(crate) fn encrypted_files(
    path: &Path,
) -> Option<impl Iterator<Item = (Input, Option<u64>)> + use<>> {
    let root = Dir::open(path).and_then(Folder::root).ok()?;
    let walk = Walk::new(root, true, |_, _, _| true);
    let path = path.to_owned();
    Some(walk.filter_map(move |found| match found {
        Ok(found) => {
            let is_encrypted = is_encrypted_name(found.name.as_ref());
            let (path, len) = (path.join(&found.relative), len(found.stat.st_size));
            match found.kind() {
                _ if !is_encrypted => None,
                FileType::RegularFile => Some((Input::Entry(entry(found), path), Some(len))),
                FileType::Directory | FileType::Symlink => None,
                _ => Some((Input::Special(path), None)),
            }
        }
        Err(failed) => Some((Input::Unreadable(join(&path, &failed.relative), failed.error), None)),
    }))
}

/// The file that was found.
pub(super) fn entry(found: WalkEntry) -> FileEntry {
    FileEntry { id: FileId::of(&found.stat), folder: found.folder, name: found.name }
}

/// The length of a file.
pub(super) fn len(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
