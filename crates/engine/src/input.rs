//! The input: a regular file that is read at offsets, or a stream that is
//! read in order. An armored file is a stream too, of what is in the armor.

mod armor;
mod feed;
mod removal;
mod state;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use armor::Armor;
use cryptstream_beneath::{Dir, Entry, fresh};
use cryptstream_format::armor as armor_text;
use cryptstream_shm::Region;
use feed::Fed;
pub use feed::Feed;
pub use removal::{is_leftover, leftover_of};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Advice, FileType, Stat};
use rustix::io::Errno;
pub use state::times_of;

use crate::memory::{OutOfMemory, grow, zeroed};
use crate::{Error, Parser};

/// Up to this size a file is read until it ends, whatever its size is said to
/// be: files of /proc claim 0 bytes, files of /sys a page, which has at most
/// 64 KiB.
const TRUST_SIZE_ABOVE: u64 = 64 << 10;
/// Files above this size are read ahead eagerly.
const SEQUENTIAL_ABOVE: u64 = 1 << 20;

/// How much of a file's beginning is looked at for an armor before anything
/// else is done. One with more white space before it is found later.
const ARMOR_HEAD_LEN: usize = 128;
/// How much of its beginning and of its end tells how much is in the armor.
const ARMOR_LOOK_LEN: usize = 1 << 10;

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
    /// What the content is taken out of, if it is armored.
    armor: Option<Box<Armor>>,
    /// The other end, if another thread of this process writes the input.
    fed: Option<Fed>,
    /// The directory that it was opened in, and its name there.
    origin: Option<(Arc<Dir>, OsString)>,
    /// Who parses it.
    parser: Parser,
    /// Whether all that is taken from it is authenticated.
    is_authenticated: bool,
}

impl Source {
    /// Opens the file, pipe or device at `path`, which the user has named: links are
    /// followed.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::InputIsDirectory`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Relative to its directory, so that it can be removed from where it was opened.
        let ends_in_name = !path.as_os_str().as_bytes().ends_with(b"/");
        let origin = Dir::open_parent(path).ok().filter(|_| ends_in_name);
        let opened = match &origin {
            Some((dir, name)) => dir.open_named(name).map_err(io::Error::from),
            None => File::open(path),
        };
        let file = opened.map_err(|source| Error::Open { path: path.to_owned(), source })?;
        let source = Self::new(file, path.to_owned(), true)?;
        if source.is_positional && source.size() > SEQUENTIAL_ABOVE {
            source.advise(Advice::Sequential);
        }
        let origin = origin.map(|(dir, name)| (Arc::new(dir), name));
        Ok(Self { origin, ..source })
    }

    /// Opens a file of a tree, relative to its directory and through no link. `path` is
    /// its name for messages.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::InputChanged`] where the name leads to anything but the
    /// file that was seen.
    pub fn open_entry(entry: &Entry, path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let (dir, file, stat) = match entry.open() {
            Ok(opened) => opened,
            Err(Errno::STALE) => return Err(Error::InputChanged { path }),
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let origin = Some((dir, entry.name.clone()));
        Ok(Self { origin, ..Self::with_stat(file, path, stat, true) })
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
        Ok(Self::with_stat(file, path, stat, may_seek))
    }

    fn with_stat(file: File, path: PathBuf, stat: Stat, may_seek: bool) -> Self {
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        // What a cache says of it would look like a change later.
        let stat = if is_regular { fresh(&file, stat) } else { stat };
        Self {
            file,
            path,
            stat,
            is_positional: may_seek && is_regular,
            position: 0,
            unread: Vec::new(),
            armor: None,
            fed: None,
            origin: None,
            parser: Parser::default(),
            is_authenticated: false,
        }
    }

    /// Has the input parsed by `parser`; otherwise it is by this process. To be said
    /// before anything is read.
    #[must_use]
    pub fn parsed_by(self, parser: &Parser) -> Self {
        Self { parser: parser.clone(), ..self }
    }

    /// Who parses it.
    pub(crate) fn parser(&self) -> &Parser {
        &self.parser
    }

    /// Takes the input for an armored one from now on: its content is what is
    /// in the armor. `head` is all that was read of it, and is read again.
    pub(crate) fn unarmor(&mut self, head: &[u8]) -> Result<(), Error> {
        if self.armor.is_some() || self.position != head.len() as u64 || !self.unread.is_empty() {
            return Err(Error::Internal("an armor that does not begin with the input"));
        }
        self.armor = Some(Box::new(Armor::new(head, &self.path, &self.parser)?));
        self.position = 0;
        Ok(())
    }

    /// Whether the content comes out of an armor, as was found out when it was
    /// opened.
    #[must_use]
    pub fn is_armored(&self) -> bool {
        self.armor.is_some()
    }

    /// The input's name for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of bytes, where it can be relied upon.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        (self.is_at_offsets() && self.size() > TRUST_SIZE_ABOVE).then(|| self.size())
    }

    /// The number of bytes as the system tells it, of a file that is read at
    /// offsets.
    pub(crate) fn seekable_len(&self) -> Option<u64> {
        self.is_at_offsets().then(|| self.size())
    }

    /// The lengths of an armored file's text and of what is in the armor, as
    /// far as they can be told from its first and last lines.
    pub(crate) fn armored_len(&self) -> Result<(Option<u64>, Option<u64>), Error> {
        if !self.is_positional {
            return Ok((None, None));
        }
        let size = self.size();
        let (mut head, mut tail) = ([0; ARMOR_LOOK_LEN], [0; ARMOR_LOOK_LEN]);
        let head_len = self.read_some_at(&mut head, 0)?;
        let tail_start = size.saturating_sub(ARMOR_LOOK_LEN as u64);
        let tail_len = self.read_some_at(&mut tail, tail_start)?;
        let (head, tail) = (&head[..head_len], &tail[..tail_len]);
        let len = self.parser.armor_content_len(&self.path, size, head, tail)?;
        Ok((Some(size), len))
    }

    /// The number of bytes as far as one can tell, for showing progress.
    #[must_use]
    pub fn expected_len(&self) -> Option<u64> {
        let len = match self.armor {
            // 48 bytes in a line of 65.
            Some(_) => self.size() / 65 * 48,
            None => self.size(),
        };
        (self.is_regular() && len > 0).then_some(len)
    }

    /// Whether this is a file by its name, which is there at once and whole.
    pub(crate) fn is_file(&self) -> bool {
        self.is_positional
    }

    /// Whether any part of the content can be read from the file at once.
    fn is_at_offsets(&self) -> bool {
        self.is_positional && self.armor.is_none()
    }

    /// Prepares for reading a few places of a file, and nothing else of it; gives
    /// the number of its bytes, however small it is.
    ///
    /// # Errors
    /// [`Error::NotSeekable`] for pipes and devices, for files whose size is
    /// not what it is said to be, and for armored files, in which nothing
    /// stands at its place.
    pub fn begin_random_access(&self) -> Result<u64, Error> {
        let refused = |is_armored| Error::NotSeekable { path: self.path.clone(), is_armored };
        if !self.is_positional {
            return Err(refused(false));
        }
        self.advise(Advice::Random);
        // A true size has a byte before it, and none at it.
        let size = self.size();
        let before = size.saturating_sub(1);
        let mut bytes = [0; 2];
        if size <= TRUST_SIZE_ABOVE
            && self.read_some_at(&mut bytes, before)? as u64 + before != size
        {
            return Err(refused(false));
        }
        // Where another process parses, it finds the armor when it reads the header.
        if self.parser.is_confined() {
            return Ok(size);
        }
        let mut head = [0; ARMOR_HEAD_LEN];
        let len = self.read_some_at(&mut head, 0)?;
        if armor_text::is_armored(&head[..len]) {
            return Err(refused(true));
        }
        Ok(size)
    }

    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    return result.map_err(|source| Error::Read {
                        path: self.path.clone(),
                        offset,
                        source,
                    });
                }
            }
        }
    }

    /// Tells the system in what manner the file will be read.
    pub(crate) fn advise(&self, advice: Advice) {
        // Only a hint, so its failure does not matter.
        let _ = rustix::fs::fadvise(&self.file, 0, None, advice);
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

    /// Bytes of text read so far, if the input is armored.
    pub(crate) fn text_len(&self) -> Option<u64> {
        self.armor.as_ref().map(|armor| armor.text_len())
    }

    /// Reads the next bytes until `buffer` is full or the input ends, and
    /// returns how many there were.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = self.unread.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&self.unread[..filled]);
        self.unread.drain(..filled);
        if self.armor.is_some() {
            let len = buffer.len();
            let put = |at: usize, bytes: &[u8]| {
                buffer[at..at + bytes.len()].copy_from_slice(bytes);
            };
            return self.fill_unarmored(filled, len, true, put).map(|(filled, _)| filled);
        }
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let offset = self.position + filled as u64;
            let read = if self.is_positional {
                self.file.read_at(rest, offset)
            } else {
                self.file.read(rest)
            };
            match read {
                Ok(0) => {
                    self.check_whole()?;
                    break;
                }
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
        if self.armor.is_some() {
            let put = |at: usize, bytes: &[u8]| region.copy_in(to + at, bytes);
            return self.fill_unarmored(filled, len, may_wait, put);
        }
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
                Ok(0) => {
                    self.check_whole()?;
                    break;
                }
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

    /// Fails where the end that was reached is only that of a writer who gave up.
    fn check_whole(&self) -> Result<(), Error> {
        match &self.fed {
            Some(fed) if !fed.is_whole() => Err(Error::Unfinished { path: self.path.clone() }),
            _ => Ok(()),
        }
    }

    /// Puts what is in the armor, from `filled` on, up to `len`. Returns the same
    /// as [`Source::fill_region`].
    fn fill_unarmored(
        &mut self,
        mut filled: usize,
        len: usize,
        may_wait: bool,
        mut put: impl FnMut(usize, &[u8]),
    ) -> Result<(usize, bool), Error> {
        let mut must_wait = false;
        while filled < len {
            if !self.unarmor_more(may_wait)? {
                must_wait = true;
                break;
            }
            let Some(armor) = &mut self.armor else { break };
            let more = armor.bytes().len().min(len - filled);
            if more == 0 {
                break;
            }
            put(filled, &armor.bytes()[..more]);
            armor.give(more);
            filled += more;
        }
        self.position += filled as u64;
        Ok((filled, must_wait))
    }

    /// Sees to it that something of the armor's content is decoded, unless it
    /// is over. Returns false when, unless `may_wait`, one would have to wait
    /// for it.
    fn unarmor_more(&mut self, may_wait: bool) -> Result<bool, Error> {
        loop {
            let is_readable = may_wait || self.is_readable();
            let Some(armor) = &mut self.armor else { return Ok(true) };
            if !armor.bytes().is_empty() || armor.is_over() {
                return Ok(true);
            }
            if !is_readable {
                return Ok(false);
            }
            armor.refill(&self.file, self.is_positional, &self.path)?;
        }
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

    /// Goes to a byte of a file that is read at offsets; `false` for others.
    pub(crate) fn go_to(&mut self, position: u64) -> bool {
        if self.is_at_offsets() {
            self.position = position;
        }
        self.is_at_offsets()
    }

    /// Whether a read of the file would give something, or the end, at once.
    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        // What cannot be asked is read.
        poll(&mut fds, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    /// Whether at least `len` bytes are to come, at least one. Those of a stream
    /// are read, and given again.
    pub(crate) fn has(&mut self, len: usize) -> Result<bool, Error> {
        if self.is_at_offsets()
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
        if self.armor.is_some() && self.unread.is_empty() {
            let is_known = self.unarmor_more(may_wait)?;
            let is_over = self.armor.as_ref().is_some_and(|armor| armor.bytes().is_empty());
            return Ok(is_known.then_some(is_over));
        }
        let would_wait = !self.is_positional && self.unread.is_empty() && !self.is_readable();
        if would_wait && !may_wait {
            return Ok(None);
        }
        self.has(1).map(|has_more| Some(!has_more))
    }

    /// Gives back the last bytes that were read; they are read again.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !self.is_at_offsets() {
            self.unread.try_reserve(bytes.len()).map_err(OutOfMemory::from)?;
            self.unread.splice(..0, bytes.iter().copied());
        }
        self.position -= bytes.len() as u64;
        Ok(())
    }
}
