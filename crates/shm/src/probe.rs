//! System calls that the sandbox must stop and that have no safe wrapper elsewhere. For the tests
//! of the sandbox. Each is harmless if it succeeds.
#![allow(unsafe_code)]

use std::io;
use std::ptr;

/// Something that workers are not allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// Mapping executable memory.
    MapExecutable,
    /// Making memory executable.
    MakeExecutable,
    /// Being debugged, or debugging.
    Ptrace,
    /// Reading another process's memory: a byte of init's.
    ReadProcess,
    /// Loading a BPF program.
    Bpf,
    /// Creating an io_uring.
    IoUring,
    /// Having signals about standard error sent to another process: to init, which needs none.
    SignalOwner,
    /// Executing another program, with a name that does not exist.
    Execute,
}

/// Tries the call.
///
/// # Errors
/// The error of the system.
pub fn attempt(forbidden: Forbidden) -> io::Result<()> {
    let result = match forbidden {
        Forbidden::MapExecutable => map(libc::PROT_READ | libc::PROT_EXEC)?,
        Forbidden::MakeExecutable => {
            let page = map(libc::PROT_READ)?;
            // SAFETY: a whole page that was mapped just now and that nothing
            // points to. It is never unmapped.
            let changed = unsafe { libc::mprotect(page as *mut _, PAGE, libc::PROT_EXEC) };
            i64::from(changed)
        }
        Forbidden::Ptrace => call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, 1, 0, 0]),
        // The list of memory ranges is empty, so nothing is read or written.
        Forbidden::ReadProcess => call(libc::SYS_process_vm_readv, [1, 0, 0, 0]),
        // The smallest attribute, which no command accepts.
        Forbidden::Bpf => call(libc::SYS_bpf, [usize::MAX, 0, 0, 0]),
        Forbidden::IoUring => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        Forbidden::SignalOwner => call(libc::SYS_fcntl, [2, libc::F_SETOWN as usize, 1, 0]),
        Forbidden::Execute => {
            let (name, none) = (c"/nonexistent".as_ptr() as usize, [ptr::null::<u8>()]);
            call(libc::SYS_execve, [name, none.as_ptr() as usize, none.as_ptr() as usize, 0])
        }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const PAGE: usize = 4096;

/// A fresh anonymous page.
fn map(protection: i32) -> io::Result<i64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: without an address the kernel picks a free range.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(page as i64) }
}

/// Makes one of the calls above.
fn call(number: i64, arguments: [usize; 4]) -> i64 {
    let [a, b, c, d] = arguments;
    // SAFETY: only called from `attempt`, with arguments by which the kernel
    // writes to no memory of this process and takes nothing away from it.
    unsafe { libc::syscall(number, a, b, c, d, 0, 0) }
}
