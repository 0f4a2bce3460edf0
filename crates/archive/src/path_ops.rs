//! What cannot be done without a path.

use std::io;
use std::os::unix::ffi::OsStrExt;

use cryptstream_beneath::Dir;

use crate::folder_cache::{FolderCache, as_path};
use crate::name;
use crate::time::Time;

/// Changes things by their path. A process that may create things and nothing else has to
/// ask another one for it.
pub trait PathOps {
    /// Sets the time of the symbolic link at `path` below the folder, now or later. Not
    /// every file system has times for links: that is no failure.
    ///
    /// # Errors
    /// When it could not even be asked for.
    fn set_link_time(&mut self, path: &[u8], time: Time) -> io::Result<()>;

    /// Removes what has this name below the folder, so that something else can get it.
    /// Returns whether it did. It does not where that is a folder, and where what is
    /// there may have another name: one that the file system takes for the same.
    ///
    /// # Errors
    /// When it could not even be asked for.
    fn remove(&mut self, path: &[u8]) -> io::Result<bool>;

    /// Waits until all that was asked for is done.
    ///
    /// # Errors
    /// The same.
    fn wait(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does it at once.
pub struct DirectPathOps<'a>(FolderCache<'a>);

impl<'a> DirectPathOps<'a> {
    /// Below this folder.
    #[must_use]
    pub fn new(folder: &'a Dir) -> Self {
        Self(FolderCache::new(folder))
    }

    /// Does something with the last part of `path` in the folder that it lies in; `None`
    /// where there is no such folder.
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

/// Whether what can be reached by this name in the folder has it to the letter. There are
/// file systems to which `a` and `A` are the same, or two ways to write `ä`.
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
