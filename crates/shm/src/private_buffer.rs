//! Memory that one process writes, and another reads after the first has died.
//!
//! Every process may write to a [region](crate::region), so no process may hold a
//! reference to its bytes, and everything must be copied. A worker loads its input into
//! memory of its own instead, where it is an ordinary slice. But when the worker dies,
//! main must redo its task from exactly these bytes. So the worker creates a
//! [`PrivateBuffer`], which is sealed against every other writer, and passes a descriptor
//! on, from which a [`PostMortemReader`] reads.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::{native, unix};

/// The offset of the bytes. The progress mark lies before them on its own page.
const BYTES: usize = 4096;

/// Bytes that only this process can write, with a progress mark.
#[derive(Debug)]
pub struct PrivateBuffer {
    /// Aligned to a page; `BYTES + len` bytes from it on are mapped as long as
    /// this value lives, and nobody else can write there.
    base: NonNull<u8>,
    /// The number of bytes after the mark.
    len: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for PrivateBuffer {}
// SAFETY: through `&PrivateBuffer` bytes are only read, and the mark is atomic.
unsafe impl Sync for PrivateBuffer {}

impl PrivateBuffer {
    /// Creates a buffer of `len` bytes, zeroed, with a progress mark of 0.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn create(len: usize) -> io::Result<Self> {
        let whole = len.checked_add(BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = native::create_unsealed_memory(whole)?;
        let base = unix::map_shared(fd.as_fd(), whole)?;
        let buffer = Self { base, len, fd };
        // SAFETY: just mapped.
        unsafe { native::keep_from_dumps(base.as_ptr(), whole) };
        // From here on no other process can write, even with the descriptor: this writable mapping
        // stays the only one.
        native::seal_against_writers(buffer.fd.as_fd())?;
        Ok(buffer)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` is borrowed. This process
        // writes there through `&mut self` only, and no other can: the
        // descriptor has not left `create` before it was sealed. (Where there
        // are no seals, the one that gets the descriptor is a `PostMortemReader`, which
        // only reads.) The mark lies before them.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }

    /// The bytes, for writing.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `self` is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }

    /// The address of the bytes.
    fn start(&self) -> *mut u8 {
        // SAFETY: within the mapping, or one past its end.
        unsafe { self.base.as_ptr().add(BYTES) }
    }

    /// Sets the progress mark. A reader that sees it also sees everything written before.
    pub fn mark_progress(&self, progress: u64) {
        // SAFETY: mapped, aligned to a page, and accessed in no other way.
        let at = unsafe { AtomicU64::from_ptr(self.base.as_ptr().cast()) };
        at.store(progress, Ordering::SeqCst);
    }
}

impl AsFd for PrivateBuffer {
    /// The descriptor, for the reader.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for PrivateBuffer {
    fn drop(&mut self) {
        // SAFETY: mapped by `create` and not unmapped since; every reference
        // was borrowed from `self`.
        unsafe { unix::unmap(self.base, BYTES + self.len) }
    }
}

/// Reads the [`PrivateBuffer`] of a process that has certainly died. Before its death the bytes may
/// still change.
#[derive(Debug)]
pub struct PostMortemReader {
    file: File,
}

impl PostMortemReader {
    /// Takes the descriptor of a [`PrivateBuffer`].
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { file: fd.into() }
    }

    /// The progress mark that was set last.
    ///
    /// # Errors
    /// If the descriptor is not that of a buffer.
    pub fn progress(&self) -> io::Result<u64> {
        let mut progress = [0; 8];
        self.file.read_exact_at(&mut progress, 0)?;
        Ok(u64::from_ne_bytes(progress))
    }

    /// Reads `to.len()` bytes from `offset` on.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn read_exact_at(&self, to: &mut [u8], offset: usize) -> io::Result<()> {
        self.file.read_exact_at(to, (BYTES + offset) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_finds_what_was_written_and_marked() {
        let mut buffer = PrivateBuffer::create(10_000).unwrap();
        buffer.bytes_mut()[9_000..9_003].copy_from_slice(b"abc");
        buffer.mark_progress(77);
        let reader = PostMortemReader::new(buffer.as_fd().try_clone_to_owned().unwrap());
        drop(buffer);
        assert_eq!(reader.progress().unwrap(), 77);
        let mut found = [0; 4];
        reader.read_exact_at(&mut found, 8_999).unwrap();
        assert_eq!(&found, b"\0abc");
        assert!(reader.read_exact_at(&mut found, 9_999).is_err());
    }

    #[test]
    #[cfg(all(target_os = "linux", not(portable_platform)))]
    fn nobody_else_can_write() {
        let buffer = PrivateBuffer::create(4096).unwrap();
        let file = File::from(buffer.as_fd().try_clone_to_owned().unwrap());
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
        assert!(unix::map_shared(buffer.as_fd(), 4096).is_err());
    }
}
