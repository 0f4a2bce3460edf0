//! The implementation for Linux.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::pipe::PipeFlags;
use rustix::thread::futex::{self, Timespec};

/// The size can never change, and these seals cannot be removed.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Creates anonymous memory of `len` bytes behind a descriptor, zeroed and sealed.
///
/// # Errors
/// If the system refuses.
pub(crate) fn create_memory(len: usize) -> io::Result<OwnedFd> {
    let fd = create_unsealed_memory(len)?;
    rustix::fs::fcntl_add_seals(&fd, SEALS)?;
    Ok(fd)
}

/// Does the same without sealing.
///
/// # Errors
/// If the system refuses.
pub(crate) fn create_unsealed_memory(len: usize) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = c"cryptstream";
    // Linux before 6.3 has no NOEXEC_SEAL.
    let fd = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        other => other?,
    };
    rustix::fs::ftruncate(&fd, len as u64)?;
    Ok(fd)
}

/// Seals memory against changes of its size and against all writers but the existing mappings.
///
/// # Errors
/// If the system refuses, as Linux before 5.1 does.
pub(crate) fn seal_against_writers(fd: BorrowedFd<'_>) -> io::Result<()> {
    rustix::fs::fcntl_add_seals(fd, SEALS.union(SealFlags::FUTURE_WRITE))?;
    Ok(())
}

/// Fails if another process could shrink the memory: an access beyond its end would then kill this
/// process with SIGBUS.
///
/// # Errors
/// If `fd` is no memory, or not sealed.
pub(crate) fn check_memory(fd: BorrowedFd<'_>) -> io::Result<()> {
    let seals = rustix::fs::fcntl_get_seals(fd)?;
    if seals.contains(SEALS) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the shared memory is not sealed"))
    }
}

/// Keeps a mapping out of core dumps, since it holds plaintext.
///
/// # Safety
/// `base` and `len` are those of a mapping.
pub(crate) unsafe fn keep_from_dumps(base: *mut u8, len: usize) {
    // SAFETY: the caller's promise; the advice changes no content. A kernel
    // that refuses leaves us as we were.
    let _ = unsafe { rustix::mm::madvise(base.cast(), len, rustix::mm::Advice::LinuxDontDump) };
}

/// Keeps memory from being swapped out, each page from its first use on.
///
/// # Safety
/// `base` and `len` describe pages of this process; some may not be mapped.
///
/// # Errors
/// If the limit on locked memory is reached, or pages are not mapped.
pub(crate) unsafe fn lock_memory(base: *mut u8, len: usize) -> io::Result<()> {
    use rustix::mm::MlockFlags;
    // SAFETY: the caller's promise; locking changes no content.
    Ok(unsafe { rustix::mm::mlock_with(base.cast(), len, MlockFlags::ONFAULT) }?)
}

/// Whether [`wait_on`] and [`wake`] work between processes.
pub(crate) const HAS_SHARED_FUTEX: bool = true;

/// Sleeps while `word` is `value`, at most for `timeout`; returns `false` on timeout. May wake
/// spuriously.
///
/// # Errors
/// If the system refuses.
pub(crate) fn wait_on(word: &AtomicU32, value: u32, timeout: Option<Duration>) -> io::Result<bool> {
    // A timeout that is too long for the kernel is no limit.
    let timeout = timeout.and_then(|limit| Timespec::try_from(limit).ok());
    // Without PRIVATE, so the kernel identifies the word by its memory, not by its address.
    match futex::wait(word, futex::Flags::empty(), value, timeout.as_ref()) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(true),
        Err(Errno::TIMEDOUT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Wakes up to `count` sleepers on `word`.
///
/// # Errors
/// If the system refuses.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> io::Result<()> {
    futex::wake(word, futex::Flags::empty(), count.min(i32::MAX as u32))?;
    Ok(())
}

/// Creates a pipe that is closed on exec and does not block.
///
/// # Errors
/// If the system refuses.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

/// Marks every descriptor above 2 as close-on-exec.
///
/// # Errors
/// If the system refuses.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: changes a flag of descriptors, and closes none in this process.
    match unsafe { close_range(libc::CLOSE_RANGE_CLOEXEC) } {
        Ok(()) => Ok(()),
        // Linux before 5.11, or a system call filter that does not know the call.
        Err(_) => super::portable::close_all_on_exec(),
    }
}

/// Closes every descriptor above 2.
///
/// # Errors
/// If the system refuses.
pub(crate) fn close_all() -> io::Result<()> {
    // SAFETY: memory is not touched. That nobody in this process relies on such a
    // descriptor is what the documentation of the public function asks for.
    match unsafe { close_range(0) } {
        Ok(()) => Ok(()),
        Err(_) => super::portable::close_all(),
    }
}

/// `close_range(2)` on everything above 2.
///
/// # Safety
/// With flags by which it closes, nobody in this process may use such a
/// descriptor afterwards.
unsafe fn close_range(flags: u32) -> io::Result<()> {
    let (first, last) = (3 as libc::c_uint, libc::c_uint::MAX);
    // SAFETY: takes no pointers; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How many bytes of a file are in the page cache (cachestat(2), Linux 6.5).
///
/// # Errors
/// If the system refuses or does not have the call.
pub(crate) fn cached_len(fd: BorrowedFd<'_>) -> io::Result<u64> {
    use std::os::fd::AsRawFd;
    /// `__NR_cachestat`, the same on all architectures.
    const SYS_CACHESTAT: libc::c_long = 451;
    // `struct cachestat_range`: 0 bytes mean up to the end.
    let range = [0_u64; 2];
    // `struct cachestat`: the first is the number of pages in the cache.
    let mut pages = [0_u64; 5];
    // SAFETY: the kernel reads two numbers of 64 bits and writes five, which is what the arrays
    // are, and keeps no pointer to them.
    let done = unsafe {
        libc::syscall(SYS_CACHESTAT, fd.as_raw_fd(), range.as_ptr(), pages.as_mut_ptr(), 0)
    };
    match done {
        0 => Ok(pages[0] * rustix::param::page_size() as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts writing the dirty pages of a range of a file to its device, and with `waits` also waits
/// until they are written.
///
/// # Errors
/// If the system refuses, or the device has failed.
pub(crate) fn write_back(fd: BorrowedFd<'_>, start: u64, len: u64, waits: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (start, len) = (start.try_into().map_err(invalid)?, len.try_into().map_err(invalid)?);
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let flags = if waits { all } else { libc::SYNC_FILE_RANGE_WRITE };
    // SAFETY: the call takes numbers and touches no memory of this process.
    match unsafe { libc::sync_file_range(fd.as_raw_fd(), start, len, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the file of `fd`, which is open for writing only, is open for writing elsewhere too.
/// Only a sole writer can take a write lease; it is given back at once.
///
/// # Errors
/// If the file system has no leases, or this process may not take one.
pub(crate) fn has_other_writers(fd: BorrowedFd<'_>) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    let control = |command: libc::c_int, argument: libc::c_int| {
        // SAFETY: these commands take a number and touch no memory.
        match unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // If someone opens the file meanwhile, that breaks the lease and the kernel sends a signal: not
    // SIGIO but one that is ignored by default.
    control(F_SETSIG, libc::SIGURG)?;
    match control(libc::F_SETLEASE, libc::F_WRLCK) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
        Err(error) => return Err(error),
    }
    control(libc::F_SETLEASE, libc::F_UNLCK)?;
    Ok(false)
}

/// `<fcntl.h>`; the same on every architecture.
const F_SETSIG: libc::c_int = 10;

/// Flags for sending: an error instead of SIGPIPE.
pub(crate) const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;

/// Flags for receiving: descriptors are closed on exec from the beginning.
pub(crate) const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// Nothing to do: [`RECEIVE_FLAGS`] does it.
pub(crate) fn close_on_exec(_fd: impl AsFd) -> io::Result<()> {
    Ok(())
}
