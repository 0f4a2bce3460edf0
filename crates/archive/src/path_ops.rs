//! Operations that a sandboxed process cannot do, as the kernel takes a path for them.

use std::io;
use std::os::unix::ffi::OsStrExt;

use cryptstream_beneath::Dir;

use crate::folder_cache::{FolderCache, as_path};
use crate::name;
use crate::time::Time;

/// Operations on paths below the output folder. A sandboxed process that may only create files
/// asks another process for them.
pub trait PathOps {
    /// Sets the modification time of the symbolic link at `path`, now or later. It is not an
    /// error if the file system keeps no times for links.
    ///
    /// # Errors
    /// When the other process cannot be asked.
    fn set_link_time(&mut self, path: &[u8], time: Time) -> io::Result<()>;

    /// Removes the file or link at `path`, so that another member can have its name. Returns
    /// whether it was removed. Folders are not removed, and neither is a file whose name is
    /// spelled differently but is the same to the file system.
    ///
    /// # Errors
    /// When the other process cannot be asked.
    fn remove(&mut self, path: &[u8]) -> io::Result<bool>;

    /// Waits until all operations are done.
    ///
    /// # Errors
    /// When the other process cannot be asked.
    fn wait(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Performs the operations itself.
pub struct DirectPathOps<'a>(FolderCache<'a>);

impl<'a> DirectPathOps<'a> {
    /// Operations below `folder`.
    #[must_use]
    pub fn new(folder: &'a Dir) -> Self {
        Self(FolderCache::new(folder))
    }

    /// Calls `act` with the parent folder and the last part of `path`; `None` if there is no
    /// such folder.
    fn at<T>(&mut self, path: &[u8], act: impl FnOnce(&Dir, &[u8]) -> T) -> io::Result<Option<T>> {
        let Ok(parts) = name::parts(path) else { return Err(io::ErrorKind::InvalidInput.into()) };
        Ok(match parts.split_last() {
            Some((own, above)) => self.0.folder(above, false).ok().map(|dir| act(dir, own)),
            None => None,
        })
    }
}

impl PathOps for DirectPathOps<'_> {
    fn set_link_time(&mut self, path: &[u8], time: Time) -> io::Result<()> {
        self.at(path, |folder, own| {
            let _ = folder.set_times(as_path(own), &time.to_timestamps());
        })
        .map(drop)
    }

    fn remove(&mut self, path: &[u8]) -> io::Result<bool> {
        let removed = self.at(path, |folder, own| {
            has_exactly(folder, own) && folder.remove_file(as_path(own)).is_ok()
        });
        Ok(removed?.unwrap_or(false))
    }
}

/// Whether the file of this name is spelled exactly so. To some file systems `a` and `A`, or two
/// encodings of `ä`, are the same name.
fn has_exactly(folder: &Dir, name: &[u8]) -> bool {
    let id = |name: &[u8]| folder.stat(as_path(name)).map(|stat| (stat.st_dev, stat.st_ino));
    if name.iter().any(u8::is_ascii_alphabetic) {
        let other: Vec<_> = name
            .iter()
            .map(|byte| if byte.is_ascii_alphabetic() { byte ^ 0x20 } else { *byte })
            .collect();
        return id(&other) != id(name);
    }
    if name.is_ascii() {
        return true;
    }
    let Ok(mut entries) = folder.entries() else { return false };
    entries.any(|entry| entry.is_ok_and(|(entry, _)| entry.as_bytes() == name))
}
