//! The replacements on systems other than Linux.
//!
//! It is compiled on Linux too, where [`create_memory`], [`pipe`] and [`close_on_exec`] are tested.
//! The other functions report that the feature is missing:
//!
//! | Linux has | here |
//! |---|---|
//! | sealed memory | a POSIX shared memory object, unnamed at once. Nothing keeps another process that has the descriptor from shrinking it |
//! | futexes between processes | [pipes](crate::PipeSemaphore) |
//! | close-on-exec and no SIGPIPE in one step | a second system call; SIGPIPE is left as Rust programs have it, ignored |
#![cfg_attr(target_os = "linux", allow(dead_code))]
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::net::{RecvFlags, SendFlags};
use rustix::shm;

/// Creates memory of `len` bytes behind a descriptor, zeroed.
///
/// # Errors
/// If the system refuses.
pub(crate) fn create_memory(len: usize) -> io::Result<OwnedFd> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        // Short, since macOS allows 31 bytes. The name is removed two lines below, and O_EXCL
        // refuses an existing one.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("/cs-{:x}-{number:x}", std::process::id());
        let flags = shm::OFlags::RDWR | shm::OFlags::CREATE | shm::OFlags::EXCL;
        match shm::open(&name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => {
                shm::unlink(&name)?;
                rustix::fs::ftruncate(&fd, len as u64)?;
                return Ok(fd);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Does the same: there are no seals.
///
/// # Errors
/// If the system refuses.
pub(crate) fn create_unsealed_memory(len: usize) -> io::Result<OwnedFd> {
    create_memory(len)
}

/// Does nothing: there are no seals.
pub(crate) fn seal_against_writers(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Does nothing: there are no seals to check.
pub(crate) fn check_memory(_fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Does nothing: there is no such call.
///
/// # Safety
/// None needed; it has the signature of the Linux function.
pub(crate) unsafe fn keep_from_dumps(_base: *mut u8, _len: usize) {}

/// Keeps memory from being swapped out.
///
/// # Safety
/// `base` and `len` describe pages of this process; some may not be mapped.
///
/// # Errors
/// If the limit on locked memory is reached, or pages are not mapped.
pub(crate) unsafe fn lock_memory(base: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: the caller's promise; locking changes no content.
    Ok(unsafe { rustix::mm::mlock(base.cast(), len) }?)
}

pub(crate) const HAS_SHARED_FUTEX: bool = false;

pub(crate) fn wait_on(_: &AtomicU32, _: u32, _: Option<Duration>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn wake(_: &AtomicU32, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a pipe that is closed on exec (unless another thread starts a program between two system
/// calls here) and does not block.
///
/// # Errors
/// If the system refuses.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    for fd in [&reader, &writer] {
        close_on_exec(fd)?;
        rustix::fs::fcntl_setfl(fd, rustix::fs::fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    }
    Ok((reader, writer))
}

pub(crate) const SEND_FLAGS: SendFlags = SendFlags::empty();

pub(crate) const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

/// Marks `fd` as close-on-exec.
///
/// # Errors
/// If the system refuses.
pub(crate) fn close_on_exec(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd();
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::fcntl_getfd(fd)? | FdFlags::CLOEXEC)?)
}

/// The open descriptors above 2, as the system lists them.
fn open_descriptors() -> io::Result<Vec<RawFd>> {
    // The folder's own descriptor is closed again before anyone uses the list.
    let entries = std::fs::read_dir("/proc/self/fd").or_else(|_| std::fs::read_dir("/dev/fd"))?;
    let numbers =
        entries.map(|entry| Ok(entry?.file_name().to_str().and_then(|it| it.parse().ok())));
    let numbers: Vec<Option<RawFd>> = numbers.collect::<io::Result<_>>()?;
    Ok(numbers.into_iter().flatten().filter(|number| *number > 2).collect())
}

/// Marks every descriptor above 2 as close-on-exec.
///
/// # Errors
/// If the system does not list them.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    for number in open_descriptors()? {
        // SAFETY: setting the flag on a number is harmless, whoever owns it; on
        // one that is closed by now it is an error.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Closes every descriptor above 2.
///
/// # Errors
/// If the system does not list them.
pub(crate) fn close_all() -> io::Result<()> {
    for number in open_descriptors()? {
        // SAFETY: memory is not touched. That nobody in this process relies on such
        // a descriptor is what the documentation of the public function asks for.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Always fails: the system cannot tell.
pub(crate) fn has_other_writers(_fd: BorrowedFd<'_>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails: only Linux has it.
pub(crate) fn cached_len(_fd: BorrowedFd<'_>) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always fails: only Linux has it.
pub(crate) fn write_back(
    _fd: BorrowedFd<'_>,
    _start: u64,
    _len: u64,
    _waits: bool,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
