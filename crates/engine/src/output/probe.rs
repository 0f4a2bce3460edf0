//! Finds out what a FUSE file system can do, before the work.
//!
//! Behind FUSE there may be an object store, which only takes files from front to back, or
//! cannot rename them. Otherwise that would be noticed only at the end. So on such a file
//! system without unnamed files, it is tried once with a file that is removed again.

use std::ffi::OsStr;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use cryptstream_beneath::{Dir, has_stable_inodes};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::{naming, temporary};
use crate::interrupt;

/// Where a byte is written before any other.
const AHEAD: u64 = 4096;

/// What can be done with a file in some folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capabilities {
    /// All that is needed.
    All,
    /// It must be written from front to back.
    InOrder,
    /// It cannot get another name, for this reason.
    NoOtherName(Errno),
}

/// Tries it in the folder, for a file that is to be called `name`.
pub(super) fn capabilities(folder: &Dir, name: &OsStr) -> Capabilities {
    static KNOWN: Mutex<Vec<(u64, Capabilities)>> = Mutex::new(Vec::new());
    let Ok(stat) = folder.own_stat() else { return Capabilities::All };
    if has_stable_inodes(folder, stat.st_dev) {
        return Capabilities::All;
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, capabilities)) = known.iter().find(|(device, _)| *device == stat.st_dev) {
        return *capabilities;
    }
    // Other errors will show up during the work.
    let Ok(capabilities) = try_out(folder, name) else { return Capabilities::All };
    known.push((stat.st_dev, capabilities));
    capabilities
}

fn try_out(folder: &Dir, name: &OsStr) -> Result<Capabilities, Errno> {
    let _deferred = interrupt::defer();
    let (first, second) = (temporary::name(name)?, temporary::name(name)?);
    let file = folder.create_file(&first, Mode::RUSR | Mode::WUSR)?;
    let is_in_order = file.write_at(&[0], AHEAD).is_err();
    // Some forget only when it is closed that they have refused a part of it.
    drop(file);
    let renamed = naming::rename(folder, &first, &second, false);
    // A later run removes what is left.
    let _ = folder.remove_file(if renamed.is_ok() { &second } else { &first });
    Ok(match renamed {
        Err(error) if naming::is_unsupported(error) => Capabilities::NoOtherName(error),
        Err(_) | Ok(()) if is_in_order => Capabilities::InOrder,
        Err(_) | Ok(()) => Capabilities::All,
    })
}
