//! Mapping memory, and descriptor I/O through raw pointers.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Maps the first `len` bytes of `fd` for reading and writing, shared with every other process that
/// maps it. The mapping lasts until [`unmap`].
///
/// # Errors
/// If the system refuses.
pub(crate) fn map_shared(fd: BorrowedFd<'_>, len: usize) -> io::Result<NonNull<u8>> {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: without an address the kernel picks a free range, so nothing that
    // exists is replaced, and the new range aliases nothing.
    let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) }?;
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address zero"))
}

/// Removes a mapping made by [`map_shared`].
///
/// # Safety
/// `base` and `len` are those of one `map_shared` that was not undone yet, and
/// nothing points into the mapping any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise.
    let unmapped = unsafe { munmap(base.as_ptr().cast::<c_void>(), len) };
    debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
}

/// `pread(2)` into `to`.
///
/// # Safety
/// `len` bytes from `to` on are mapped and writable, and stay so during the
/// call. Other processes may access them.
pub(crate) unsafe fn pread(
    fd: BorrowedFd<'_>,
    to: *mut u8,
    len: usize,
    offset: u64,
) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    // SAFETY: the kernel writes at most `len` bytes, which are the caller's to
    // be written. It does so as another process would, so that concurrent
    // accesses are no data race of this program.
    counted(unsafe { libc::pread(fd.as_raw_fd(), to.cast(), len, offset) })
}

/// `pwrite(2)` from `from`.
///
/// # Safety
/// `len` bytes from `from` on are mapped, and stay so during the call.
pub(crate) unsafe fn pwrite(
    fd: BorrowedFd<'_>,
    from: *const u8,
    len: usize,
    offset: u64,
) -> io::Result<usize> {
    let offset = file_offset(offset)?;
    // SAFETY: the kernel reads at most `len` bytes, all mapped.
    counted(unsafe { libc::pwrite(fd.as_raw_fd(), from.cast(), len, offset) })
}

/// `read(2)` into `to`.
///
/// # Safety
/// As for [`pread`].
pub(crate) unsafe fn read(fd: BorrowedFd<'_>, to: *mut u8, len: usize) -> io::Result<usize> {
    // SAFETY: as for `pread`.
    counted(unsafe { libc::read(fd.as_raw_fd(), to.cast(), len) })
}

/// `write(2)` from `from`.
///
/// # Safety
/// As for [`pwrite`].
pub(crate) unsafe fn write(fd: BorrowedFd<'_>, from: *const u8, len: usize) -> io::Result<usize> {
    // SAFETY: as for `pwrite`.
    counted(unsafe { libc::write(fd.as_raw_fd(), from.cast(), len) })
}

fn file_offset(offset: u64) -> io::Result<libc::off_t> {
    offset.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn counted(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}
