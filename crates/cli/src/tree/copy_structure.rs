//! The folders and links of the copy.
//!
//! A folder of the copy is created for its owner alone, and gets its permission bits and times
//! once it is complete. Until then nobody else can add or replace anything in it. While it is
//! being filled it has the sticky bit, which means nothing where only the owner may write, and
//! which tells a later run that the folder is unfinished.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cryptstream_beneath::{Dir, FileId, Folder, WalkEntry, has_acl, is_refusal, times_of};
use cryptstream_engine::LostAttributes;
use cryptstream_engine::program::remove_abandoned;
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, Stat, fstat};
use rustix::io::Errno;
use rustix::process::{geteuid, umask};

use super::event::Event;
use super::walk::join;
use crate::messages::{self, Failure};

/// The bits that filling a folder needs.
const OWNER: u32 = 0o700;
/// The sticky bit: only the owner of a file may remove it.
const STICKY: u32 = 0o1000;
/// The set-group-ID bit, which new folders inherit: their files belong to the folder's group.
const SETGID: u32 = 0o2000;
/// The bits of a folder that is being filled.
const UNFINISHED: u32 = OWNER | STICKY;
/// The bits that are copied.
const KEPT: u32 = 0o777 | STICKY;
/// All mode bits of a folder.
const ALL: u32 = 0o7777;
/// The group bits, which limit what an access control list grants.
const GROUP: u32 = 0o070;

/// A folder of the copy, or the folder of a single output. It is finished when it is dropped,
/// after the last output in it.
pub(super) struct CopyFolder {
    pub(super) folder: Arc<Folder>,
    /// The output of its root.
    root: Arc<PathBuf>,
    /// The folder above, which is finished later.
    above: Option<Arc<CopyFolder>>,
    finish: Finish,
    /// Whether it existed before.
    is_present: bool,
    /// The names in it that are not regular files, once they were needed.
    others: OnceLock<HashSet<OsString>>,
    context: CopyContext,
}

/// State that all folders of a copy share.
#[derive(Clone, Default)]
pub(super) struct CopyContext {
    /// Whether existing folders get the original's bits even where these are wider. That is safe
    /// for encrypted files, and not for decrypted ones.
    pub(super) follows: bool,
    /// Whether other processes fill the same folders, which are finished when all are done.
    pub(super) is_shared: bool,
    /// Events of finishing folders, which are reported later.
    pub(super) late: Arc<Mutex<Vec<Event>>>,
    /// The folders that the user has named and that did not exist, the outer ones first.
    pub(super) created: Arc<Mutex<Vec<(PathBuf, FileId)>>>,
}

impl CopyContext {
    pub(super) fn note_created(&self, path: &Path, stat: &Stat) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.push((path.to_owned(), FileId::of(stat)));
    }

    /// Removes the folders that the user has named, and that this run has created, if they are
    /// empty.
    pub(super) fn remove_created_if_empty(&self) {
        if self.is_shared {
            return;
        }
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, id) in created.drain(..).rev() {
            let Ok((above, name)) = Dir::open_parent(&path) else { continue };
            if above.stat(&name).is_ok_and(|stat| id.may_be(FileId::of(&stat), &above)) {
                let _ = above.remove_dir(&name);
            }
        }
    }
}

/// How a folder is finished.
pub(super) enum Finish {
    /// Nothing.
    Leave,
    /// Created by this program: gets the original's bits and times.
    New(Stat),
    /// It existed before: gets the times, and never wider bits than it has.
    Present(Stat),
}

/// How a link was copied.
pub(super) enum Linked {
    Made,
    /// It existed.
    Kept,
    /// It existed with another target or time.
    Updated,
}

impl CopyFolder {
    pub(super) fn named(
        folder: Arc<Folder>,
        path: &Path,
        finish: Finish,
        is_present: bool,
        context: &CopyContext,
    ) -> Self {
        let (root, others, context) = (Arc::new(path.to_owned()), OnceLock::new(), context.clone());
        Self { folder, root, above: None, finish, is_present, others, context }
    }

    /// Leaves the folder unfinished, for others to fill and to finish.
    pub(super) fn leave_unfinished(mut self: Arc<Self>) {
        if let Some(folder) = Arc::get_mut(&mut self) {
            folder.finish = Finish::Leave;
        }
    }

    /// Opens the folder.
    pub(super) fn dir(&self) -> Result<Arc<Dir>, Failure> {
        self.folder.dir().map_err(|error| self.failed(error))
    }

    /// The path of an entry, for messages.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        join(&self.root, &self.folder.relative()).join(name)
    }

    fn own_path(&self) -> PathBuf {
        join(&self.root, &self.folder.relative())
    }

    fn failed(&self, error: Errno) -> Failure {
        failed(&self.own_path(), error)
    }

    /// Creates a folder in this one, unless it exists, to be finished like `like`.
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
        check_owner(&above, &dir, &stat, is_new && !self.context.is_shared, &path)?;
        if !is_new {
            remove_abandoned(&dir);
        }
        let finish = prepare(&dir, &stat, like, is_new).map_err(|error| failed(&path, error))?;
        // Unlike a folder that the user has named, it belongs to the copy.
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

    /// Whether it existed before this run.
    pub(super) fn is_present(&self) -> bool {
        self.is_present
    }

    /// Whether this name was not a regular file when the folder was first read. A new folder is
    /// empty.
    pub(super) fn had_other_kind(&self, name: &OsStr) -> bool {
        let list = || {
            let names = self.folder.dir().and_then(|dir| dir.entries());
            let names = names.into_iter().flatten().flatten();
            let others = names.filter(|(_, kind)| *kind != FileType::RegularFile);
            others.map(|(name, _)| name).collect()
        };
        self.is_present && self.others.get_or_init(list).contains(name)
    }

    /// Opens the folder of this name, if it exists, without changing anything.
    pub(super) fn open_existing(
        self: &Arc<Self>,
        name: &OsStr,
    ) -> Result<Option<Arc<Self>>, Failure> {
        match self.folder.open_child(name) {
            Ok((folder, _)) => Ok(Some(self.below(folder, Finish::Leave, true))),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(messages::tree::not_a_folder(&self.path(name))),
            Err(_) => Ok(None),
        }
    }

    /// Creates a link like the one that was found, unless it exists. `compare` compares the time
    /// of an existing link with the original's, and `may_replace` decides from that.
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
        self.link_to(&target, &found.name, &found.stat, is_dry, compare, may_replace)
    }

    /// Creates a link to `target` with the times of `like`, in the same way.
    pub(super) fn link_to(
        &self,
        target: &Path,
        name: &OsStr,
        like: &Stat,
        is_dry: bool,
        compare: impl FnOnce(&Dir, &Stat) -> Ordering,
        may_replace: impl FnOnce(Ordering) -> bool,
    ) -> Result<Linked, Failure> {
        let dir = self.dir()?;
        let output = self.path(name);
        let failed = |error: Errno| messages::tree::link_failed(&output, &error.into());
        let made = match is_dry {
            true => dir.stat(name).map_or(Ok(()), |_| Err(Errno::EXIST)),
            false => dir.symlink(target, name),
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
                    dir.symlink(target, name).map_err(failed)?;
                }
                Linked::Updated
            }
            Err(error) => return Err(failed(error)),
        };
        // Not every file system has times for links.
        if !is_dry && dir.set_times(name, &times_of(like)).is_err() {
            return Ok(if matches!(outcome, Linked::Updated) { Linked::Kept } else { outcome });
        }
        Ok(outcome)
    }

    /// Gives the folder its times and permission bits.
    fn finish(&self) -> Result<(), Errno> {
        let (like, is_new) = match &self.finish {
            _ if self.context.is_shared => return Ok(()),
            Finish::Leave => return Ok(()),
            Finish::New(like) => (like, true),
            Finish::Present(like) => (like, false),
        };
        let dir = self.folder.dir()?;
        let there = dir.own_stat()?.st_mode & ALL;
        let kept = like.st_mode & KEPT;
        // As with mkdir(1) and cp(1), set-group-ID is not copied.
        let mode = if is_new { kept } else { there & kept } | there & SETGID;
        // Before the bits, which may forbid it.
        match dir.set_own_times(&times_of(like)) {
            Err(error) if is_refusal(error) => {
                self.emit_lost(LostAttributes { times: true, ..NONE });
            }
            set => set?,
        }
        // The group bits would also grant access to those named in an access control list that
        // the folder has inherited.
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
                    self.emit_lost(LostAttributes { mode: true, ..NONE });
                }
            }
            set => set?,
        }
        Ok(())
    }

    fn emit_lost(&self, lost: LostAttributes) {
        self.emit(Event::LostAttributes(lost));
    }

    /// Records an event to be reported later.
    fn emit(&self, event: Event) {
        self.context.late.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

const NONE: LostAttributes = LostAttributes { times: false, mode: false, acl: false };

impl Drop for CopyFolder {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            self.emit(Event::Failed(self.failed(error)));
        }
        // In a loop, since recursion could exhaust the stack.
        let mut above = self.above.take();
        while let Some(mut folder) = above.and_then(Arc::into_inner) {
            above = folder.above.take();
        }
    }
}

/// Creates a folder; returns whether it is new.
pub(super) fn make(above: &Dir, name: &OsStr, like: &Stat) -> Result<bool, Errno> {
    let made = match Protection::ClosedFolders.is_on() {
        true => above.create_dir(name, Mode::from_raw_mode(UNFINISHED)),
        // Only in test builds: with its final bits at once.
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

/// Refuses a folder that another user may have planted.
///
/// A new one must be ours and empty; otherwise it was exchanged. An existing one may also belong
/// to root or to the owner of the folder above, who can replace it anyway. One that other processes
/// fill as well counts as existing: it may have content at once.
pub(super) fn check_owner(
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

/// The owner of files that this process creates in a folder: some file systems store no owners,
/// and others map root to nobody. `None` if it may create none.
fn own_uid_in(dir: &Dir) -> Result<Option<u32>, Errno> {
    match with_scratch_file(dir, |file| fstat(file)) {
        Ok(stat) => Ok(Some(stat.st_uid)),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `open_existing` with a temporary file in a folder.
pub(super) fn with_scratch_file(
    dir: &Dir,
    open_existing: impl FnOnce(&File) -> Result<Stat, Errno>,
) -> Result<Stat, Errno> {
    let mode = Mode::RUSR | Mode::WUSR;
    if let Ok(file) = dir.create_unnamed(mode) {
        return open_existing(&file);
    }
    // A file of this name is created or the call fails, so a known name does no harm.
    let name: OsString = format!(".cryptstream-{}.scratch", std::process::id()).into();
    let file = dir.create_file(&name, mode)?;
    let stat = open_existing(&file);
    drop(file);
    dir.remove_file(&name)?;
    stat
}

/// Prepares a folder to be filled, and returns how it is finished.
pub(super) fn prepare(dir: &Dir, stat: &Stat, like: Stat, is_new: bool) -> Result<Finish, Errno> {
    let mode = stat.st_mode & ALL;
    let me = geteuid();
    if !is_new && stat.st_uid != me.as_raw() && !me.is_root() {
        // A shared folder: only its owner may change its times and bits.
        return Ok(Finish::Leave);
    }
    if is_new && mode & OWNER != OWNER {
        // The umask has removed bits that even the owner needs.
        dir.set_own_mode(Mode::from_raw_mode(UNFINISHED | mode & SETGID))?;
    }
    // An interrupted run has left it.
    let is_unfinished = mode & (0o077 | STICKY) == STICKY;
    if !is_new && mode & OWNER != OWNER {
        // An earlier run has closed it. If it cannot be reopened, creating the outputs fails.
        let _ = dir.set_own_mode(Mode::from_raw_mode(mode & (KEPT | SETGID) | OWNER));
    }
    Ok(if is_new || is_unfinished { Finish::New(like) } else { Finish::Present(like) })
}

pub(super) fn failed(path: &Path, error: Errno) -> Failure {
    match error {
        Errno::STALE | Errno::LOOP | Errno::NOTDIR => messages::tree::exchanged_folder(path),
        error => messages::tree::folder_failed(path, &error.into()),
    }
}
