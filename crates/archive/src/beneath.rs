//! The way down into a folder, never through a link.
//!
//! Name by name, each with `O_NOFOLLOW`: then nothing that stands in the folder, or
//! is put there meanwhile, can lead out of it. It needs no `openat2`, which old
//! kernels and some sandboxes do not have.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A folder, and the one in it that was used last.
pub(crate) struct Beneath<'a> {
    root: BorrowedFd<'a>,
    last: Option<(Vec<Vec<u8>>, OwnedFd)>,
}

impl<'a> Beneath<'a> {
    pub(crate) fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, last: None }
    }

    /// Opens the folder of these parts, without the right to read it. If it is to
    /// be made where it is missing, that is done with the usual permission bits.
    pub(crate) fn folder(
        &mut self,
        parts: &[&[u8]],
        is_to_be_made: bool,
    ) -> Result<BorrowedFd<'_>, Errno> {
        if parts.is_empty() {
            return Ok(self.root);
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != parts) {
            let mut folder: Option<OwnedFd> = None;
            for part in parts {
                let above = folder.as_ref().map_or(self.root, AsFd::as_fd);
                folder = Some(open(above, part, is_to_be_made)?);
            }
            let folder = folder.ok_or(Errno::NOENT)?;
            self.last = Some((parts.iter().map(|part| part.to_vec()).collect(), folder));
        }
        self.last.as_ref().map(|(_, folder)| folder.as_fd()).ok_or(Errno::NOENT)
    }
}

fn open(above: BorrowedFd<'_>, name: &[u8], is_to_be_made: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(above, name, flags, Mode::empty()) {
        Err(Errno::NOENT) if is_to_be_made => {
            match rustix::fs::mkdirat(above, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            rustix::fs::openat(above, name, flags, Mode::empty())
        }
        opened => opened,
    }
}
