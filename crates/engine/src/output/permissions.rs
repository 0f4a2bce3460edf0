//! The permission bits of an output.

use std::fs::File;
use std::sync::OnceLock;

use cryptstream_beneath::Dir;
use cryptstream_protection::Protection;
use rustix::fs::{Mode, fchmod, fstat};
use rustix::io::Errno;

use crate::input::has_acl;

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
        }
    }

    /// What an unnamed file is created with. Nobody else can open it before it has a
    /// name, and the system itself takes away what a new file may not have. This process
    /// can open it again, whatever bits it is to have.
    pub(super) fn of_unnamed(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::Private => PRIVATE,
            Self::AsNewFile(mode) | Self::Exactly(mode) => mode | PRIVATE,
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
    pub(super) fn settle(self, file: &File, was_unnamed: bool, folder: &Dir) -> Result<(), Errno> {
        let present = fstat(file)?.st_mode & 0o777;
        let wanted = match self {
            Self::Private => PRIVATE,
            Self::AsNewFile(mode) if !Protection::Umask.is_on() => mode,
            Self::AsNewFile(mode) if was_unnamed && has_acl(file) && is_of_another(folder)? => {
                mode & present & !umask() & !ACL_MASK & !OTHERS
            }
            // The system has seen to it.
            Self::AsNewFile(mode) if was_unnamed => mode & present,
            Self::AsNewFile(mode) => without_inherited(file, mode & !umask()),
            Self::Exactly(mode) if mode == present => mode,
            Self::Exactly(mode) if was_unnamed && has_acl(file) => mode & present,
            Self::Exactly(mode) if was_unnamed => mode,
            Self::Exactly(mode) => without_inherited(file, mode),
        };
        if wanted == present { Ok(()) } else { set_mode(file, wanted) }
    }
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
/// are no wider will do.
pub(super) fn set_mode(file: &File, mode: u32) -> Result<(), Errno> {
    match fchmod(file, Mode::from_raw_mode(mode)) {
        Err(error @ (Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)) => {
            let present = fstat(file)?.st_mode & 0o777;
            if present & !mode == 0 { Ok(()) } else { Err(error) }
        }
        result => result,
    }
}

/// The bits that new files of this process do not get.
pub(crate) fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| from_status().unwrap_or_else(by_setting))
}

fn from_status() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// Without /proc it can only be read by setting it: for an instant files of other
/// threads get fewer bits.
fn by_setting() -> u32 {
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(umask);
    umask.as_raw_mode()
}
