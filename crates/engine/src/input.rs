//! The input: a regular file that is read at offsets, or a stream that is
//! read in order.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cryptstream_shm::Region;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Advice, AtFlags, CWD, FileType, Stat, StatxFlags};

use crate::Error;
use crate::memory::{OutOfMemory, grow, zeroed};

/// Up to this size a file is read until it ends, whatever its size is said to
/// be: files of /proc claim 0 bytes, files of /sys a page, which has at most
/// 64 KiB.
const TRUST_SIZE_ABOVE: u64 = 64 << 10;
/// Files above this size are read ahead eagerly.
const SEQUENTIAL_ABOVE: u64 = 1 << 20;

/// Pipes are enlarged to this, the most that the system gives by default.
pub(crate) const PIPE_SIZE: usize = 1 << 20;
/// What of an input is read first, before a large buffer is made for it.
const FIRST_FILL: usize = 64 << 10;

/// An opened input.
pub struct Source {
    file: File,
    path: PathBuf,
    /// As it was when the input was opened.
    stat: Stat,
    /// Whether `file` is read at offsets, from 0 on, without its own position.
    is_positional: bool,
    /// The next byte that [`Source::fill`] gives.
    position: u64,
    /// Bytes that were read and given back; they come before the file's.
    unread: Vec<u8>,
}

impl Source {
    /// Opens the file, pipe or device at `path`.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::InputIsDirectory`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file =
            File::open(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let source = Self::new(file, path.to_owned(), true)?;
        if source.is_positional && source.size() > SEQUENTIAL_ABOVE {
            // Only a hint, so its failure does not matter.
            let _ = rustix::fs::fadvise(&source.file, 0, None, Advice::Sequential);
        }
        Ok(source)
    }

    /// Takes standard input, from its present position on.
    ///
    /// # Errors
    /// [`Error::Open`] when it is closed, [`Error::InputIsDirectory`].
    pub fn stdin() -> Result<Self, Error> {
        let path = PathBuf::from("standard input");
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(fd) => Self::new(fd.into(), path, false),
            Err(source) => Err(Error::Open { path, source }),
        }
    }

    fn new(file: File, path: PathBuf, may_seek: bool) -> Result<Self, Error> {
        let stat = match rustix::fs::fstat(&file) {
            Ok(stat) => stat,
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::Directory {
            return Err(Error::InputIsDirectory { path });
        }
        if file_type == FileType::Fifo {
            // Fewer, larger reads. Refused above the user's limit; no matter.
            let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_SIZE);
        }
        let is_positional = may_seek && file_type == FileType::RegularFile;
        Ok(Self { file, path, stat, is_positional, position: 0, unread: Vec::new() })
    }

    /// The input's name for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of bytes, where it can be relied upon.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        (self.is_positional && self.size() > TRUST_SIZE_ABOVE).then(|| self.size())
    }

    /// The number of bytes as far as one can tell, for showing progress.
    #[must_use]
    pub fn expected_len(&self) -> Option<u64> {
        (self.is_regular() && self.size() > 0).then(|| self.size())
    }

    /// The permission bits for the output: the input's own, or what a new
    /// file gets where the input is no file.
    pub(crate) fn output_mode(&self) -> u32 {
        if self.is_regular() {
            return self.stat.st_mode & 0o777;
        }
        usual_mode()
    }

    /// Device and inode.
    #[must_use]
    pub fn id(&self) -> (u64, u64) {
        (self.stat.st_dev, self.stat.st_ino)
    }

    pub(crate) fn is_regular(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile
    }

    fn size(&self) -> u64 {
        u64::try_from(self.stat.st_size).unwrap_or(0)
    }

    /// The file itself, for others to read from at offsets.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes given so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Reads the next bytes until `buffer` is full or the input ends, and
    /// returns how many there were.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = self.unread.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&self.unread[..filled]);
        self.unread.drain(..filled);
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let offset = self.position + filled as u64;
            let read = if self.is_positional {
                self.file.read_at(rest, offset)
            } else {
                self.file.read(rest)
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Read { path: self.path.clone(), offset, source });
                }
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Reads the next bytes into `region`, until the `len` bytes from `to` on
    /// are full or the input ends; unless `may_wait`, only as long as it does
    /// not have to be waited for. Returns how many bytes there were, and whether
    /// that is all for now because one would have to wait.
    pub(crate) fn fill_region(
        &mut self,
        region: &Region,
        to: usize,
        len: usize,
        may_wait: bool,
    ) -> Result<(usize, bool), Error> {
        let mut filled = self.unread.len().min(len);
        region.copy_in(to, &self.unread[..filled]);
        self.unread.drain(..filled);
        let mut must_wait = false;
        while filled < len {
            if !may_wait && !self.is_readable() {
                must_wait = true;
                break;
            }
            let (to, rest, offset) = (to + filled, len - filled, self.position + filled as u64);
            let read = if self.is_positional {
                region.pread_into(&self.file, offset, to, rest)
            } else {
                region.read_into(&self.file, to, rest)
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Error::Read { path: self.path.clone(), offset, source });
                }
            }
        }
        self.position += filled as u64;
        Ok((filled, must_wait))
    }

    /// Fills `buffer` with `len` bytes, or as many as there are. Of a small
    /// input it is made no larger than that needs.
    pub(crate) fn fill_up(&mut self, buffer: &mut Vec<u8>, len: usize) -> Result<usize, Error> {
        let mut filled = 0;
        for end in [len.min(FIRST_FILL), len] {
            grow(buffer, end)?;
            filled += self.fill(&mut buffer[filled..end])?;
            if filled < end {
                break;
            }
        }
        Ok(filled)
    }

    /// Whether a read would give something, or the end, at once.
    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        // What cannot be asked is read.
        poll(&mut fds, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    /// Whether at least `len` bytes are to come, at least one. Those of a stream
    /// are read, and given again.
    pub(crate) fn has(&mut self, len: usize) -> Result<bool, Error> {
        if self.is_positional
            && let Ok(read) = self.file.read_at(&mut [0], self.position + len as u64 - 1)
        {
            return Ok(read > 0);
        }
        let mut bytes = zeroed(len)?;
        let filled = self.fill(&mut bytes)?;
        self.give_back(&bytes[..filled])?;
        Ok(filled == len)
    }

    /// Whether nothing is to come; `None` when, unless `may_wait`, one would
    /// have to wait to know.
    pub(crate) fn is_over(&mut self, may_wait: bool) -> Result<Option<bool>, Error> {
        let would_wait = !self.is_positional && self.unread.is_empty() && !self.is_readable();
        if would_wait && !may_wait {
            return Ok(None);
        }
        self.has(1).map(|has_more| Some(!has_more))
    }

    /// Gives back the last bytes that were read; they are read again.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !self.is_positional {
            self.unread.try_reserve(bytes.len()).map_err(OutOfMemory::from)?;
            self.unread.splice(..0, bytes.iter().copied());
        }
        self.position -= bytes.len() as u64;
        Ok(())
    }

    /// Fails if the file is not the one that was opened any more.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        if !self.is_regular() {
            return Ok(());
        }
        let now = rustix::fs::fstat(&self.file).map_err(|source| Error::Read {
            path: self.path.clone(),
            offset: self.position,
            source: source.into(),
        })?;
        if identity(&now) == identity(&self.stat) { Ok(()) } else { Err(self.changed()) }
    }

    pub(crate) fn changed(&self) -> Error {
        Error::InputChanged { path: self.path.clone() }
    }

    /// Whether the input's name is that of the file itself: not of a link, a
    /// pipe or standard input.
    pub(crate) fn is_removable(&self) -> bool {
        let is_link = || std::fs::symlink_metadata(&self.path).map_or(true, |m| m.is_symlink());
        self.is_positional && !is_link()
    }

    /// Removes the input from its folder, if the name still is that of the
    /// file that was read.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let failed = |source: io::Error| Error::Remove { path: self.path.clone(), source };
        // Asked of the file system itself: a cache may not know yet that the
        // output has replaced this very file, under another mount.
        let named = rustix::fs::statx(
            CWD,
            &self.path,
            AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC,
            StatxFlags::BASIC_STATS,
        )
        .map_err(|error| failed(error.into()))?;
        let is_same = (named.stx_ino, named.stx_size) == (self.stat.st_ino, self.size())
            && (named.stx_mtime.tv_sec, u64::from(named.stx_mtime.tv_nsec))
                == (self.stat.st_mtime, self.stat.st_mtime_nsec)
            && (named.stx_ctime.tv_sec, u64::from(named.stx_ctime.tv_nsec))
                == (self.stat.st_ctime, self.stat.st_ctime_nsec)
            && rustix::fs::makedev(named.stx_dev_major, named.stx_dev_minor) == self.stat.st_dev;
        if !is_same {
            return Err(failed(io::Error::other("it is not the file any more that was read")));
        }
        std::fs::remove_file(&self.path).map_err(failed)
    }
}

/// The permission bits that a new file usually gets.
pub(crate) fn usual_mode() -> u32 {
    // The mask can only be read by setting it. No other thread creates files
    // at this moment.
    let umask = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    rustix::process::umask(umask);
    0o666 & !umask.as_raw_mode()
}

/// What tells one state of a file from another.
fn identity(stat: &Stat) -> impl PartialEq + use<> {
    (
        (stat.st_dev, stat.st_ino, stat.st_size),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    )
}
