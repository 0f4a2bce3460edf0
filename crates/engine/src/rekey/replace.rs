//! Another file in the place of the old one.

use std::fs::File;
use std::sync::Arc;

use cryptstream_format::{Padding, Recipient, WrapError, WrappedKey};
use rustix::io::Errno;

use super::file::LockedFile;
use super::summary::{RekeyMethod, RekeySummary};
use super::unlock::UnlockedHeader;
use crate::header::HEADER_BLOCK;
use crate::memory::zeroed;
use crate::output::attributes::{copy_user_attributes, keep_access};
use crate::output::{PendingFile, Permissions};
use crate::progress::check_cancelled;
use crate::{Error, Progress};

/// Bytes that the system copies in one call; progress is shown after each.
const COPY_PART: u64 = 256 << 20;
/// The same if this process has to read and write them.
const BUFFER_LEN: usize = 1 << 20;
/// How many more blocks are tried for a header.
const MAX_SHIFT: usize = 16;

impl LockedFile {
    /// Lets a file that shares the payload's blocks take the place of this
    /// one; `None` if the file system or the header's length does not allow it.
    pub(super) fn share(
        &self,
        old: &UnlockedHeader,
        wrapped: &WrappedKey,
        exact: Option<&[u8]>,
    ) -> Result<Option<RekeySummary>, Error> {
        let header = match exact {
            Some(header) => Some(header.to_vec()),
            None if self.shares_blocks_of(HEADER_BLOCK) => aligned_like(old, wrapped)?,
            None => None,
        };
        let Some(header) = header else { return Ok(None) };
        let pending = self.begin_replacing()?;
        if rustix::fs::ioctl_ficlone(pending.file(), &self.file).is_err() {
            return Ok(None);
        }
        if header.len() != old.header.len() {
            // The clone only showed that blocks can be shared. The system also shares
            // them when it copies between offsets that are alike in their blocks.
            pending.file().set_len(0).map_err(|source| self.failed(source))?;
            self.copy_payload(old, &pending, header.len() as u64, &())?;
        }
        pending.write_at(0, &header)?;
        self.replace_by(pending)?;
        self.summary(old, RekeyMethod::Shared, &header, header.len() as u64).map(Some)
    }

    /// Whether what lies alike in blocks of this length can be shared.
    fn shares_blocks_of(&self, len: usize) -> bool {
        rustix::fs::fstatvfs(&self.file).is_ok_and(|stat| stat.f_frsize <= len as u64)
    }

    /// Lets a copy take the place of this file.
    pub(super) fn rewrite(
        &self,
        old: &UnlockedHeader,
        header: &[u8],
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        progress.start(Some(self.len));
        let start = header.len() as u64;
        let pending = self.begin_replacing()?;
        pending.reserve(start + old.layout.payload_len())?;
        pending.write_at(0, header)?;
        progress.advance(old.start());
        self.copy_payload(old, &pending, start, progress)?;
        self.replace_by(pending)?;
        let written = start + old.layout.payload_len();
        self.summary(old, RekeyMethod::Rewritten, header, written)
    }

    pub(super) fn begin_replacing(&self) -> Result<PendingFile, Error> {
        let (folder, name) = (Arc::clone(&self.folder), self.name.clone());
        let (path, permissions) = (self.source.path(), Permissions::Private);
        let mut pending = PendingFile::create(folder, name, path, true, permissions)?;
        pending.set_caching(self.file.caching());
        Ok(pending)
    }

    /// Gives the finished file the name, the owner, the permission bits and the times of
    /// this one, unless this one has changed.
    pub(super) fn replace_by(&self, pending: PendingFile) -> Result<(), Error> {
        let metadata = self.file.metadata().map_err(|source| self.unreadable(0, source))?;
        let mode = keep_access(pending.file(), &self.file, &metadata);
        copy_user_attributes(pending.file(), &self.file);
        self.source.check_unchanged()?;
        // It is the same content as before: see `keep_times`.
        pending.set_times(&self.source.times())?;
        pending.commit_with_mode(mode, true)
    }

    fn copy_payload(
        &self,
        old: &UnlockedHeader,
        pending: &PendingFile,
        start: u64,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let len = old.layout.payload_len();
        let (mut done, mut by_system) = (0, true);
        while done < len {
            let (from, to) = (old.start() + done, start + done);
            // To the end of the first block, so that what follows can be shared.
            let to_block = HEADER_BLOCK as u64 - from % HEADER_BLOCK as u64;
            let part = if to_block < HEADER_BLOCK as u64 { to_block } else { COPY_PART };
            let part = part.min(len - done);
            let copied = match by_system {
                true => match copy_by_system(&self.file, from, pending.file(), to, part) {
                    // Not between these files, or not by this system.
                    Err(
                        Errno::NOSYS
                        | Errno::XDEV
                        | Errno::INVAL
                        | Errno::OPNOTSUPP
                        | Errno::PERM
                        | Errno::BADF,
                    ) => {
                        by_system = false;
                        continue;
                    }
                    Err(error) => {
                        return Err(Error::Write {
                            path: self.source.path().to_owned(),
                            offset: to,
                            source: error.into(),
                        });
                    }
                    Ok(copied) => copied,
                },
                false => self.copy_by_hand(from, pending, to, part)?,
            };
            if copied == 0 && by_system {
                // Some file systems answer so where they could read.
                by_system = false;
                continue;
            }
            if copied == 0 {
                return Err(self.source.changed());
            }
            done += copied;
            progress.advance(copied);
            check_cancelled(progress)?;
        }
        Ok(())
    }

    fn copy_by_hand(
        &self,
        from: u64,
        pending: &PendingFile,
        to: u64,
        len: u64,
    ) -> Result<u64, Error> {
        let len = usize::try_from(len).unwrap_or(BUFFER_LEN).min(BUFFER_LEN);
        let mut buffer = zeroed(len)?;
        let read = self
            .file
            .read_up_to(&mut buffer, from)
            .map_err(|source| self.unreadable(from, source))?;
        pending.file().write_all_at(read, to).map_err(|source| Error::Write {
            path: self.source.path().to_owned(),
            offset: to,
            source,
        })?;
        Ok(read.len() as u64)
    }
}

fn copy_by_system(from: &File, at: u64, to: &File, to_at: u64, len: u64) -> Result<u64, Errno> {
    let (mut at, mut to_at) = (at, to_at);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    loop {
        match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut to_at), len) {
            Err(Errno::INTR) => {}
            result => return result.map(|copied| copied as u64),
        }
    }
}

/// The shortest header after which the payload lies in its blocks as it does
/// now.
fn aligned_like(old: &UnlockedHeader, wrapped: &WrappedKey) -> Result<Option<Vec<u8>>, Error> {
    let shortest = wrapped.header(&old.file_key, Padding::None)?.len();
    let first =
        shortest + (old.header.len() + HEADER_BLOCK - shortest % HEADER_BLOCK) % HEADER_BLOCK;
    for len in (first..).step_by(HEADER_BLOCK).take(MAX_SHIFT) {
        if let Some(header) = fitting(wrapped.header(&old.file_key, Padding::Exactly(len)))? {
            return Ok(Some(header));
        }
    }
    Ok(None)
}

/// What may take the place of a header, without a change of the payload.
pub(super) struct NewHeaders {
    pub(super) wrapped: WrappedKey,
    /// A header of the same length, if there can be one.
    pub(super) exact: Option<Vec<u8>>,
}

/// Wraps the file key for `recipients` instead.
pub(super) fn rewrap(
    old: &UnlockedHeader,
    recipients: &[&(dyn Recipient + Sync)],
) -> Result<NewHeaders, Error> {
    let wrapped = WrappedKey::wrap(old.format, &old.file_key, &plain(recipients))?;
    let exact = fitting(wrapped.header(&old.file_key, Padding::Exactly(old.header.len())))?;
    Ok(NewHeaders { wrapped, exact })
}

impl NewHeaders {
    /// A header of any length.
    pub(super) fn free(&self, old: &UnlockedHeader) -> Result<Vec<u8>, Error> {
        Ok(self.wrapped.header(&old.file_key, old.free_padding())?)
    }
}

/// A header, if it can have the length that was asked for.
fn fitting(header: Result<Vec<u8>, WrapError>) -> Result<Option<Vec<u8>>, WrapError> {
    match header {
        Ok(header) => Ok(Some(header)),
        // The stanza that fills it up may be one too many.
        Err(WrapError::NoFit | WrapError::TooLong) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Recipients for a header.
pub(super) fn plain<'a>(recipients: &[&'a (dyn Recipient + Sync)]) -> Vec<&'a dyn Recipient> {
    recipients.iter().map(|recipient| *recipient as &dyn Recipient).collect()
}
