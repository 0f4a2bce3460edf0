//! System calls that a sandboxed worker must not get through with, and that
//! have no safe form elsewhere. For the tests of the sandbox; each is harmless
//! where it does get through.
#![allow(unsafe_code)]

use std::io;
use std::ptr;

/// Something that is forbidden to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// Memory that can be executed.
    MapExecutable,
    /// Making memory executable.
    MakeExecutable,
    /// Being debugged, or debugging.
    Ptrace,
    /// Reading another process's memory: init's, a byte.
    ReadProcess,
    /// A program for the kernel.
    Bpf,
    /// A ring of system calls.
    IoUring,
    /// Becoming another program. The name is one that there is not.
    Execute,
}

/// Tries it.
///
/// # Errors
/// What the system says to it.
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
        // An empty list of pieces of memory: nothing is read or written.
        Forbidden::ReadProcess => call(libc::SYS_process_vm_readv, [1, 0, 0, 0]),
        // The smallest attribute, which no command takes.
        Forbidden::Bpf => call(libc::SYS_bpf, [usize::MAX, 0, 0, 0]),
        Forbidden::IoUring => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
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

/// A call of the table above.
fn call(number: i64, arguments: [usize; 4]) -> i64 {
    let [a, b, c, d] = arguments;
    // SAFETY: only called from `attempt`, with arguments by which the kernel
    // writes to no memory of this process and takes nothing away from it.
    unsafe { libc::syscall(number, a, b, c, d, 0, 0) }
}
