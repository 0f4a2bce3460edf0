//! Reads an input, in order and at offsets.

use std::io::{self, Read};

use cryptstream_format::armor as armor_text;
use cryptstream_shm::Region;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Advice;

use super::source::{Source, TRUST_SIZE_ABOVE};
use crate::Error;
use crate::data_file::DataFile;
use crate::memory::{OutOfMemory, grow, zeroed};

/// How many bytes of a file are searched for armor first. Armor after more white space is found
/// later.
const ARMOR_HEAD_LEN: usize = 128;
/// How many bytes of the beginning and of the end are read to tell the length of the content.
const ARMOR_LOOK_LEN: usize = 1 << 10;

/// The bytes of an input that are read before a large buffer is allocated.
const FIRST_FILL: usize = 64 << 10;

impl Source {
    /// The lengths of an armored file and of the content of the armor, as far as its first and last
    /// lines tell them.
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

    /// Prepares for reading parts of a file at their offsets. Returns its length in bytes.
    ///
    /// # Errors
    /// [`Error::NotSeekable`] for pipes, devices and armored files, and for files with a
    /// wrong size such as those of /proc.
    pub fn begin_random_access(&self) -> Result<u64, Error> {
        let refused = |is_armored| Error::NotSeekable { path: self.path.clone(), is_armored };
        if !self.is_positional {
            return Err(refused(false));
        }
        self.advise(Advice::Random);
        // If the size is right, there is a byte before it and none at it.
        let size = self.size();
        let before = size.saturating_sub(1);
        let mut bytes = [0; 2];
        if size <= TRUST_SIZE_ABOVE
            && self.read_some_at(&mut bytes, before)? as u64 + before != size
        {
            return Err(refused(false));
        }
        // If another process parses, it finds the armor when it reads the header.
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

    /// Reads until `buffer` is full or the input ends. Returns the number of bytes.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let filled = self.unread.len().min(buffer.len());
        buffer[..filled].copy_from_slice(&self.unread[..filled]);
        self.unread.drain(..filled);
        if self.armor.is_some() {
            let len = buffer.len();
            let put = |at: usize, bytes: &[u8]| {
                buffer[at..at + bytes.len()].copy_from_slice(bytes);
            };
            return self.fill_unarmored(filled, len, true, put).map(|(filled, _)| filled);
        }
        let len = buffer.len();
        let (filled, _) = self.fill_with(filled, len, true, |file, offset, at| match offset {
            Some(offset) => file.read_at(&mut buffer[at..], offset),
            None => (&**file).read(&mut buffer[at..]),
        })?;
        Ok(filled)
    }

    /// Reads the next bytes into `region`, until `len` bytes from `to` on are filled or the input
    /// ends. Without `may_wait` it stops as soon as a read would block. Returns the number of
    /// bytes, and whether it stopped because a read would block.
    pub(crate) fn fill_region(
        &mut self,
        region: &Region,
        to: usize,
        len: usize,
        may_wait: bool,
    ) -> Result<(usize, bool), Error> {
        let filled = self.unread.len().min(len);
        region.copy_in(to, &self.unread[..filled]);
        self.unread.drain(..filled);
        if self.armor.is_some() {
            let put = |at: usize, bytes: &[u8]| region.copy_in(to + at, bytes);
            return self.fill_unarmored(filled, len, may_wait, put);
        }
        self.fill_with(filled, len, may_wait, |file, offset, at| match offset {
            Some(offset) => region.pread_into(file, offset, to + at, len - at),
            None => region.read_into(file, to + at, len - at),
        })
    }

    /// Reads as [`Self::fill_region`] does, after the `filled` bytes that are there. `read` gets
    /// the file, the offset in it (`None` for a pipe), and the number of bytes already filled.
    fn fill_with(
        &mut self,
        mut filled: usize,
        len: usize,
        may_wait: bool,
        mut read: impl FnMut(&DataFile, Option<u64>, usize) -> io::Result<usize>,
    ) -> Result<(usize, bool), Error> {
        let mut must_wait = false;
        while filled < len {
            if !may_wait && !self.is_readable() {
                must_wait = true;
                break;
            }
            let offset = self.position + filled as u64;
            if let Some(object) = self.as_object() {
                object.fetch(offset, len - filled, true)?;
            }
            match read(&self.file, self.is_positional.then_some(offset), filled) {
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

    /// Fails if the input has ended early because its writer failed.
    fn check_whole(&self) -> Result<(), Error> {
        let Some(piped) = &self.piped else { return Ok(()) };
        let path = self.path.clone();
        match piped.reached() {
            Some(Ok(())) => Ok(()),
            Some(Err(source)) => Err(Error::Read { path, offset: self.position, source }),
            None => Err(Error::Unfinished { path }),
        }
    }

    /// Passes the content of the armor to `put`, from `filled` up to `len`. Returns the same as
    /// [`Source::fill_region`].
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

    /// Decodes more of the armor if nothing decoded is left and the armor has not ended. Returns
    /// `false` if, without `may_wait`, a read would block.
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

    /// Fills `buffer` with `len` bytes, or as many as there are. For a small input the buffer stays
    /// small.
    pub(crate) fn fill_up(&mut self, buffer: &mut Vec<u8>, len: usize) -> Result<usize, Error> {
        let mut filled = 0;
        let first = match self.seekable_len() {
            // One byte more, which is missing at the end.
            Some(len) => len.saturating_sub(self.position).saturating_add(1).min(FIRST_FILL as u64),
            None => FIRST_FILL as u64,
        };
        for end in [len.min(first as usize), len] {
            grow(buffer, end)?;
            filled += self.fill(&mut buffer[filled..end])?;
            if filled < end {
                break;
            }
        }
        Ok(filled)
    }

    /// Seeks to a byte of a file that is read at offsets; returns `false` for others.
    pub(crate) fn go_to(&mut self, position: u64) -> bool {
        if self.is_at_offsets() {
            self.position = position;
        }
        self.is_at_offsets()
    }

    /// Whether the file can be read without blocking.
    fn is_readable(&self) -> bool {
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        // If polling fails, reading is tried.
        poll(&mut fds, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
    }

    /// Whether at least `len` bytes follow (`len` is at least 1). The bytes of a stream are read
    /// and put back.
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

    /// Whether the input has ended; `None` if, without `may_wait`, a read would block.
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

    /// Puts back the last bytes that were read.
    pub(crate) fn give_back(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if !self.is_at_offsets() {
            self.unread.try_reserve(bytes.len()).map_err(OutOfMemory::from)?;
            self.unread.splice(..0, bytes.iter().copied());
        }
        self.position -= bytes.len() as u64;
        Ok(())
    }
}
