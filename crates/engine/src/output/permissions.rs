//! The permission bits of an output.

use std::fs::File;
use std::os::unix::fs::fchown;

use cryptstream_beneath::{Dir, has_acl, is_refusal};
use cryptstream_protection::Protection;
use rustix::fs::{FileType, Mode, Stat, fchmod, fstat};
use rustix::io::Errno;

use crate::path_resolution::planted_by;
use crate::umask::{OWNER, umask};

/// Which bits an output is to have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Permissions {
    /// Only its owner may read it.
    Private,
    /// These as far as a new file may have them, as cp(1) does it: less the umask, or
    /// less what the folder's default access control list withholds.
    AsNewFile(u32),
    /// These, also those that the umask withholds, as in a copied tree.
    Exactly(u32),
    /// The same, also where the file that is replaced had fewer: the copy follows its
    /// original.
    Following(u32),
}

/// The bits of a file that only its owner may read.
const PRIVATE: u32 = 0o600;
/// With an access control list, the bits of the group are what the list may give at
/// the most.
const ACL_MASK: u32 = 0o070;
/// What all others may do.
const OTHERS: u32 = 0o007;

impl Permissions {
    /// Takes away what the file that is replaced did not allow: it may have been closed
    /// to others on purpose.
    pub(super) fn within(self, replaced: Option<u32>) -> Self {
        let replaced = replaced.unwrap_or(0o777);
        match self {
            Self::Private => Self::Private,
            Self::AsNewFile(mode) => Self::AsNewFile(mode & replaced),
            Self::Exactly(mode) => Self::Exactly(mode & replaced),
            Self::Following(mode) => Self::Exactly(mode),
        }
    }

    /// What an unnamed file is created with. Nobody else can open it before it has a
    /// name, and the system itself takes away what a new file may not have. This process
    /// can open it again, whatever bits it is to have.
    pub(super) fn of_unnamed(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Private => PRIVATE,
            Self::AsNewFile(mode) | Self::Exactly(mode) | Self::Following(mode) => mode | PRIVATE,
        })
    }

    /// What a file is created with that bears a temporary name.
    pub(super) fn of_named() -> Mode {
        Mode::from_raw_mode(PRIVATE)
    }

    /// Gives the file its bits before it gets its name in `folder`.
    ///
    /// The folder's default access control list takes the place of the umask, as for
    /// every new file, but only if this user or root can have written it: another user's
    /// list would open the file to that user.
    ///
    /// A file that is `replaced` leaves its owner and group to the new one. Returns whether
    /// the file system has taken the bits.
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
            // The system has seen to it, but for the bits that `keep_owner_bits` kept.
            Self::AsNewFile(mode) if was_unnamed => mode & present & !(umask() & OWNER),
            Self::AsNewFile(mode) => without_inherited(file, mode & !umask()),
            Self::Exactly(mode) | Self::Following(mode) if mode == present => mode,
            Self::Exactly(mode) | Self::Following(mode) if was_unnamed && has_acl(file) => {
                mode & present
            }
            Self::Exactly(mode) | Self::Following(mode) if was_unnamed => mode,
            Self::Exactly(mode) | Self::Following(mode) => without_inherited(file, mode),
        };
        // What the old group might do is not for another one.
        let wanted = if is_owned { wanted } else { wanted & (0o707 | (wanted & OTHERS) << 3) };
        match set_mode_if_needed(file, present, wanted) {
            Err(error) if is_refusal(error) && !matches!(self, Self::Private) => Ok(false),
            set => set,
        }
    }
}

/// Gives the file the owner and the group of the file that it replaces. Returns whether
/// it has the group now. What another user has put there keeps nothing: its owner would
/// be able to read what is written.
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

/// Whether the folder belongs to another user than this one and root.
fn is_of_another(folder: &Dir) -> Result<bool, Errno> {
    let owner = folder.own_stat()?.st_uid;
    Ok(owner != 0 && owner != rustix::process::geteuid().as_raw())
}

/// Without the bits that an access control list, which the file has got from its
/// folder, would turn into rights of the users whom it names.
fn without_inherited(file: &File, mode: u32) -> u32 {
    if has_acl(file) { mode & !ACL_MASK } else { mode }
}

/// Sets the permission bits. Where the file system does not let us, bits that
/// are no wider will do. Returns whether the file has the bits.
pub(super) fn set_mode(file: &File, mode: u32) -> Result<bool, Errno> {
    match fchmod(file, Mode::from_raw_mode(mode)) {
        Err(error) if is_refusal(error) => {
            let present = fstat(file)?.st_mode & 0o777;
            if present & !mode == 0 { Ok(false) } else { Err(error) }
        }
        result => result.map(|()| true),
    }
}
