//! Files in memory.

use std::fs::File;
use std::io;

use rustix::fs::MemfdFlags;

/// A file in memory, empty at first. It can be passed to other processes, and vanishes with the
/// last descriptor of it.
pub(crate) fn memory_file() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("cryptstream-object", MemfdFlags::CLOEXEC)?.into())
}
