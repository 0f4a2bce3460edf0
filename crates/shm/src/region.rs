//! Memory that several processes map and that nobody can shrink.
#![allow(unsafe_code)]

mod copy;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::memory::Memory;
use crate::platform::{native, portable, unix};

/// The kind of a region's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// The best kind that the system has: on Linux a memfd, sealed against changes of its size.
    Native,
    /// A POSIX shared memory object whose name is removed at once; not sealed. Used on systems
    /// other than Linux; also available on Linux.
    Portable,
}

/// Memory shared between processes, mapped into this one.
///
/// It never gives out a reference to its bytes, because any process that maps it may change them at
/// any time. References to atomics are possible; bytes can only be copied, or moved by the kernel
/// from and to a descriptor.
///
/// Offsets and lengths are in bytes; offsets count from the beginning of the region.
#[derive(Debug)]
pub struct Region {
    /// Aligned to a page. `len` bytes from it on are mapped as long as this
    /// value lives.
    base: NonNull<u8>,
    /// At least 1, at most `isize::MAX`.
    len: usize,
    /// The memory, for other processes to map it too.
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread; it is unmapped
// when the value is dropped, wherever that is.
unsafe impl Send for Region {}
// SAFETY: everything that can be done through `&Region` is atomic, or is done
// by the kernel, or by instructions that are no data race (see `copy`).
unsafe impl Sync for Region {}

impl Region {
    /// Creates a region of `len` bytes, zeroed.
    ///
    /// # Errors
    /// If `len` is 0, or the system refuses.
    pub fn create(len: usize) -> io::Result<Self> {
        Self::create_on(Backing::Native, len)
    }

    /// Does the same with memory of the given kind.
    ///
    /// # Errors
    /// If `len` is 0, or the system refuses.
    pub fn create_on(backing: Backing, len: usize) -> io::Result<Self> {
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let fd = match backing {
            Backing::Native => native::create_memory(len)?,
            Backing::Portable => portable::create_memory(len)?,
        };
        Self::map(fd, len)
    }

    /// Maps a region that another process has created and passed on.
    ///
    /// # Errors
    /// `InvalidData` if the memory is not sealed against shrinking, or is empty. Other errors if
    /// `fd` is not such memory, or if the system refuses.
    pub fn attach(fd: OwnedFd) -> io::Result<Self> {
        Self::attach_on(Backing::Native, fd)
    }

    /// Does the same for memory of the given kind.
    ///
    /// # Errors
    /// As for [`attach`](Self::attach).
    pub fn attach_on(backing: Backing, fd: OwnedFd) -> io::Result<Self> {
        match backing {
            Backing::Native => native::check_memory(fd.as_fd())?,
            Backing::Portable => portable::check_memory(fd.as_fd())?,
        }
        // Read after the check: sealed memory keeps its length.
        let len = rustix::fs::fstat(&fd)?.st_size;
        match usize::try_from(len) {
            Ok(len) if len > 0 => Self::map(fd, len),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory is empty")),
        }
    }

    fn map(fd: OwnedFd, len: usize) -> io::Result<Self> {
        let base = unix::map_shared(fd.as_fd(), len)?;
        // SAFETY: just mapped.
        unsafe { native::keep_from_dumps(base.as_ptr(), len) };
        Ok(Self { base, len, fd })
    }

    /// The length of the region in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether `len` bytes from `offset` on lie within the region. Check this before you use an
    /// offset from another process.
    #[must_use]
    pub fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// The 64-bit atomic at `offset`.
    ///
    /// # Panics
    /// If it is not within the region, or `offset` is not a multiple of 8.
    #[must_use]
    pub fn atomic_u64(&self, offset: usize) -> &AtomicU64 {
        let at = self.aligned(offset, size_of::<u64>());
        // SAFETY: mapped, for as long as `self` is borrowed, and aligned: the
        // base to a page, the offset as checked. Accesses by other processes
        // are atomic or not, but are none of this program's, to which they
        // look like changes by other threads through the same atomic; within
        // this program no access to the region is a non-atomic one.
        unsafe { AtomicU64::from_ptr(at.cast()) }
    }

    /// The 32-bit atomic at `offset`.
    ///
    /// # Panics
    /// If it is not within the region, or `offset` is not a multiple of 4.
    #[must_use]
    pub fn atomic_u32(&self, offset: usize) -> &AtomicU32 {
        let at = self.aligned(offset, size_of::<u32>());
        // SAFETY: as for `atomic_u64`.
        unsafe { AtomicU32::from_ptr(at.cast()) }
    }

    /// Copies bytes from `offset` on into `to`. If they are written at the same time, `to` gets a
    /// mix of old and new bytes.
    ///
    /// # Panics
    /// If they are not within the region.
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) {
        let from = self.pointer(offset, to.len());
        // SAFETY: `from` is mapped for `to.len()` bytes; `to` is no part of the
        // region, since nobody has a reference into it.
        unsafe { copy::shared(from, to.as_mut_ptr(), to.len()) }
    }

    /// Copies `from` into the region, from `offset` on.
    ///
    /// # Panics
    /// If that is not within the region.
    pub fn copy_in(&self, offset: usize, from: &[u8]) {
        let to = self.pointer(offset, from.len());
        // SAFETY: as for `copy_out`, the other way round.
        unsafe { copy::shared(from.as_ptr(), to, from.len()) }
    }

    /// One `pread(2)` of at most `len` bytes of `fd`, from `file_offset` on,
    /// straight into the region from `offset` on. Returns how many were read,
    /// 0 at the end of the file.
    ///
    /// # Errors
    /// Those of the system; `Interrupted` too.
    ///
    /// # Panics
    /// If that is not within the region.
    pub fn pread_into(
        &self,
        fd: impl AsFd,
        file_offset: u64,
        offset: usize,
        len: usize,
    ) -> io::Result<usize> {
        let to = self.pointer(offset, len);
        // SAFETY: `to` is mapped for `len` bytes while `self` is borrowed.
        unsafe { unix::pread(fd.as_fd(), to, len, file_offset) }
    }

    /// One `read(2)` of at most `len` bytes of `fd`, straight into the region
    /// from `offset` on. Returns how many were read, 0 at the end.
    ///
    /// # Errors
    /// Those of the system; `Interrupted` too.
    ///
    /// # Panics
    /// If that is not within the region.
    pub fn read_into(&self, fd: impl AsFd, offset: usize, len: usize) -> io::Result<usize> {
        let to = self.pointer(offset, len);
        // SAFETY: `to` is mapped for `len` bytes while `self` is borrowed.
        unsafe { unix::read(fd.as_fd(), to, len) }
    }

    /// One `pwrite(2)` of at most `len` bytes, straight from the region from
    /// `offset` on, to `fd` at `file_offset`. Returns how many were written.
    ///
    /// # Errors
    /// Those of the system; `Interrupted` too.
    ///
    /// # Panics
    /// If that is not within the region.
    pub fn pwrite_from(
        &self,
        fd: impl AsFd,
        file_offset: u64,
        offset: usize,
        len: usize,
    ) -> io::Result<usize> {
        let from = self.pointer(offset, len);
        // SAFETY: `from` is mapped for `len` bytes while `self` is borrowed.
        unsafe { unix::pwrite(fd.as_fd(), from, len, file_offset) }
    }

    /// One `write(2)` of at most `len` bytes, straight from the region from
    /// `offset` on, to `fd`. Returns how many were written.
    ///
    /// # Errors
    /// Those of the system; `Interrupted` too.
    ///
    /// # Panics
    /// If that is not within the region.
    pub fn write_from(&self, fd: impl AsFd, offset: usize, len: usize) -> io::Result<usize> {
        let from = self.pointer(offset, len);
        // SAFETY: `from` is mapped for `len` bytes while `self` is borrowed.
        unsafe { unix::write(fd.as_fd(), from, len) }
    }

    /// The address of a word of `len` bytes.
    fn aligned(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset.is_multiple_of(len), "offset {offset} is no multiple of {len}");
        self.pointer(offset, len)
    }

    /// The address of `len` bytes from `offset` on.
    pub(crate) fn pointer(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            self.contains(offset, len),
            "{len} bytes at {offset} are not within the {} bytes of the region",
            self.len
        );
        // SAFETY: at most one past the end of one mapping.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

impl AsFd for Region {
    /// The descriptor of the memory, for passing it to other processes.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` and not unmapped since; every pointer and
        // reference into it was borrowed from `self`.
        unsafe { unix::unmap(self.base, self.len) }
    }
}

/// Words of a region, as the memory of a [queue](crate::queue).
#[derive(Clone, Debug)]
pub struct RegionWords {
    region: Arc<Region>,
    /// A multiple of 8.
    offset: usize,
    /// `8 * words` bytes from `offset` on lie within the region.
    words: usize,
}

impl RegionWords {
    /// `words` words of `region`, from `offset` on. If `offset` is a multiple of 128, each slot of
    /// a queue has its own cache lines.
    ///
    /// # Panics
    /// If they are not within the region, or `offset` is not a multiple of 8.
    #[must_use]
    pub fn new(region: Arc<Region>, offset: usize, words: usize) -> Self {
        assert!(offset.is_multiple_of(8), "offset {offset} is no multiple of 8");
        let len = words.checked_mul(8).expect("a length in bytes");
        assert!(
            region.contains(offset, len),
            "{words} words at {offset} are not within the region"
        );
        Self { region, offset, words }
    }
}

impl Memory for RegionWords {
    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "no word {index}");
        self.region.atomic_u64(self.offset + 8 * index)
    }

    fn words(&self) -> usize {
        self.words
    }
}

#[cfg(test)]
mod tests;
