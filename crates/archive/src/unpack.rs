//! From an archive to a folder, and nowhere else.
//!
//! The folder is empty at first and nobody else's. Nothing in it is ever opened
//! through a link, replaced, or removed, so that what an archive can do is to make
//! something new in it. Links are made as what they are, and only those that stay
//! within it, unless all are wanted.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::beneath::Beneath;
use crate::contents::{Contents, Kind, Member};
use crate::error::{Error, Refusal};
use crate::name;
use crate::time::Time;

/// Permission bits that files keep: not those that lend the owner's rights.
const FILE_BITS: u32 = 0o777;
/// Folders keep also the bit that lets everybody remove only what is theirs.
const FOLDER_BITS: u32 = 0o1777;

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Members.
    pub entries: u64,
    /// Bytes of content, holes included.
    pub bytes: u64,
    /// Permission bits and time of the folder itself, if the archive tells them.
    pub folder: Option<(u32, Time)>,
}

/// Makes everything that the archive has in the empty folder `into`; `gate` is held
/// while something is changed in it. With `any_links`, symbolic links are made
/// wherever they lead.
///
/// # Errors
/// See [`Error`]. What was made until then is left to the caller.
pub fn unpack<R: Read>(
    contents: &mut Contents<R>,
    into: impl AsFd,
    gate: &Mutex<()>,
    any_links: bool,
) -> Result<Unpacked, Error> {
    let beneath = Beneath::new(into.as_fd());
    let mut unpacking = Unpacking { beneath, gate, any_links, folders: Vec::new() };
    let mut unpacked = Unpacked::default();
    while let Some(member) = contents.next()? {
        unpacked.entries += 1;
        unpacked.bytes += member.size;
        if let Some(folder) = unpacking.make(&member, contents)? {
            unpacked.folder = Some(folder);
        }
    }
    unpacking.finish()?;
    Ok(unpacked)
}

struct Unpacking<'a> {
    beneath: Beneath<'a>,
    gate: &'a Mutex<()>,
    any_links: bool,
    /// Folders that the archive has, and what they are to get when all is in them.
    folders: Vec<(Vec<Vec<u8>>, u32, Time)>,
}

impl Unpacking<'_> {
    /// Makes one member. Returns the bits and the time of the folder itself.
    fn make<R: Read>(
        &mut self,
        member: &Member,
        contents: &mut Contents<R>,
    ) -> Result<Option<(u32, Time)>, Error> {
        let refused = |reason| Error::Refused { member: member.name.clone(), reason };
        let failed = |error: Errno| failure(member, error);
        let parts = name::parts(&member.name).map_err(refused)?;
        let Some((own, above)) = parts.split_last() else {
            return match member.kind {
                Kind::Folder => Ok(Some((member.mode & FOLDER_BITS, member.mtime))),
                _ => Err(refused(Refusal::NoName)),
            };
        };
        let held = lock(self.gate);
        match &member.kind {
            Kind::File => {
                let folder = self.beneath.folder(above, true).map_err(failed)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let private = Mode::RUSR | Mode::WUSR;
                let opened = rustix::fs::openat(folder, *own, flags | OFlags::CLOEXEC, private);
                let file = File::from(opened.map_err(failed)?);
                // Reading may take long.
                drop(held);
                return fill(&file, member, contents, self.gate).map(|()| None);
            }
            Kind::Folder => {
                let folder = self.beneath.folder(above, true).map_err(failed)?;
                match rustix::fs::mkdirat(folder, *own, Mode::RWXU) {
                    // It was made for what is in it; or it comes twice, and the second
                    // is right. A link to a folder is none.
                    Err(Errno::EXIST) => {
                        let stat = rustix::fs::statat(folder, *own, AtFlags::SYMLINK_NOFOLLOW);
                        let mode = stat.map_err(failed)?.st_mode;
                        if FileType::from_raw_mode(mode) != FileType::Directory {
                            return Err(refused(Refusal::Twice));
                        }
                    }
                    made => made.map_err(failed)?,
                }
                let parts = parts.iter().map(|part| part.to_vec()).collect();
                self.folders.push((parts, member.mode & FOLDER_BITS, member.mtime));
            }
            Kind::Symlink(target) => {
                if !self.any_links && name::leads_out(target, above.len()) {
                    return Err(refused(Refusal::LinkOut));
                }
                let folder = self.beneath.folder(above, true).map_err(failed)?;
                rustix::fs::symlinkat(&target[..], folder, *own).map_err(failed)?;
                let times = member.mtime.to_timestamps();
                // Not every file system has times for links.
                let _ = rustix::fs::utimensat(folder, *own, &times, AtFlags::SYMLINK_NOFOLLOW);
            }
            Kind::HardLink(target) => self.link(member, target, above, own)?,
            Kind::Fifo | Kind::BlockDevice | Kind::CharDevice => {
                return Err(refused(Refusal::Special));
            }
            Kind::Unknown(_) => return Err(refused(Refusal::Unknown)),
        }
        Ok(None)
    }

    fn link(
        &mut self,
        member: &Member,
        target: &[u8],
        above: &[&[u8]],
        own: &[u8],
    ) -> Result<(), Error> {
        let refused = |reason| Error::Refused { member: member.name.clone(), reason };
        let failed = |error: Errno| failure(member, error);
        let nothing = |error: Errno| match error {
            Errno::NOENT => refused(Refusal::LinkToNothing),
            error => failed(error),
        };
        let parts = name::parts(target).map_err(refused)?;
        let (target, target_above) =
            parts.split_last().ok_or_else(|| refused(Refusal::LinkToNoFile))?;
        let from = self.beneath.folder(target_above, false).map_err(nothing)?;
        let from = from.try_clone_to_owned().map_err(|source| {
            let member = member.name.clone();
            Error::Write { member, source }
        })?;
        let stat = rustix::fs::statat(&from, *target, AtFlags::SYMLINK_NOFOLLOW);
        // A second name of a symbolic link could lead elsewhere than the first.
        if FileType::from_raw_mode(stat.map_err(nothing)?.st_mode) != FileType::RegularFile {
            return Err(refused(Refusal::LinkToNoFile));
        }
        let folder = self.beneath.folder(above, true).map_err(failed)?;
        rustix::fs::linkat(&from, *target, folder, own, AtFlags::empty()).map_err(failed)
    }

    /// Gives the folders their permission bits and times, what is within before what
    /// it is in.
    fn finish(&mut self) -> Result<(), Error> {
        let mut folders = std::mem::take(&mut self.folders);
        // Of one that comes twice, the first is done last in this order: keep the
        // last one only.
        folders.reverse();
        folders.sort_by(|(one, ..), (other, ..)| other.cmp(one));
        folders.dedup_by(|(later, ..), (earlier, ..)| later == earlier);
        for (parts, mode, mtime) in folders {
            let _held = lock(self.gate);
            let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
            let done = self.finish_folder(&parts, mode, mtime);
            done.map_err(|error| {
                let member = parts.join(&b'/');
                Error::Write { member, source: error.into() }
            })?;
        }
        Ok(())
    }

    fn finish_folder(&mut self, parts: &[&[u8]], mode: u32, mtime: Time) -> Result<(), Errno> {
        let Some((own, above)) = parts.split_last() else { return Ok(()) };
        let above = self.beneath.folder(above, false)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(above, *own, flags, Mode::empty())?;
        rustix::fs::futimens(&folder, &mtime.to_timestamps())?;
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode))
    }
}

/// Writes a file's content, and what is known about it.
fn fill<R: Read>(
    file: &File,
    member: &Member,
    contents: &mut Contents<R>,
    gate: &Mutex<()>,
) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Write { member: member.name.clone(), source };
    let mut end = 0;
    contents.content(member, |offset, bytes| {
        let _held = lock(gate);
        end = offset + bytes.len() as u64;
        file.write_all_at(bytes, offset).map_err(failed)
    })?;
    let _held = lock(gate);
    if end < member.size {
        file.set_len(member.size).map_err(failed)?;
    }
    let mode = Mode::from_raw_mode(member.mode & FILE_BITS);
    rustix::fs::fchmod(file, mode).map_err(|error| failed(error.into()))?;
    let times = member.mtime.to_timestamps();
    rustix::fs::futimens(file, &times).map_err(|error| failed(error.into()))
}

/// What the system's answer says about the archive, or about the disk.
fn failure(member: &Member, error: Errno) -> Error {
    let refused = |reason| Error::Refused { member: member.name.clone(), reason };
    match error {
        Errno::EXIST => refused(Refusal::Twice),
        Errno::NOTDIR | Errno::LOOP => refused(Refusal::Through),
        error => Error::Write { member: member.name.clone(), source: error.into() },
    }
}

fn lock(gate: &Mutex<()>) -> MutexGuard<'_, ()> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}
