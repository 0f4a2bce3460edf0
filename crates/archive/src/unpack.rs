//! Creates the members of an archive in a folder, and nothing outside it.
//!
//! The folder is empty at first and closed to others. Nothing in it is opened through a link, so
//! an archive can only create new members or replace its own. Symbolic links that lead out of the
//! folder are refused, unless the caller allows them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cryptstream_beneath::Dir;
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, LimitExceeded, Refusal};
use crate::folder_cache::{FolderCache, as_path};
use crate::folders::{Attributes, FOLDER_BUDGET, Folders};
use crate::member::{Kind, Member};
use crate::name;
use crate::path_ops::PathOps;
use crate::reader::ArchiveReader;
use crate::time::Time;
use crate::written_pages::WrittenPages;

/// The permission bits that an archive can set: not the set-user-ID, set-group-ID and sticky
/// bits.
const BITS: u32 = 0o777;

/// The most skipped members that are named.
const MAX_NAMED: usize = 20;
/// Bytes of each of these names.
const MAX_NAME_SHOWN: usize = 300;

/// The totals of an archive that was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The number of members.
    pub entries: u64,
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// The permission bits and the time of the folder itself, if the archive has them.
    pub folder: Option<(u32, Time)>,
    /// What differs from the archive.
    pub differences: Differences,
}

/// What differs between the folder and the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Devices and pipes, which are skipped.
    pub special: u64,
    /// The names of the first of them, cut to 300 bytes.
    pub special_names: Vec<Vec<u8>>,
    /// Members with absolute names, which are taken as relative.
    pub absolute: u64,
    /// Members that were replaced by a later one of the same name.
    pub replaced: u64,
    /// Members whose permission bits or times the file system does not support.
    pub unset: u64,
}

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Create symbolic links even if they lead out of the folder.
    pub any_links: bool,
    /// Permission bits that are never set.
    pub umask: u32,
    /// Files of 8 MiB and more do not stay in the page cache. They are made durable for that.
    pub drops_content: bool,
}

impl Options {
    /// The permission bits of a member for which the archive has `mode`.
    #[must_use]
    pub fn bits(&self, mode: u32) -> u32 {
        match Protection::Umask.is_on() {
            true => mode & BITS & !self.umask,
            false => mode & BITS,
        }
    }
}

/// Creates all members of `archive` in the empty folder `into`, and locks `change_lock` during
/// each change to the folder.
///
/// # Errors
/// See [`Error`]. The members created so far remain; the caller removes them.
pub fn unpack<R: Read>(
    archive: &mut ArchiveReader<R>,
    into: &Dir,
    change_lock: &Mutex<()>,
    options: Options,
    path_ops: &mut dyn PathOps,
) -> Result<Unpacked, Error> {
    let mut unpacking = Unpacking {
        creator: Creator {
            folder_cache: FolderCache::new(into),
            path_ops,
            differences: Differences::default(),
        },
        targets: FolderCache::new(into),
        change_lock,
        options,
        folders: Folders::default(),
    };
    let mut unpacked = Unpacked::default();
    while let Some(member) = archive.next()? {
        unpacked.entries += 1;
        unpacked.bytes += member.size;
        if let Some(folder) = unpacking.create_member(&member, archive)? {
            unpacked.folder = Some(folder);
        }
    }
    unpacking.finish()?;
    unpacked.differences = unpacking.creator.differences;
    Ok(unpacked)
}

struct Unpacking<'a> {
    creator: Creator<'a>,
    /// The folder of the last target of a hard link.
    targets: FolderCache<'a>,
    change_lock: &'a Mutex<()>,
    options: Options,
    /// Folders whose attributes are set at the end.
    folders: Folders,
}

/// Creates names in the folder.
struct Creator<'a> {
    folder_cache: FolderCache<'a>,
    path_ops: &'a mut dyn PathOps,
    differences: Differences,
}

impl Unpacking<'_> {
    /// Creates a member. Returns the permission bits and the time if it is the folder itself.
    fn create_member<R: Read>(
        &mut self,
        member: &Member,
        archive: &mut ArchiveReader<R>,
    ) -> Result<Option<(u32, Time)>, Error> {
        let refused = |reason| Error::Refused { member: member.name.clone(), reason };
        let parts = name::parts(&member.name).map_err(refused)?;
        let Some((_, above)) = parts.split_last() else {
            return match member.kind {
                Kind::Folder => Ok(Some((self.options.bits(member.mode), member.mtime))),
                _ => Err(refused(Refusal::NoName)),
            };
        };
        self.creator.differences.absolute += u64::from(member.name.starts_with(b"/"));
        let held = lock(self.change_lock);
        match &member.kind {
            Kind::File => {
                // Set at once: others cannot enter the folder before it is complete.
                let mode = Mode::from_raw_mode(self.options.bits(member.mode));
                let file = self
                    .creator
                    .create(member, &parts, |folder, own| folder.create_file(as_path(own), mode))?;
                // Reading can take long.
                drop(held);
                return self.fill(&file, member, archive).map(|()| None);
            }
            Kind::Folder => {
                let bits = self.options.bits(member.mode);
                // With its final bits, except the owner's: a later chmod(2) would remove the
                // set-group-ID bit that it inherits from its parent. Others cannot enter the
                // folder before it is complete.
                let mode = Mode::from_raw_mode(bits) | Mode::RWXU;
                self.creator.create(member, &parts, |folder, own| {
                    match folder.create_dir(as_path(own), mode) {
                        // It was created as a parent, or is in the archive twice. A link to a
                        // folder is not a folder.
                        Err(Errno::EXIST) => match folder.stat(as_path(own))?.st_mode {
                            mode if FileType::from_raw_mode(mode) == FileType::Directory => Ok(()),
                            _ => Err(Errno::EXIST),
                        },
                        created => created,
                    }
                })?;
                let mode = u16::try_from(bits).unwrap_or(0);
                let attributes = Attributes { mode, time: member.mtime };
                self.folders.insert(&parts, attributes).map_err(|_| Error::LimitExceeded {
                    member: member.name.clone(),
                    reason: LimitExceeded::Folders(FOLDER_BUDGET),
                })?;
            }
            Kind::Symlink(target) => {
                if !self.options.any_links && name::leads_out(target, above.len()) {
                    return Err(refused(Refusal::LinkLeavesFolder));
                }
                self.creator.create(member, &parts, |folder, own| {
                    folder.symlink(as_path(target), as_path(own))
                })?;
                let time = member.mtime;
                let path = parts.join(&b'/');
                self.creator.path_ops.set_link_time(&path, time).map_err(Error::Report)?;
            }
            Kind::HardLink(target) => self.link(member, target, &parts)?,
            Kind::Fifo | Kind::BlockDevice | Kind::CharDevice => self.creator.leave_out(member),
            Kind::Unknown(_) => return Err(refused(Refusal::UnknownType)),
        }
        Ok(None)
    }

    fn link(&mut self, member: &Member, target: &[u8], own: &[&[u8]]) -> Result<(), Error> {
        let refused = |reason| Error::Refused { member: member.name.clone(), reason };
        let nothing = |error: Errno| match error {
            Errno::NOENT => refused(Refusal::MissingLinkTarget),
            error => create_error(member, error),
        };
        let parts = name::parts(target).map_err(refused)?;
        let (target, target_above) =
            parts.split_last().ok_or_else(|| refused(Refusal::LinkTargetNotFile))?;
        let from = self.targets.folder(target_above, false).map_err(nothing)?;
        let stat = from.stat(as_path(target)).map_err(nothing)?;
        // A symbolic link could lead elsewhere under its second name.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused(Refusal::LinkTargetNotFile));
        }
        self.creator.create(member, own, |folder, own| {
            match from.hard_link(as_path(target), folder, as_path(own)) {
                // If it is the same file already, it must not be removed.
                Err(Errno::EXIST) => match folder.stat(as_path(own))? {
                    found if (found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino) => Ok(()),
                    _ => Err(Errno::EXIST),
                },
                linked => linked,
            }
        })
    }

    /// Writes the content, length and time of a file.
    fn fill<R: Read>(
        &mut self,
        file: &File,
        member: &Member,
        archive: &mut ArchiveReader<R>,
    ) -> Result<(), Error> {
        let failed = |source: io::Error| Error::Write { member: member.name.clone(), source };
        let mut end = 0;
        let mut written = self.options.drops_content.then(|| WrittenPages::new(file));
        archive.content(member, |offset, bytes| {
            let _held = lock(self.change_lock);
            end = offset + bytes.len() as u64;
            file.write_all_at(bytes, offset).map_err(failed)?;
            written.iter_mut().for_each(|pages| pages.drop_behind(end));
            Ok(())
        })?;
        written.map_or(Ok(()), WrittenPages::drop_rest).map_err(failed)?;
        let _held = lock(self.change_lock);
        if end < member.size {
            file.set_len(member.size).map_err(failed)?;
        }
        let times = member.mtime.to_timestamps();
        let set = is_supported(rustix::fs::futimens(file, &times));
        let is_set = set.map_err(|error| failed(error.into()))?;
        self.creator.differences.unset += u64::from(!is_set);
        Ok(())
    }

    /// Sets the permission bits and times of the folders, subfolders first.
    fn finish(&mut self) -> Result<(), Error> {
        // Before the permission bits of a folder make paths through it impossible.
        self.creator.path_ops.wait().map_err(Error::Report)?;
        while let Some((path, attributes)) = self.folders.pop() {
            let _held = lock(self.change_lock);
            self.finish_folder(&path, attributes)
                .map_err(|error| Error::Write { member: path, source: error.into() })?;
        }
        Ok(())
    }

    fn finish_folder(&mut self, path: &[u8], attributes: Attributes) -> Result<(), Errno> {
        let parts: Vec<_> = path.split(|byte| *byte == b'/').collect();
        let Some((own, above)) = parts.split_last() else { return Ok(()) };
        let above = self.creator.folder_cache.folder(above, false)?;
        // A descriptor with O_PATH would not do for fchmod(2).
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = above.open_with(as_path(own), flags, Mode::empty())?;
        let has_times =
            is_supported(rustix::fs::futimens(&folder, &attributes.time.to_timestamps()))?;
        let mode = u32::from(attributes.mode);
        let has_mode = rustix::fs::fstat(&folder)?.st_mode & BITS == mode
            || is_supported(rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode)))?;
        let is_set = has_mode && has_times;
        self.creator.differences.unset += u64::from(!is_set);
        Ok(())
    }
}

/// Whether the file system has set times or permission bits. Some do not support them, which is no
/// error.
fn is_supported(set: Result<(), Errno>) -> Result<bool, Errno> {
    use Errno as E;
    match set {
        Ok(()) => Ok(true),
        Err(E::PERM | E::ACCESS | E::OPNOTSUPP | E::NOSYS | E::ROFS | E::INVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Creator<'_> {
    fn leave_out(&mut self, member: &Member) {
        self.differences.special += 1;
        if self.differences.special_names.len() < MAX_NAMED {
            let shown = member.name.len().min(MAX_NAME_SHOWN);
            self.differences.special_names.push(member.name[..shown].to_vec());
        }
    }

    /// Calls `act` with the parent folder and the name of a member, to create it. A file that has
    /// the name already is replaced: programs that update an archive append the new version of a
    /// file, and the last one counts.
    fn create<T>(
        &mut self,
        member: &Member,
        parts: &[&[u8]],
        mut act: impl FnMut(&Dir, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, Error> {
        let failed = |error: Errno| create_error(member, error);
        let Some((own, above)) = parts.split_last() else { return Err(failed(Errno::EXIST)) };
        match act(self.folder_cache.folder(above, true).map_err(failed)?, own) {
            Err(Errno::EXIST) => {}
            created => return created.map_err(failed),
        }
        if !self.path_ops.remove(&parts.join(&b'/')).map_err(Error::Report)? {
            return Err(failed(Errno::EXIST));
        }
        self.differences.replaced += 1;
        act(self.folder_cache.folder(above, true).map_err(failed)?, own).map_err(failed)
    }
}

/// The error for a member that could not be created.
fn create_error(member: &Member, error: Errno) -> Error {
    let refused = |reason| Error::Refused { member: member.name.clone(), reason };
    match error {
        Errno::EXIST => refused(Refusal::DuplicateName),
        Errno::NOTDIR | Errno::LOOP => refused(Refusal::NotAFolder),
        Errno::NAMETOOLONG => refused(Refusal::NameTooLong),
        error => Error::Write { member: member.name.clone(), source: error.into() },
    }
}

fn lock(change_lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    change_lock.lock().unwrap_or_else(PoisonError::into_inner)
}
