//! What is in a folder, without what the filters exclude.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cryptstream_beneath::{Dir, FileEntry, FileId, Folder, Walk, WalkEntry, WalkError};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::gitignore::{self, Nested};
use crate::args;
use crate::file_names::is_encrypted_name;
use crate::messages::{self, Failure};
use crate::request::Input;

/// The filters.
#[derive(Debug)]
pub(crate) struct Rules {
    globs: Vec<String>,
    ignore_files: Vec<PathBuf>,
    gitignore: bool,
    has_include: bool,
    /// Whether the patterns have matched, in all walks together.
    matches: Arc<Matches>,
    /// Whether entries may vanish, as this run removes files itself.
    pub(crate) may_vanish: bool,
    /// `.gitignore` files that were warned about.
    told: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// Whether any file is included, and any excluded.
#[derive(Debug, Default)]
struct Matches {
    is_any_wanted: AtomicBool,
    is_any_left_out: AtomicBool,
}

/// Whether an entry is included, given its folder, its path from the root, and whether it is a
/// folder.
pub(super) type Filter = Box<dyn FnMut(&Arc<Folder>, &Path, bool) -> bool>;

impl Rules {
    pub(crate) fn new(tree: &args::Tree) -> Self {
        // Later patterns override earlier ones.
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

    /// Checks that all globs and pattern files can be read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.overrides(Path::new("."))?;
        self.ignored(Path::new(".")).map(drop)
    }

    /// Whether nothing has matched `--include`.
    pub(crate) fn include_nothing(&self) -> bool {
        let Matches { is_any_wanted, is_any_left_out } = &*self.matches;
        self.has_include
            && is_any_left_out.load(Ordering::Relaxed)
            && !is_any_wanted.load(Ordering::Relaxed)
    }

    /// Whether a named file is included. A pattern that contains a folder is compared with the
    /// path as it was typed.
    pub(super) fn wants_named(&self, path: &Path) -> Result<bool, Failure> {
        let root = Path::new(".");
        let (overrides, ignored) = (self.overrides(root)?, self.ignored(root)?);
        let relative = match path.file_name() {
            Some(name) if path.has_root() => Path::new(name),
            _ => path,
        };
        let is_wanted = !overrides.matched(relative, false).is_ignore()
            && !ignored.matched(relative, false).is_ignore();
        self.matches.record(is_wanted);
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

    /// Walks a root, folders before their content. `path` is the root's name.
    pub(super) fn walk(&self, root: &Arc<Folder>, path: &Path) -> Result<FilteredWalk, Failure> {
        self.tree(root, path, false)
    }

    /// Walks an open folder in byte order, folders before their content. `path` is the folder's
    /// name.
    pub(crate) fn sorted(&self, folder: Dir, path: &Path) -> Result<FilteredWalk, Failure> {
        let root = Folder::root(folder);
        let root = root.map_err(|error| messages::unreadable(path, &error.into()))?;
        self.tree(&root, path, true)
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

    /// The filter for keys of a store.
    pub(super) fn key_filter(&self) -> Result<KeyFilter, Failure> {
        let root = Path::new(".");
        let (overrides, ignored) = (self.overrides(root)?, self.ignored(root)?);
        Ok(KeyFilter { overrides, ignored, matches: Arc::clone(&self.matches) })
    }

    /// Patterns are compared with the text of paths; no file is accessed.
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
                matches.record(is_wanted);
            }
            is_wanted
        }))
    }
}

impl Matches {
    fn record(&self, is_wanted: bool) {
        let which = if is_wanted { &self.is_any_wanted } else { &self.is_any_left_out };
        which.store(true, Ordering::Relaxed);
    }
}

/// A filter for the keys of objects, below their prefix.
pub(super) struct KeyFilter {
    overrides: Override,
    ignored: Gitignore,
    matches: Arc<Matches>,
}

impl KeyFilter {
    /// Whether an object is included: no folder above it may be excluded either.
    pub(super) fn wants(&self, relative: &Path) -> bool {
        if self.overrides.is_empty() && self.ignored.is_empty() {
            return true;
        }
        let is_wanted = relative.ancestors().enumerate().all(|(height, path)| {
            path.as_os_str().is_empty()
                || !self.overrides.matched(path, height > 0).is_ignore()
                    && !self.ignored.matched(path, height > 0).is_ignore()
        });
        self.matches.record(is_wanted);
        is_wanted
    }
}

/// A walk that skips what is excluded.
pub(crate) struct FilteredWalk {
    walk: Walk<Filter>,
    path: PathBuf,
    may_vanish: bool,
}

impl FilteredWalk {
    /// Whether another entry beside the last one is included.
    pub(super) fn wants(&mut self, folder: &Arc<Folder>, relative: &Path, is_folder: bool) -> bool {
        self.walk.wants(folder, relative, is_folder)
    }

    /// Skips the content of the last entry, if it is a folder.
    pub(crate) fn skip_content(&mut self, last: &WalkEntry) {
        if last.opened.is_some() {
            self.walk.skip_folder();
        }
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

/// A failure below the root of this name.
fn failure(root: &Path, failed: &WalkError) -> Failure {
    let path = join(root, &failed.relative);
    match failed.error {
        Errno::STALE => messages::tree::changed(&path),
        error => messages::unreadable(&path, &error.into()),
    }
}

/// The path of an entry below a root; the root's own stays as it was typed.
pub(super) fn join(root: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) }
}

/// The encrypted files below a folder, by name and in byte order, with their lengths, and what
/// cannot be read; `None` if `path` is not a folder.
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

/// The entry as a file to open.
pub(super) fn entry(found: WalkEntry) -> FileEntry {
    FileEntry { id: FileId::of(&found.stat), folder: found.folder, name: found.name, pin: None }
}

/// The length of a file.
pub(super) fn len(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
