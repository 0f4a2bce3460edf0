//! Removes from the copy what the original no longer has.
//!
//! Only what this program creates is removed: encrypted files, by their suffix and their first
//! bytes, links, and empty folders. Links are never followed. What the filters exclude is kept,
//! as with rsync's `--delete`.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptstream_beneath::{
    Dir, FileEntry, FileId, Folder, Walk, WalkEntry, has_stable_inodes, kernel_path, times_of,
};
use cryptstream_engine::{Error, Inspection, Source};
use rustix::fs::{FileType, Mode, Stat};
use rustix::io::Errno;

use super::case_collisions::lower;
use super::copy_structure::CopyContext;
use super::event::Event;
use super::named_folders::open_existing_root;
use super::plan::Plan;
use super::root::Root;
use super::walk::join;
use crate::file_names::is_encrypted_name;
use crate::messages::{self, Failure};

/// Whether a key was read from a file, whose path without links is determined only if needed.
pub(crate) type IsKey<'a> = dyn Fn(&Stat, &dyn Fn() -> Option<PathBuf>) -> bool + 'a;

/// Removes from the copies what the originals no longer have.
pub(crate) struct Prune<'a> {
    pub(crate) plan: &'a Plan,
    /// Removals are only reported.
    pub(crate) is_dry: bool,
    pub(crate) is_key: &'a IsKey<'a>,
    pub(crate) on_event: &'a mut dyn FnMut(Event),
}

/// An entry of a folder of the copy.
struct CopyEntry {
    folder: Arc<Folder>,
    name: OsString,
    stat: Stat,
    path: PathBuf,
}

impl Prune<'_> {
    /// Removes from every copy what the original does not have.
    pub(super) fn all(&mut self) {
        for root in &self.plan.roots {
            let Some(original) = &root.folder else { continue };
            let Some(copy) = open_existing_root(root, &CopyContext::default()) else { continue };
            if let Err(failure) = self.root(root, original, &copy.folder) {
                (self.on_event)(Event::Failed(failure));
            }
        }
    }

    fn root(
        &mut self,
        root: &Root,
        original: &Arc<Folder>,
        copy: &Arc<Folder>,
    ) -> Result<(), Failure> {
        let unreadable = |path: &Path, error: Errno| messages::unreadable(path, &error.into());
        let original = original.dir().map_err(|error| unreadable(&root.input, error))?;
        let is_empty = |dir: &Dir| dir.entries().map(|mut names| names.next().is_none());
        let has_nothing = is_empty(&original).map_err(|error| unreadable(&root.input, error))?;
        let mut wants = self.plan.rules.filter(&root.input)?;
        let mut walk = Walk::new(Arc::clone(copy), false, |_: &Arc<Folder>, _: &Path, _| true);
        let mut changed = HashMap::new();
        let mut folders = Vec::new();
        let mut claimed: Option<(FileId, Claimed)> = None;
        while let Some(found) = walk.next() {
            let found = found.map_err(|failed| {
                unreadable(&join(&root.output, &failed.relative), failed.error)
            })?;
            let is_folder = found.kind() == FileType::Directory;
            let Some(relative) = original_of(&found) else { continue };
            if !wants(&found.folder, &relative, is_folder) {
                if is_folder {
                    walk.skip_folder();
                }
                continue;
            }
            match original.stat(&relative) {
                Ok(stat) if self.is_origin(&found, &relative, &stat) => continue,
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(unreadable(&root.input.join(&relative), error)),
            }
            if has_nothing {
                return Err(messages::tree::nothing_left(&root.input, &root.output));
            }
            if claimed.as_ref().is_none_or(|(folder, _)| *folder != found.folder.id()) {
                let names = self.claimed(&original, &relative, &found.folder);
                claimed = Some((found.folder.id(), names));
            }
            if claimed.as_ref().is_some_and(|(_, claimed)| claimed.has(&found)) {
                continue;
            }
            let above = found.relative.parent().unwrap_or(Path::new("")).to_owned();
            let entry = CopyEntry {
                path: root.output.join(&found.relative),
                folder: found.folder,
                name: found.name,
                stat: found.stat,
            };
            let folder = Arc::clone(&entry.folder);
            if is_folder {
                folders.push((entry, above));
            } else if self.remove(&entry) {
                changed.insert(above, folder);
            }
        }
        drop(walk);
        for (entry, above) in folders.into_iter().rev() {
            let folder = Arc::clone(&entry.folder);
            if self.remove(&entry) {
                changed.remove(&above.join(&entry.name));
                changed.insert(above, folder);
            }
        }
        if !self.is_dry {
            changed
                .into_iter()
                .for_each(|(relative, folder)| restore_times(&original, &relative, &folder));
        }
        Ok(())
    }

    /// Whether an entry of the copy belongs to its original.
    fn is_origin(&self, found: &WalkEntry, relative: &Path, original: &Stat) -> bool {
        let is_own_name = || {
            let name = relative.file_name().and_then(|name| self.plan.naming.apply(name));
            name.as_ref() == Some(&found.name)
        };
        let kind = FileType::from_raw_mode(original.st_mode);
        kind == found.kind() && (kind != FileType::RegularFile || is_own_name())
    }

    /// The entries of a folder of the copy that belong to the present names of its original. On a
    /// case-insensitive file system these are not the names that are listed.
    fn claimed(&self, original: &Dir, relative: &Path, copy: &Folder) -> Claimed {
        let above = relative.parent().filter(|above| !above.as_os_str().is_empty());
        let opened = match above {
            Some(above) => original.open_dir(above),
            None => original.try_clone(),
        };
        let (Ok(opened), Ok(copy)) = (opened, copy.dir()) else { return Claimed::default() };
        let names = opened.entries().into_iter().flatten().flatten();
        let mut claimed = Claimed::default();
        for (name, told) in names {
            let output = match told {
                FileType::RegularFile => self.plan.naming.apply(&name),
                _ => Some(name),
            };
            let Some(output) = output else { continue };
            let Ok(stat) = copy.stat(&output) else { continue };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if told != kind && told != FileType::Unknown {
                continue;
            }
            let id = FileId::of(&stat);
            // Some FUSE file systems report another number each time.
            let is_kept = has_stable_inodes(&*copy, id.dev)
                || copy.stat(&output).is_ok_and(|again| FileId::of(&again) == id);
            match is_kept {
                true => claimed.ids.insert(id),
                false => claimed.names.insert(lower(&output)),
            };
        }
        claimed
    }

    /// Removes an entry, with its content, whose original is of another kind now. Returns whether
    /// the name is free.
    pub(crate) fn clear(&mut self, folder: &Arc<Folder>, name: &OsStr, path: &Path) -> bool {
        let Ok(stat) = folder.dir().and_then(|dir| dir.stat(name)) else { return false };
        let mut folders = Vec::new();
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let Ok((inner, _)) = folder.open_child(name) else { return false };
            for found in Walk::new(inner, false, |_: &Arc<Folder>, _: &Path, _| true) {
                let Ok(found) = found else { return false };
                let is_folder = found.kind() == FileType::Directory;
                let is_own = original_of(&found).is_some();
                let WalkEntry { folder, name, relative, stat, .. } = found;
                let entry = CopyEntry { folder, name, stat, path: path.join(relative) };
                if is_folder {
                    folders.push(entry);
                } else if !is_own || !self.remove(&entry) {
                    return false;
                }
            }
        }
        let all = folders.iter().rev().all(|entry| self.remove(entry));
        let (folder, name) = (Arc::clone(folder), name.to_owned());
        all && self.remove(&CopyEntry { folder, name, stat, path: path.to_owned() })
    }

    /// Removes one entry. Returns whether it is gone, or would be.
    fn remove(&mut self, entry: &CopyEntry) -> bool {
        let kind = FileType::from_raw_mode(entry.stat.st_mode);
        let id = FileId::of(&entry.stat);
        let real_path =
            || kernel_path(&*entry.folder.dir().ok()?).map(|folder| folder.join(&entry.name));
        if (self.is_key)(&entry.stat, &real_path) {
            (self.on_event)(Event::Key(entry.path.clone()));
            return false;
        }
        let is_own = match kind {
            FileType::RegularFile => self.has_encrypted_header(entry, id),
            kind => matches!(kind, FileType::Directory | FileType::Symlink),
        };
        if !is_own {
            (self.on_event)(Event::Foreign(entry.path.clone()));
            return false;
        }
        let removed = match self.is_dry {
            true => Ok(()),
            false => entry.folder.dir().and_then(|dir| unlink(&dir, &entry.name, kind)),
        };
        let event = match removed {
            Ok(()) => Event::Removed(entry.path.clone()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Event::Foreign(entry.path.clone()),
            Err(error) => Event::Failed(messages::tree::remove_failed(&entry.path, &error.into())),
        };
        (self.on_event)(event);
        removed.is_ok()
    }

    fn has_encrypted_header(&self, entry: &CopyEntry, id: FileId) -> bool {
        let (folder, name) = (Arc::clone(&entry.folder), entry.name.clone());
        let source = Source::open_entry(&FileEntry { folder, name, id, pin: None }, &entry.path);
        let source = source.map(|source| source.parsed_by(&self.plan.parser));
        let Ok(mut source) = source else { return false };
        // A truncated one is ours too.
        !matches!(Inspection::of(&mut source),
            Err(Error::NotEncrypted { head, .. }) if !head.is_empty())
    }
}

/// The entries of a folder of the copy that the original claims.
#[derive(Default)]
struct Claimed {
    ids: HashSet<FileId>,
    /// Names in lower case, where inode numbers are not reliable.
    names: HashSet<String>,
}

impl Claimed {
    fn has(&self, found: &WalkEntry) -> bool {
        self.ids.contains(&FileId::of(&found.stat))
            || (!self.names.is_empty() && self.names.contains(&lower(&found.name)))
    }
}

/// The path of an entry's original; `None` if this program creates no such entry.
fn original_of(found: &WalkEntry) -> Option<PathBuf> {
    match found.kind() {
        FileType::Directory | FileType::Symlink => Some(found.relative.clone()),
        FileType::RegularFile if is_encrypted_name(found.name.as_ref()) => {
            Some(found.relative.with_extension(""))
        }
        _ => None,
    }
}

fn unlink(dir: &Dir, name: &OsStr, kind: FileType) -> Result<(), Errno> {
    let remove = || match kind {
        FileType::Directory => dir.remove_dir(name),
        _ => dir.remove_file(name),
    };
    match remove() {
        // A read-only folder, which gets its bits back.
        Err(Errno::ACCESS) => {
            let mode = dir.own_stat()?.st_mode & 0o7777;
            dir.set_own_mode(Mode::from_raw_mode(mode | 0o700))?;
            let removed = remove();
            let _ = dir.set_own_mode(Mode::from_raw_mode(mode));
            removed
        }
        removed => removed,
    }
}

/// Restores the times of a folder of the copy after something was removed from it.
fn restore_times(original: &Dir, relative: &Path, copy: &Folder) {
    let stat = match relative.as_os_str().is_empty() {
        true => original.own_stat(),
        false => original.stat(relative),
    };
    if let (Ok(stat), Ok(copy)) = (stat, copy.dir()) {
        // If it fails, the next run does it.
        let _ = copy.set_own_times(&times_of(&stat));
    }
}
