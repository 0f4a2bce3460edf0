//! Memory that one process alone writes, and that another may read when that
//! one is dead.
//!
//! A [region](crate::region) is written by everybody, so nobody may refer to
//! its bytes and everything must be copied. What a worker loads it should
//! rather have for itself, as an ordinary slice; but whoever takes its work
//! over must find it. So the worker makes an [`Estate`], which is sealed
//! against every other writer, and passes a descriptor on, from which an
//! [`Heir`] reads.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::{native, unix};

/// Where the bytes begin: before them is the note, on a page of its own.
const BYTES: usize = 4096;

/// See the module's description.
#[derive(Debug)]
pub struct Estate {
    /// Aligned to a page; `BYTES + len` bytes from it on are mapped as long as
    /// this value lives, and nobody else can write there.
    base: NonNull<u8>,
    /// Bytes after the note.
    len: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Estate {}
// SAFETY: through `&Estate` bytes are only read, and the note is atomic.
unsafe impl Sync for Estate {}

impl Estate {
    /// A new estate of `len` bytes, all zero, with a note of 0.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(len: usize) -> io::Result<Self> {
        let whole = len.checked_add(BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = native::create_unsealed_memory(whole)?;
        let base = unix::map_shared(fd.as_fd(), whole)?;
        let estate = Self { base, len, fd };
        // SAFETY: just mapped.
        unsafe { native::keep_from_dumps(base.as_ptr(), whole) };
        // From here on no other process can write, whoever has the descriptor:
        // the one writable mapping that there is stays the only one.
        native::seal_against_writers(estate.fd.as_fd())?;
        Ok(estate)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` is borrowed. This process
        // writes there through `&mut self` only, and no other can: the
        // descriptor has not left `create` before it was sealed. (Where there
        // are no seals, the one that gets the descriptor is an `Heir`, which
        // only reads.) The note lies before them.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `self` is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }

    /// Where the bytes begin.
    fn start(&self) -> *mut u8 {
        // SAFETY: within the mapping, or one past its end.
        unsafe { self.base.as_ptr().add(BYTES) }
    }

    /// Leaves a note for the heir. What was written before is there for whoever
    /// finds the note.
    pub fn note(&self, note: u64) {
        // SAFETY: mapped, aligned to a page, and accessed in no other way.
        let at = unsafe { AtomicU64::from_ptr(self.base.as_ptr().cast()) };
        at.store(note, Ordering::SeqCst);
    }
}

impl AsFd for Estate {
    /// The descriptor, to be passed to the heir.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        // SAFETY: mapped by `create` and not unmapped since; every reference
        // was borrowed from `self`.
        unsafe { unix::unmap(self.base, BYTES + self.len) }
    }
}

/// The one who finds what another process has left. It must be certainly dead:
/// before, what is read may change.
#[derive(Debug)]
pub struct Heir {
    file: File,
}

impl Heir {
    /// Takes the descriptor of an [`Estate`].
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { file: fd.into() }
    }

    /// The last note.
    ///
    /// # Errors
    /// When the descriptor is none of an estate.
    pub fn note(&self) -> io::Result<u64> {
        let mut note = [0; 8];
        self.file.read_exact_at(&mut note, 0)?;
        Ok(u64::from_ne_bytes(note))
    }

    /// Reads `to.len()` bytes from `offset` on.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn read_exact_at(&self, to: &mut [u8], offset: usize) -> io::Result<()> {
        self.file.read_exact_at(to, (BYTES + offset) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_heir_finds_what_was_written_and_noted() {
        let mut estate = Estate::create(10_000).unwrap();
        estate.bytes_mut()[9_000..9_003].copy_from_slice(b"abc");
        estate.note(77);
        let heir = Heir::new(estate.as_fd().try_clone_to_owned().unwrap());
        drop(estate);
        assert_eq!(heir.note().unwrap(), 77);
        let mut found = [0; 4];
        heir.read_exact_at(&mut found, 8_999).unwrap();
        assert_eq!(&found, b"\0abc");
        assert!(heir.read_exact_at(&mut found, 9_999).is_err());
    }

    #[test]
    #[cfg(all(target_os = "linux", not(portable_platform)))]
    fn nobody_else_can_write() {
        let estate = Estate::create(4096).unwrap();
        let file = File::from(estate.as_fd().try_clone_to_owned().unwrap());
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
        assert!(unix::map_shared(estate.as_fd(), 4096).is_err());
    }
}
