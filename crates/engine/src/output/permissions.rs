//! The permission bits of an output.

use std::fs::File;
use std::os::unix::fs::fchown;

use cryptstream_beneath::{Dir, has_acl, is_refusal};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, Stat, fchmod, fstat};
use rustix::io::Errno;

use crate::path_resolution::planted_by;
use crate::umask::{OWNER, umask};

/// The permission bits that an output gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Permissions {
    /// Only the owner can read it.
    Private,
    /// These bits as far as a new file may have them, as with cp(1): without those that the umask,
    /// or the folder's default access control list, withholds.
    AsNewFile(u32),
    /// Exactly these bits, including those that the umask withholds, as in a copied tree.
    Exactly(u32),
    /// Exactly these bits, even if the replaced file had fewer: the copy follows its original.
    Following(u32),
}

/// The bits of a file that only its owner may read.
const PRIVATE: u32 = 0o600;
/// With an access control list, the group bits are the most that the list can grant.
const ACL_MASK: u32 = 0o070;
/// The bits of all others.
const OTHERS: u32 = 0o007;

impl Permissions {
    /// Removes the bits that the replaced file did not have: it may have been closed to others on
    /// purpose.
    pub(super) fn within(self, replaced: Option<u32>) -> Self {
        let replaced = replaced.unwrap_or(0o777);
        match self {
            Self::Private => Self::Private,
            Self::AsNewFile(mode) => Self::AsNewFile(mode & replaced),
            Self::Exactly(mode) => Self::Exactly(mode & replaced),
            Self::Following(mode) => Self::Exactly(mode),
        }
    }

    /// The bits that an unnamed file is created with. Nobody else can open it before it has a name,
    /// and the system itself removes the bits that a new file may not have. The owner's bits stay,
    /// so that this process can reopen the file.
    pub(super) fn of_unnamed(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Private => PRIVATE,
            Self::AsNewFile(mode) | Self::Exactly(mode) | Self::Following(mode) => mode | PRIVATE,
        })
    }

    /// The bits that a file with a temporary name is created with.
    pub(super) fn of_named() -> Mode {
        Mode::from_raw_mode(PRIVATE)
    }

    /// Sets the bits of the file before it gets its name in `folder`.
    ///
    /// As for every new file, the folder's default access control list replaces the umask, but only
    /// if this user or root owns the folder: another user's list would open the file to that user.
    ///
    /// The new file takes over the owner and group of the `replaced` one. Returns whether the file
    /// system has set the bits.
    pub(super) fn settle(
        self,
        file: &File,
        was_unnamed: bool,
        folder: &Dir,
        replaced: Option<&Stat>,
    ) -> Result<bool, Errno> {
        let own = fstat(file)?;
        let present = own.st_mode & 0o777;
        let is_owned = match replaced {
            Some(old) => keep_owner(file, &own, old, folder)?,
            None => true,
        };
        let wanted = match self {
            Self::Private => PRIVATE,
            Self::AsNewFile(mode) if !Protection::Umask.is_on() => mode,
            Self::AsNewFile(mode) if was_unnamed && has_acl(file) && is_of_another(folder)? => {
                mode & present & !umask() & !ACL_MASK & !OTHERS
            }
            // The system has applied the umask, except for the bits that `keep_owner_bits` kept.
            Self::AsNewFile(mode) if was_unnamed => mode & present & !(umask() & OWNER),
            Self::AsNewFile(mode) => without_inherited(file, mode & !umask()),
            Self::Exactly(mode) | Self::Following(mode) if mode == present => mode,
            Self::Exactly(mode) | Self::Following(mode) if was_unnamed && has_acl(file) => {
                mode & present
            }
            Self::Exactly(mode) | Self::Following(mode) if was_unnamed => mode,
            Self::Exactly(mode) | Self::Following(mode) => without_inherited(file, mode),
        };
        // Another group does not get the rights of the old one.
        let wanted = if is_owned { wanted } else { wanted & (0o707 | (wanted & OTHERS) << 3) };
        match set_mode_if_needed(file, present, wanted) {
            Err(error) if is_refusal(error) && !matches!(self, Self::Private) => Ok(false),
            set => set,
        }
    }
}

/// Gives the file the owner and the group of the file that it replaces. Returns whether it has the
/// group now. Nothing is taken over from a file that another user has planted: its owner could read
/// the new content.
fn keep_owner(file: &File, own: &Stat, old: &Stat, folder: &Dir) -> Result<bool, Errno> {
    let is_file = FileType::from_raw_mode(old.st_mode) == FileType::RegularFile;
    if !is_file || (own.st_uid, own.st_gid) == (old.st_uid, old.st_gid) {
        return Ok(true);
    }
    if planted_by(folder, old)?.is_some() {
        return Ok(false);
    }
    let (user, group) = (Some(old.st_uid), Some(old.st_gid));
    Ok(fchown(file, user, group).is_ok()
        || fchown(file, None, group).is_ok()
        || own.st_gid == old.st_gid)
}

fn set_mode_if_needed(file: &File, present: u32, wanted: u32) -> Result<bool, Errno> {
    if wanted == present { Ok(true) } else { set_mode(file, wanted) }
}

/// Whether the folder belongs to a user other than this one and root.
fn is_of_another(folder: &Dir) -> Result<bool, Errno> {
    let owner = folder.own_stat()?.st_uid;
    Ok(owner != 0 && owner != rustix::process::geteuid().as_raw())
}

/// Removes the bits that an access control list inherited from the folder would turn into rights of
/// the users that it names.
fn without_inherited(file: &File, mode: u32) -> u32 {
    if has_acl(file) { mode & !ACL_MASK } else { mode }
}

/// Sets the permission bits. If the file system refuses, present bits that grant no more are
/// accepted. Returns whether the file has exactly these bits.
pub(super) fn set_mode(file: &File, mode: u32) -> Result<bool, Errno> {
    match fchmod(file, Mode::from_raw_mode(mode)) {
        Err(error) if is_refusal(error) => {
            let present = fstat(file)?.st_mode & 0o777;
            if present & !mode == 0 { Ok(false) } else { Err(error) }
        }
        result => result.map(|()| true),
    }
}
