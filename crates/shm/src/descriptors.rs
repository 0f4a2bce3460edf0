//! Which descriptors other programs inherit, and who can write to a file.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::platform::native;

/// Marks every open descriptor above 2 as close-on-exec. Descriptors that this process opens itself
/// should be so anyway; the others were left open by the process that started it.
///
/// # Errors
/// If the system refuses.
pub fn keep_from_programs() -> io::Result<()> {
    native::close_all_on_exec()
}

/// Closes every descriptor above 2.
///
/// Call it at the start of a process, before it has opened anything. An owner of a descriptor above
/// 2 would find it closed, or another file in its place.
///
/// # Errors
/// If the system refuses.
pub fn close_inherited() -> io::Result<()> {
    native::close_all()
}

/// A pipe, reader first, that is closed on exec and does not block.
///
/// # Errors
/// If the system refuses.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    native::pipe()
}

/// Whether the file of `fd`, which is open for writing only, is also open for writing through
/// another file description, in any process. Duplicates of `fd` share its description and do not
/// count.
///
/// # Errors
/// If the system or the file system cannot tell.
pub fn has_other_writers(fd: impl AsFd) -> io::Result<bool> {
    native::has_other_writers(fd.as_fd())
}

/// How many bytes of a file are in the page cache.
///
/// # Errors
/// If the system cannot tell, as Linux before 6.5, or does not tell this user.
pub fn cached_len(fd: impl AsFd) -> io::Result<u64> {
    native::cached_len(fd.as_fd())
}

/// Starts writing `len` bytes of a file (0: all), from `start` on, to its device, and with `waits` also
/// waits until they are written. It does not make the file durable: its length and the places of
/// its blocks are not written. `fsync` does that, and then has little left to do.
///
/// # Errors
/// If the system or the file system cannot do it, or the device has failed. The error of a
/// device is reported once, so it must not be ignored.
pub fn write_back(fd: impl AsFd, start: u64, len: u64, waits: bool) -> io::Result<()> {
    native::write_back(fd.as_fd(), start, len, waits)
}

#[cfg(test)]
#[cfg(all(target_os = "linux", not(portable_platform)))]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::Channel;

    #[test]
    fn writers_are_noticed_until_their_last_descriptor_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        let has_others = || has_other_writers(&file).unwrap();
        assert!(!has_others());
        let duplicate = file.try_clone().unwrap();
        assert!(!has_others(), "a duplicate does not count");
        drop(duplicate);

        let other = File::options().write(true).open(&path).unwrap();
        assert!(has_others());
        let (here, there) = Channel::pair().unwrap();
        here.send(b"", &[other.as_fd()]).unwrap();
        drop(other);
        assert!(has_others(), "one that is under way counts");
        let message = there.receive().unwrap().unwrap();
        assert!(has_others());
        drop(message);
        assert!(!has_others());
    }

    #[test]
    fn what_was_left_open_is_not_inherited() {
        // Runs in a child process, whose descriptors nobody else needs.
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        let inherited = rustix::io::fcntl_getfd(&reader).unwrap();
        assert!(!inherited.contains(rustix::io::FdFlags::CLOEXEC));
        keep_from_programs().unwrap();
        let kept = rustix::io::fcntl_getfd(&reader).unwrap();
        assert!(kept.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(reader.as_raw_fd() > 2);
    }
}
