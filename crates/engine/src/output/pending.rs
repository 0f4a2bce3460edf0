//! A file that does not stand under its name yet.
//!
//! It is an unnamed file in the target's folder (`O_TMPFILE`), which vanishes
//! with the process whatever happens, and is linked to its name at the end.
//! Where the file system has no unnamed files, and for the instant in which
//! an existing file is replaced (which a link cannot do, only a rename), it
//! bears a temporary name: see [`super::temporary`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cryptstream_beneath::Dir;
use cryptstream_protection::Protection;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timestamps,
    flock,
};
use rustix::io::Errno;

use super::permissions::{Permissions, is_refusal, set_mode};
use super::temporary;
use crate::Error;
use crate::interrupt::{self, OnInterrupt};
use crate::named::Named;

/// Below 1 MiB room is not taken beforehand: it takes as long either way.
const RESERVE_FROM: u64 = 1 << 20;
/// What `statfs` says of ext2, ext3 and ext4 (statfs(2)).
const EXT4_SUPER_MAGIC: rustix::fs::FsWord = 0xEF53;

/// See the module's description.
pub(crate) struct PendingFile {
    file: File,
    folder: Arc<Dir>,
    name: OsString,
    /// The temporary's name in the folder, while it has one, and what removes it
    /// when the process is interrupted.
    temporary: Option<(OsString, Option<OnInterrupt>)>,
    may_replace: bool,
    /// What had the name when the run began.
    replaced: Option<Stat>,
    /// Whether the original has an access control list, which this does not get.
    pub(super) lacks_acl: bool,
    permissions: Permissions,
    /// For messages.
    path: PathBuf,
}

impl PendingFile {
    /// Creates the file in `folder`, where it is to be called `name`. With
    /// `may_replace`, what has that name at the end is replaced. `path` is for
    /// messages.
    pub(crate) fn create(
        folder: Arc<Dir>,
        name: OsString,
        path: &Path,
        may_replace: bool,
        permissions: Permissions,
    ) -> Result<Self, Error> {
        let present = folder.stat(&name).ok();
        Self::create_over(Named { folder, name }, path, may_replace, present, permissions)
    }

    /// The same, where it is known what has the name now.
    pub(super) fn create_over(
        named: Named,
        path: &Path,
        may_replace: bool,
        present: Option<Stat>,
        permissions: Permissions,
    ) -> Result<Self, Error> {
        let permissions = permissions.within(present.map(|stat| stat.st_mode & 0o777));
        let made = Self::try_create(named, path, may_replace, present, permissions);
        made.map_err(|error| match error {
            Errno::EXIST => Error::OutputExists { path: path.to_owned() },
            _ => Error::Create { path: path.to_owned(), source: error.into() },
        })
    }

    fn try_create(
        named: Named,
        path: &Path,
        may_replace: bool,
        replaced: Option<Stat>,
        permissions: Permissions,
    ) -> Result<Self, Errno> {
        let Named { folder, name } = named;
        let (file, temporary) = match open_unnamed(&folder, permissions)? {
            Some(file) => (file, None),
            None => {
                temporary::remove_abandoned(&folder, &name);
                // Until it is known what is to be removed.
                let _deferred = interrupt::defer();
                let (file, temporary) = create_named(&folder, &name)?;
                let watched = (Arc::clone(&folder), temporary.clone(), identity(&file)?);
                // Without the thread only an interruption leaves it behind,
                // for a later run to remove.
                let cleanup = interrupt::on_interrupt(Box::new(move || {
                    let (folder, temporary, identity) = &watched;
                    unlink_own(folder, temporary, *identity);
                }));
                (file, Some((temporary, cleanup.ok())))
            }
        };
        let path = path.to_owned();
        let lacks_acl = false;
        Ok(Self {
            file,
            folder,
            name,
            temporary,
            may_replace,
            replaced,
            lacks_acl,
            permissions,
            path,
        })
    }

    /// Takes room for all `len` bytes of the file at once, where that pays and
    /// is possible; writing then takes less time, and a disk that is too small
    /// is known at once. The file's length stays what it is.
    ///
    /// Measured for 256 MiB on ext4: 0.86 of the time with two workers, 0.88
    /// with none; as long on tmpfs and XFS. On Btrfs it took longer, and what
    /// is taken beforehand is not compressed there.
    pub(crate) fn reserve(&self, len: u64) -> Result<(), Error> {
        let is_ext4 =
            || rustix::fs::fstatfs(&self.file).is_ok_and(|stat| stat.f_type == EXT4_SUPER_MAGIC);
        if len < RESERVE_FROM || !is_ext4() {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(Error::NoRoom { path: self.path.clone(), len, source: error.into() })
            }
            // Where it is not possible, or was interrupted, writing will tell.
            _ => Ok(()),
        }
    }

    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, offset).map_err(|source| self.failed(offset, source))
    }

    /// The file itself, for others to write to. Not after the commit.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The file, opened once more for the workers: unlike a duplicate of the
    /// descriptor, this one counts by itself in [`has_other_writers`].
    ///
    /// [`has_other_writers`]: Self::has_other_writers
    pub(crate) fn open_for_workers(&self) -> Result<File, Error> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(CWD, descriptor_path(&self.file), flags, Mode::empty()) {
            Ok(file) => Ok(file.into()),
            // Without /proc, or where the file may not be opened again.
            Err(_) => {
                let path = || self.path.clone();
                self.file.try_clone().map_err(|source| Error::Open { path: path(), source })
            }
        }
    }

    /// Whether anybody else can write to the file through a descriptor; `None`
    /// where the file system does not tell.
    pub(crate) fn has_other_writers(&self) -> Option<bool> {
        cryptstream_shm::descriptors::has_other_writers(&self.file).ok()
    }

    /// Refuses a file that has another length than what was written to it.
    pub(crate) fn check_len(&self, expected: u64) -> Result<(), Error> {
        let found = self.file.metadata().map_err(|error| self.failed(0, error))?.len();
        match found == expected || !Protection::OutputLength.is_on() {
            true => Ok(()),
            false => Err(Error::OutputLength { path: self.path.clone(), expected, found }),
        }
    }

    /// The file once more, to be read.
    pub(crate) fn reopen(&self) -> Result<File, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = match &self.temporary {
            None => {
                rustix::fs::open(descriptor_path(&self.file), flags, Mode::empty()).map(File::from)
            }
            Some((temporary, _)) => self.folder.open_file(temporary).and_then(|file| {
                if identity(&file)? == identity(&self.file)? { Ok(file) } else { Err(Errno::STALE) }
            }),
        };
        opened.map_err(|error| Error::Read {
            path: self.path.clone(),
            offset: 0,
            source: error.into(),
        })
    }

    /// The name that it is to get, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file these times. Nothing may be written after that. Returns whether
    /// the file system has taken them.
    pub(crate) fn set_times(&self, times: &Timestamps) -> Result<bool, Error> {
        match rustix::fs::futimens(&self.file, times) {
            Ok(()) => Ok(true),
            Err(error) if is_refusal(error) => Ok(false),
            Err(error) => Err(self.failed(0, error.into())),
        }
    }

    /// The same as [`PendingFile::commit`], with permission bits that are known only
    /// now.
    pub(crate) fn commit_with_mode(self, mode: u32, sync: bool) -> Result<(), Error> {
        set_mode(&self.file, mode).map_err(|error| self.failed(0, error.into()))?;
        self.commit_as_it_is(sync)
    }

    /// Gives the file its permission bits and its name. Returns whether the file system
    /// has taken the bits.
    pub(crate) fn commit(self, sync: bool) -> Result<bool, Error> {
        let was_unnamed = self.temporary.is_none();
        let replaced = self.replaced.as_ref();
        let settled = self.permissions.settle(&self.file, was_unnamed, &self.folder, replaced);
        let has_mode = settled.map_err(|error| self.failed(0, error.into()))?;
        self.commit_as_it_is(sync).map(|()| has_mode)
    }

    fn commit_as_it_is(mut self, sync: bool) -> Result<(), Error> {
        let is_durable = match self.give_name(sync) {
            Ok(is_durable) => is_durable,
            Err(Errno::EXIST) => return Err(Error::OutputExists { path: self.path.clone() }),
            Err(error) => {
                let written = self.file.metadata().map_or(0, |metadata| metadata.len());
                return Err(self.failed(written, error.into()));
            }
        };
        let not_durable = |source| Error::NotDurable { path: self.path.clone(), source };
        if is_durable {
            sync_folder(&self.folder, &self.file).map_err(|error| not_durable(error.into()))?;
        }
        Ok(())
    }

    /// Returns whether the name is to be made durable too.
    fn give_name(&mut self, sync: bool) -> Result<bool, Errno> {
        // File systems without unnamed files are mostly remote ones, which
        // report a full disk no earlier than here.
        let sync = sync || self.replaced.is_some() || self.temporary.is_some();
        if sync {
            rustix::fs::fsync(&self.file)?;
        }
        interrupt::heed();
        let Some((temporary, _)) = &self.temporary else {
            if self.replaced.is_none() {
                match link_unnamed(&self.file, &self.folder, &self.name) {
                    Err(Errno::EXIST) if self.may_replace => rustix::fs::fsync(&self.file)?,
                    result => return result.map(|()| sync),
                }
            }
            return self.replace_by_unnamed().map(|()| true);
        };
        let own = identity(&self.file)?;
        if !is_named(&self.folder, temporary, own) {
            return Err(Errno::NOENT);
        }
        rename(&self.folder, temporary, &self.name, self.may_replace)?;
        self.temporary = None;
        // On some file systems the name may have changed hands in between.
        if is_named(&self.folder, &self.name, own) { Ok(true) } else { Err(Errno::STALE) }
    }

    /// The one moment at which an unnamed file bears a temporary name.
    fn replace_by_unnamed(&self) -> Result<(), Errno> {
        temporary::remove_abandoned(&self.folder, &self.name);
        let _deferred = interrupt::defer();
        let temporary = temporary::name(&self.name)?;
        link_unnamed(&self.file, &self.folder, &temporary)?;
        let renamed = rename(&self.folder, &temporary, &self.name, self.may_replace);
        if renamed.is_err() {
            // While interruptions still wait. A failure leaves it to the next run.
            let _ = self.folder.remove_file(&temporary);
        }
        renamed
    }

    fn failed(&self, offset: u64, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), offset, source }
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if let Some((temporary, _cleanup)) = self.temporary.take()
            && let Ok(own) = identity(&self.file)
        {
            unlink_own(&self.folder, &temporary, own);
        }
    }
}

/// Opens an unnamed file; `None` where the file system has none, or where it
/// could not be linked later because /proc is missing.
fn open_unnamed(folder: &Dir, permissions: Permissions) -> Result<Option<File>, Errno> {
    let file = match folder.create_unnamed(permissions.of_unnamed()) {
        Ok(file) => file,
        // What file systems and kernels without it have been seen to answer.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    // Once is enough: it is mounted or not, and a look takes 2 % of a small file.
    static IS_LINKABLE: OnceLock<bool> = OnceLock::new();
    let is_linkable = || {
        let path = descriptor_path(&file);
        rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    };
    Ok(IS_LINKABLE.get_or_init(is_linkable).then_some(file))
}

fn descriptor_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn link_unnamed(file: &File, folder: &Dir, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::linkat(CWD, descriptor_path(file), folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Creates a file that bears a temporary name.
fn create_named(folder: &Dir, name: &OsStr) -> Result<(File, OsString), Errno> {
    let temporary = temporary::name(name)?;
    let file = folder.create_file(&temporary, Permissions::of_named())?;
    // Held as long as it is written. Some file systems have no locks.
    let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok((file, temporary))
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(file: &File) -> Result<Identity, Errno> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn is_named(folder: &Dir, name: &OsStr, own: Identity) -> bool {
    folder.stat(name).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == own)
}

/// Removes a temporary, if it is ours still. Nothing better can be done about
/// a failure than what a later run does.
fn unlink_own(folder: &Dir, temporary: &OsStr, own: Identity) {
    if is_named(folder, temporary, own) {
        let _ = folder.remove_file(temporary);
    }
}

/// Renames within the folder; without `may_replace` only to a free name.
fn rename(folder: &Dir, from: &OsStr, to: &OsStr, may_replace: bool) -> Result<(), Errno> {
    if may_replace {
        return folder.rename(from, folder, to);
    }
    match folder.rename_with(from, folder, to, RenameFlags::NOREPLACE) {
        // The file system does not know the flag. A link is as exclusive; and
        // where there are no links either, a look has to do.
        Err(Errno::INVAL | Errno::NOSYS) => {}
        result => return result,
    }
    match folder.hard_link(from, folder, to) {
        Ok(()) => return folder.remove_file(from),
        Err(Errno::EXIST) => return Err(Errno::EXIST),
        Err(_) => {}
    }
    match folder.stat(to) {
        Ok(_) => Err(Errno::EXIST),
        Err(_) => folder.rename(from, folder, to),
    }
}

/// Removes the file of this name, and makes that durable. `near` is any file
/// of the file system.
pub(crate) fn remove_durably(folder: &Dir, name: &OsStr, near: &File) -> Result<(), Errno> {
    folder.remove_file(name)?;
    sync_folder(folder, near)
}

/// Removes what killed runs have left that were to write `name` in `folder`. Those
/// whose work lasts longer are spared.
pub(crate) fn remove_abandoned(folder: &Dir, name: &OsStr) {
    temporary::remove_abandoned(folder, name);
}

/// Makes the new name of `file` durable. The folder was opened without the
/// right to read it.
fn sync_folder(folder: &Dir, file: &File) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", flags, Mode::empty()) {
        Ok(readable) => match rustix::fs::fsync(&readable) {
            // Some file systems cannot sync folders.
            Err(Errno::INVAL | Errno::BADF) => Ok(()),
            result => result,
        },
        // A folder that may be written but not listed: then all of it.
        Err(Errno::ACCESS) => rustix::fs::syncfs(file),
        Err(error) => Err(error),
    }
}
