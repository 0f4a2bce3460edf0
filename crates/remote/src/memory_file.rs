//! Files in memory.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{FallocateFlags, MemfdFlags};

/// A file in memory, empty at first. It can be passed to other processes, and vanishes with the
/// last descriptor of it.
pub(crate) fn memory_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("cryptstream-object", MemfdFlags::CLOEXEC)?.into())
}

/// Gives back the memory of the bytes in `range`, which read as zeros then.
pub(crate) fn free(file: &File, range: &Range<u64>) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // If that fails, it only takes memory.
    let _ = rustix::fs::fallocate(file, flags, range.start, range.end - range.start);
}
