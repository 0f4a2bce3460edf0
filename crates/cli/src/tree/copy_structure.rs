//! The folders and links of the copy.
//!
//! A folder of the copy is made for its owner alone, and gets its permission bits and
//! times when everything is in it: until then nobody else can put anything there, or
//! exchange what is there. While it is being filled it has the sticky bit too, which
//! means nothing where nobody else may write, and by which a later run knows a folder
//! that an interrupted one has left unfinished.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cryptstream_beneath::{Dir, Folder, WalkEntry, has_acl, is_refusal, times_of};
use cryptstream_engine::{Dropped, Error, open_folder};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, Stat, fstat};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};

use super::event::Event;
use super::root::Root;
use super::walk::join;
use crate::messages::{self, Failure};

/// What a folder needs as long as something is put into it.
const OWNER: u32 = 0o700;
/// The sticky bit: only the owner of something may remove it.
const STICKY: u32 = 0o1000;
/// What a new folder gets from one that has it: what is created in it belongs to its group.
const SETGID: u32 = 0o2000;
/// What a folder has that is being filled.
const UNFINISHED: u32 = OWNER | STICKY;
/// The permission bits of folders that are kept.
const KEPT: u32 = 0o777 | STICKY;
/// All bits that a folder can have.
const ALL: u32 = 0o7777;
/// With an access control list, what the list may give at the most.
const GROUP: u32 = 0o070;

/// A folder of the copy, or the folder that a single file goes to. When the last that
/// is to be put into it is done and this is dropped, it is finished.
pub(super) struct CopyFolder {
    pub(super) folder: Arc<Folder>,
    /// The output of its root.
    root: Arc<PathBuf>,
    /// Finished later than this one.
    above: Option<Arc<CopyFolder>>,
    finish: Finish,
    /// Whether it was there before.
    is_present: bool,
    /// The names in it that are not those of regular files, once they were asked for.
    others: OnceLock<HashSet<OsString>>,
    context: CopyContext,
}

/// What all folders of a copy share.
#[derive(Clone, Default)]
pub(super) struct CopyContext {
    /// Folders that were there before get the bits of the original even where these are
    /// wider. What is encrypted gives nothing away by that; what is decrypted would.
    pub(super) follows: bool,
    /// What happened when folders were finished, at a moment when nobody could be told.
    pub(super) late: Arc<Mutex<Vec<Event>>>,
}

/// What becomes of a folder in the end.
enum Finish {
    /// Nothing.
    Leave,
    /// It was made by a run of ours: it gets the bits of the original, and its times.
    New(Stat),
    /// It was there before: it gets times, and never more bits than it has.
    Present(Stat),
}

/// What became of a link.
pub(super) enum Linked {
    Made,
    /// It was there.
    Kept,
    /// It was there with another target or another time.
    Updated,
}

impl CopyFolder {
    fn named(
        folder: Arc<Folder>,
        path: &Path,
        finish: Finish,
        is_present: bool,
        context: &CopyContext,
    ) -> Self {
        let (root, others, context) = (Arc::new(path.to_owned()), OnceLock::new(), context.clone());
        Self { folder, root, above: None, finish, is_present, others, context }
    }

    /// The folder itself.
    pub(super) fn dir(&self) -> Result<Arc<Dir>, Failure> {
        self.folder.dir().map_err(|error| self.failed(error))
    }

    /// The path of something in it, for messages.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        join(&self.root, &self.folder.relative()).join(name)
    }

    fn own_path(&self) -> PathBuf {
        join(&self.root, &self.folder.relative())
    }

    fn failed(&self, error: Errno) -> Failure {
        failed(&self.own_path(), error)
    }

    /// Makes a folder in this one that is to become like `like`, unless it is there.
    pub(super) fn make(self: &Arc<Self>, name: &OsStr, like: Stat) -> Result<Arc<Self>, Failure> {
        let path = self.path(name);
        let above = self.dir()?;
        let is_new = make(&above, name, &like).map_err(|error| failed(&path, error))?;
        let (folder, stat) = match self.folder.open_child(name) {
            Ok(opened) => opened,
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(messages::tree::not_a_folder(&path)),
            Err(error) => return Err(failed(&path, error)),
        };
        let dir = folder.dir().map_err(|error| failed(&path, error))?;
        check_owner(&above, &dir, &stat, is_new, &path)?;
        let finish = prepare(&dir, &stat, like, is_new).map_err(|error| failed(&path, error))?;
        // Unlike a folder that the user has named, it is there for the copy only.
        let finish = match finish {
            Finish::Present(like) if self.context.follows => Finish::New(like),
            finish => finish,
        };
        Ok(self.below(folder, finish, !is_new))
    }

    fn below(self: &Arc<Self>, folder: Arc<Folder>, finish: Finish, is_present: bool) -> Arc<Self> {
        let (root, above) = (Arc::clone(&self.root), Some(Arc::clone(self)));
        let (others, context) = (OnceLock::new(), self.context.clone());
        Arc::new(Self { folder, root, above, finish, is_present, others, context })
    }

    /// Whether it was there before this run.
    pub(super) fn is_present(&self) -> bool {
        self.is_present
    }

    /// Whether this name was that of something else than a regular file when the folder
    /// was looked at first. In a new folder there is nothing.
    pub(super) fn had_other(&self, name: &OsStr) -> bool {
        let list = || {
            let names = self.folder.dir().and_then(|dir| dir.entries());
            let names = names.into_iter().flatten().flatten();
            let others = names.filter(|(_, kind)| *kind != FileType::RegularFile);
            others.map(|(name, _)| name).collect()
        };
        self.is_present && self.others.get_or_init(list).contains(name)
    }

    /// The folder of this name, if there is one. Nothing is changed.
    pub(super) fn look(self: &Arc<Self>, name: &OsStr) -> Result<Option<Arc<Self>>, Failure> {
        match self.folder.open_child(name) {
            Ok((folder, _)) => Ok(Some(self.below(folder, Finish::Leave, true))),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(messages::tree::not_a_folder(&self.path(name))),
            Err(_) => Ok(None),
        }
    }

    /// Makes a link in this folder like the one that was found, unless it is there.
    /// `compare` tells how the time of one that is there lies to the original's,
    /// `may_replace` whether one that lies so may be replaced.
    pub(super) fn link(
        &self,
        found: &WalkEntry,
        input: &Path,
        is_dry: bool,
        compare: impl FnOnce(&Dir, &Stat) -> Ordering,
        may_replace: impl FnOnce(Ordering) -> bool,
    ) -> Result<Linked, Failure> {
        let target = found.folder.dir().and_then(|dir| dir.read_link(&found.name));
        let target = target.map_err(|error| messages::unreadable(input, &error.into()))?;
        let (dir, name) = (self.dir()?, &found.name);
        let output = self.path(name);
        let failed = |error: Errno| messages::tree::link_failed(&output, &error.into());
        let made = match is_dry {
            true => dir.stat(name).map_or(Ok(()), |_| Err(Errno::EXIST)),
            false => dir.symlink(&target, name),
        };
        let outcome = match made {
            Ok(()) => Linked::Made,
            Err(Errno::EXIST) => {
                let there = dir.stat(name).map_err(failed)?;
                if FileType::from_raw_mode(there.st_mode) != FileType::Symlink {
                    return Err(messages::tree::link_exists(&output));
                }
                let order = compare(&dir, &there);
                let is_same = dir.read_link(name).is_ok_and(|there| there == target);
                if is_same && order == Ordering::Equal {
                    return Ok(Linked::Kept);
                }
                if !is_same && !may_replace(order) {
                    return Err(messages::tree::link_exists(&output));
                }
                if !is_same && !is_dry {
                    dir.remove_file(name).map_err(failed)?;
                    dir.symlink(&target, name).map_err(failed)?;
                }
                Linked::Updated
            }
            Err(error) => return Err(failed(error)),
        };
        // Not every file system has times for links.
        if !is_dry && dir.set_times(name, &times_of(&found.stat)).is_err() {
            return Ok(if matches!(outcome, Linked::Updated) { Linked::Kept } else { outcome });
        }
        Ok(outcome)
    }

    /// Gives the folder its times and permission bits.
    fn finish(&self) -> Result<(), Errno> {
        let (like, is_new) = match &self.finish {
            Finish::Leave => return Ok(()),
            Finish::New(like) => (like, true),
            Finish::Present(like) => (like, false),
        };
        let dir = self.folder.dir()?;
        let there = dir.own_stat()?.st_mode & ALL;
        let kept = like.st_mode & KEPT;
        // As with mkdir(1) and cp(1), the original's own is not copied.
        let mode = if is_new { kept } else { there & kept } | there & SETGID;
        // Before the bits, which may forbid it.
        match dir.set_own_times(&times_of(like)) {
            Err(error) if is_refusal(error) => self.drop_of(Dropped { times: true, ..NONE }),
            set => set?,
        }
        // Those whom a list names that the folder has got from the one above it would get
        // what the bits give the group.
        let is_listed = || dir.open_self().is_ok_and(|file| has_acl(&file));
        let mode = match mode & GROUP & !there {
            0 => mode,
            wider if is_listed() => mode & !wider,
            _ => mode,
        };
        match dir.set_own_mode(Mode::from_raw_mode(mode)) {
            _ if mode == there => {}
            // A file system that has no such bits, or another user's folder.
            Err(error) if is_refusal(error) => {
                if there & !STICKY & !mode != 0 {
                    self.drop_of(Dropped { mode: true, ..NONE });
                }
            }
            set => set?,
        }
        Ok(())
    }

    fn drop_of(&self, dropped: Dropped) {
        self.tell(Event::Dropped(dropped));
    }

    /// Tells of something later.
    fn tell(&self, event: Event) {
        self.context.late.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

const NONE: Dropped = Dropped { times: false, mode: false, acl: false };

impl Drop for CopyFolder {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            self.tell(Event::Failed(self.failed(error)));
        }
        // One after the other, and not each within the one below it.
        let mut above = self.above.take();
        while let Some(mut folder) = above.and_then(Arc::into_inner) {
            above = folder.above.take();
        }
    }
}

/// Makes a folder; returns whether it was not there before.
fn make(above: &Dir, name: &OsStr, like: &Stat) -> Result<bool, Errno> {
    let made = match Protection::ClosedFolders.is_on() {
        true => above.create_dir(name, Mode::from_raw_mode(UNFINISHED)),
        // Only in test builds: with its last bits at once.
        false => {
            let usual = umask(Mode::empty());
            let made = above.create_dir(name, Mode::from_raw_mode(like.st_mode & KEPT | OWNER));
            umask(usual);
            made
        }
    };
    match made {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sees to it that a folder is not another user's who may have put it there.
///
/// One that was made just now must be our own and empty; otherwise it has been
/// exchanged. One that was there before may also be root's, or belong to the owner of
/// the folder that it is in, who can do with it what they like anyway.
fn check_owner(
    above: &Dir,
    dir: &Dir,
    stat: &Stat,
    is_new: bool,
    path: &Path,
) -> Result<(), Failure> {
    if !Protection::ClosedFolders.is_on() {
        return Ok(());
    }
    let owner = stat.st_uid;
    let failed = |error| failed(path, error);
    let is_trusted = match is_new {
        true => false,
        false => owner == 0 || above.own_stat().map_err(failed)?.st_uid == owner,
    };
    let is_own = || {
        let is_mine = owner == geteuid().as_raw();
        Ok(is_mine || own_uid_in(above).map_err(failed)? == Some(owner))
    };
    if !is_trusted && !is_own()? {
        return Err(messages::tree::foreign_folder(path, owner, is_new));
    }
    match is_new.then(|| dir.entries()).transpose().map_err(failed)?.map(|mut all| all.next()) {
        None | Some(None) => Ok(()),
        Some(Some(Ok(_))) => Err(messages::tree::exchanged_folder(path)),
        Some(Some(Err(error))) => Err(failed(error)),
    }
}

/// Whose the files are that this process makes in a folder: some file systems keep no
/// owners, others give what root makes to nobody. `None` where it may make none.
fn own_uid_in(dir: &Dir) -> Result<Option<u32>, Errno> {
    match with_scratch_file(dir, |file| fstat(file)) {
        Ok(stat) => Ok(Some(stat.st_uid)),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets `look` see what a new file in a folder is like, which is gone afterwards.
pub(super) fn with_scratch_file(
    dir: &Dir,
    look: impl FnOnce(&File) -> Result<Stat, Errno>,
) -> Result<Stat, Errno> {
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = dir.create_unnamed(mode) {
        return look(&file);
    }
    // Created by this process or not at all, so the name may be known before.
    let name: OsString = format!(".cryptstream-{}.scratch", std::process::id()).into();
    let file = dir.create_file(&name, mode)?;
    let stat = look(&file);
    drop(file);
    dir.remove_file(&name)?;
    stat
}

/// Makes a folder ready to be filled, and says what becomes of it in the end.
fn prepare(dir: &Dir, stat: &Stat, like: Stat, is_new: bool) -> Result<Finish, Errno> {
    let mode = stat.st_mode & ALL;
    let me = geteuid();
    if !is_new && stat.st_uid != me.as_raw() && !me.is_root() {
        // A shared folder: only its owner may change its times and bits.
        return Ok(Finish::Leave);
    }
    if is_new && mode & OWNER != OWNER {
        // The mask took away what even the owner needs.
        dir.set_own_mode(Mode::from_raw_mode(UNFINISHED | mode & SETGID))?;
    }
    // An interrupted run has made it.
    let is_unfinished = mode & (0o077 | STICKY) == STICKY;
    if !is_new && mode & OWNER != OWNER {
        // An earlier run has closed it. Where we may not open it, what is to be put into
        // it will tell.
        let _ = dir.set_own_mode(Mode::from_raw_mode(mode & (KEPT | SETGID) | OWNER));
    }
    Ok(if is_new || is_unfinished { Finish::New(like) } else { Finish::Present(like) })
}

/// The folder of a root's copy, or the one that a single file goes to. The user has
/// named it: it may be a link.
///
/// `like` is what it is to become.
pub(super) fn root(
    root: &Root,
    like: Stat,
    context: &CopyContext,
) -> Result<Arc<CopyFolder>, Failure> {
    let named = |dir: Dir, path: &Path, finish: Finish, is_present: bool| {
        let folder = Folder::root(dir).map_err(|error| failed(path, error))?;
        Ok(Arc::new(CopyFolder::named(folder, path, finish, is_present, context)))
    };
    let output = &root.output;
    if root.folder.is_none() {
        let parent = parent_of(output);
        return named(made(parent)?, parent, Finish::Leave, true);
    }
    let failed = |error| failed(output, error);
    let parent = made(parent_of(output))?;
    if let Some(dir) = present(output)? {
        let stat = dir.own_stat().map_err(failed)?;
        let finish = prepare(&dir, &stat, like, false).map_err(failed)?;
        return named(dir, output, finish, true);
    }
    let name = output.file_name().ok_or(Errno::NOENT).map_err(failed)?;
    let is_new = make(&parent, name, &like).map_err(failed)?;
    let dir = match parent.open_dir(name) {
        Ok(dir) => dir,
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(messages::tree::not_a_folder(output)),
        Err(error) => return Err(failed(error)),
    };
    let stat = dir.own_stat().map_err(failed)?;
    check_owner(&parent, &dir, &stat, is_new, output)?;
    let finish = prepare(&dir, &stat, like, is_new).map_err(failed)?;
    named(dir, output, finish, !is_new)
}

/// The same, if it is there. Nothing is changed.
pub(super) fn look_at_root(root: &Root, context: &CopyContext) -> Option<Arc<CopyFolder>> {
    let path = match root.folder {
        Some(_) => &root.output,
        None => parent_of(&root.output),
    };
    let folder = Folder::root(open_folder(path).ok()?).ok()?;
    Some(Arc::new(CopyFolder::named(folder, path, Finish::Leave, true, context)))
}

/// Refuses to put an output under this name if there is no folder for it.
pub(super) fn check_parent(output: &Path) -> Result<(), Failure> {
    match present(parent_of(output))? {
        Some(_) => Ok(()),
        None => Err(messages::tree::no_parent(output, parent_of(output))),
    }
}

/// Whether the folder is there that a root's copy goes to.
pub(super) fn has_parent(root: &Root) -> bool {
    matches!(present(parent_of(&root.output)), Ok(Some(_)))
}

/// The folder that the user has named, if there is one.
fn present(path: &Path) -> Result<Option<Dir>, Failure> {
    match open_folder(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(Error::Open { source, .. }) => match Errno::from_io_error(&source) {
            Some(Errno::NOENT) => Ok(None),
            Some(Errno::NOTDIR) => Err(messages::tree::not_a_folder(path)),
            Some(error) => Err(failed(path, error)),
            None => Err(messages::tree::folder_failed(path, &source)),
        },
        Err(error) => Err(messages::engine(error, messages::Context::default())),
    }
}

/// The same; created where it is not there, but not with those above it: what is missing
/// there may be a disk that is not mounted.
fn made(path: &Path) -> Result<Dir, Failure> {
    if let Some(dir) = present(path)? {
        return Ok(dir);
    }
    let failed = |error| failed(path, error);
    let name = path.file_name().ok_or(Errno::NOENT).map_err(failed)?;
    let above = present(parent_of(path))?
        .ok_or_else(|| messages::tree::no_parent(path, parent_of(path)))?;
    match above.create_dir(name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => above.open_dir(name).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

pub(super) fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path, error: Errno) -> Failure {
    match error {
        Errno::STALE | Errno::LOOP | Errno::NOTDIR => messages::tree::exchanged_folder(path),
        error => messages::tree::folder_failed(path, &error.into()),
    }
}
