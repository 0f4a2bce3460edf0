//! Reads an archive, member by member.

mod extended_headers;

use std::io::{self, Read};

use crate::decompress::Decompressor;
use crate::error::{Error, LimitExceeded, Refusal, ZstdFailure};
use crate::header::{BLOCK, Header};
use crate::member::{Kind, Member};
use crate::sparse::{self, Extent};
use crate::time::Time;
use extended_headers::{ExtendedHeaders, GlobalHeader, MAX_NAME_LEN, Pax, SparseRecords};

/// The longest PAX records of one member, in bytes. Many holes and large extended attributes
/// make them long.
const MAX_RECORDS_LEN: u64 = 8 << 20;
/// The compression ratio is not limited up to this many decompressed bytes.
const RATIO_FROM: u64 = 64 << 20;
/// Bytes that are read at once.
const PART: usize = 128 << 10;

/// What an archive may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The number of members.
    pub entries: u64,
    /// Bytes of all contents, holes included.
    pub bytes: u64,
    /// Bytes by which all contents, holes included, may be larger than the archive.
    pub growth: u64,
    /// Decompressed bytes for each compressed byte, not counting the first 64 MiB.
    pub ratio: u64,
}

impl Limits {
    /// Enough for nearly all folders.
    pub const DEFAULT: Self =
        Self { entries: 10_000_000, bytes: u64::MAX, growth: 1 << 40, ratio: 1000 };
    /// No limits, for listing.
    pub const NONE: Self =
        Self { entries: u64::MAX, bytes: u64::MAX, growth: u64::MAX, ratio: u64::MAX };
}

/// Reads the members of an archive in their order.
pub struct ArchiveReader<R: Read> {
    from: Decompressor<R>,
    limits: Limits,
    /// Bytes read, decompressed.
    position: u64,
    entries: u64,
    bytes: u64,
    /// What holds for all members that follow.
    global: GlobalHeader,
    /// What is left of the present member, and what fills its last block.
    left: u64,
    padding: u64,
    /// The present member's name, for errors.
    member: Vec<u8>,
    part: Vec<u8>,
    is_over: bool,
}

impl<R: Read> ArchiveReader<R> {
    /// A reader of a tar stream, which may be compressed with zstd: its first bytes tell.
    ///
    /// # Errors
    /// [`Error::Read`] if the stream cannot be read.
    pub fn new(from: R, limits: Limits) -> Result<Self, Error> {
        Ok(Self {
            from: Decompressor::new(from).map_err(|source| match ZstdFailure::of(&source) {
                Some(reason) => Error::Decompress { reason, source },
                None => Error::Read(source),
            })?,
            limits,
            position: 0,
            entries: 0,
            bytes: 0,
            global: GlobalHeader::default(),
            left: 0,
            padding: 0,
            member: Vec::new(),
            part: vec![0; PART],
            is_over: false,
        })
    }

    /// Whether the archive is compressed with zstd.
    #[must_use]
    pub fn is_zstd(&self) -> bool {
        self.from.is_zstd()
    }

    /// The next member, or `None` at the end of the archive.
    ///
    /// # Errors
    /// See [`Error`]. After an error there are no more members.
    #[allow(clippy::should_implement_trait, reason = "it fails, and lends nothing")]
    pub fn next(&mut self) -> Result<Option<Member>, Error> {
        if self.is_over {
            return Ok(None);
        }
        self.is_over = true;
        while self.left > 0 {
            self.read_part()?;
        }
        self.skip_padding()?;
        self.member.clear();
        let mut extended = ExtendedHeaders::default();
        loop {
            let mut block = [0; BLOCK];
            let Some(header) = self.header(&mut block)? else {
                if !extended.is_empty() {
                    return Err(self.malformed("it ends where a member must follow"));
                }
                return self.end();
            };
            match header.kind() {
                // Solaris has a letter of its own for the same.
                b'x' | b'X' if extended.pax.is_none() => {
                    let records = self.extra(&header, MAX_RECORDS_LEN)?;
                    let Some(pax) = Pax::parse(&records) else {
                        return Err(self.malformed("its headers are invalid"));
                    };
                    extended.pax = Some(pax);
                }
                b'L' if extended.name.is_none() => {
                    extended.name = Some(without_nul(self.extra(&header, MAX_NAME_LEN)?));
                }
                b'K' if extended.link.is_none() => {
                    extended.link = Some(without_nul(self.extra(&header, MAX_NAME_LEN)?));
                }
                b'x' | b'X' | b'L' | b'K' => {
                    return Err(self.malformed("a member has two names"));
                }
                b'g' => {
                    let records = self.extra(&header, MAX_RECORDS_LEN)?;
                    self.apply_to_all(&records)?;
                }
                // The label of a volume of GNU tar; an access control list of Solaris.
                b'V' | b'A' => {
                    self.extra(&header, MAX_NAME_LEN)?;
                }
                _ => return self.begin(&header, extended).map(Some),
            }
        }
    }

    /// Applies the records of a global header.
    fn apply_to_all(&mut self, records: &[u8]) -> Result<(), Error> {
        match self.global.apply(records) {
            Some(None) => Ok(()),
            Some(Some(member)) => Err(Error::Refused { member, reason: Refusal::MultiVolume }),
            None => {
                Err(self
                    .malformed("a global header has records that only a single member may have"))
            }
        }
    }

    /// Reads the content of the member that [`next`](Self::next) returned last, and calls `take`
    /// with each part and its offset in the file. Everything else in the file is zero.
    ///
    /// # Errors
    /// See [`Error`]; and the errors of `take`.
    pub fn content(
        &mut self,
        member: &Member,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for extent in &member.extents {
            let (mut offset, end) = (extent.offset, extent.end());
            while offset < end {
                let most = usize::try_from(end - offset).unwrap_or(PART).min(PART);
                self.fill(most)?;
                self.left -= most as u64;
                take(offset, &self.part[..most])?;
                offset += most as u64;
            }
        }
        Ok(())
    }

    /// The member that a header and its extended headers describe.
    fn begin(&mut self, header: &Header<'_>, extended: ExtendedHeaders) -> Result<Member, Error> {
        let ExtendedHeaders { pax, name, link } = extended;
        let mut pax = pax.unwrap_or_default();
        let name = pax.sparse.name.take().or_else(|| pax.path.take()).or(name);
        let link = pax.link.take().or(link).unwrap_or_else(|| header.link());
        self.member = name.unwrap_or_else(|| header.path());
        if self.member.is_empty() {
            return Err(self.malformed("its headers are invalid"));
        }
        if header.kind() == b'M' {
            return Err(Error::Refused {
                member: self.member.clone(),
                reason: Refusal::MultiVolume,
            });
        }
        // Python may write 7e-09, which POSIX does not allow. Then the header's whole seconds
        // are used.
        let precise = pax.mtime.as_ref().or(self.global.mtime.as_ref());
        let mtime = precise
            .and_then(|text| Time::parse(text))
            .or_else(|| header.mtime().map(|seconds| Time { seconds, nanoseconds: 0 }));
        let size = pax.size.map_or_else(|| header.size(), Some);
        let (Some(size), Some(mtime), Some(mode)) = (size, mtime, header.mode()) else {
            return Err(self.malformed("its header has an invalid number"));
        };
        let Some(kind) = self.kind(header, link) else {
            return Err(self.malformed("it is a link without a target"));
        };
        let stored = match kind {
            // Only a PAX record can say that the content follows.
            Kind::HardLink(_) if pax.size.is_some_and(|size| size > 0) => {
                return Err(self.malformed("it is a hard link with content"));
            }
            // The list of names in an incremental backup of GNU tar.
            Kind::Folder if header.kind() == b'D' => size,
            Kind::File | Kind::Unknown(_) => size,
            // No content follows. Some programs store the size of the folder or of the link's
            // target all the same.
            _ => 0,
        };
        (self.left, self.padding) = (stored, padding(stored));
        let (extents, size) = match kind {
            Kind::File => self.extents(header, &mut pax.sparse, stored)?,
            _ => (Vec::new(), 0),
        };
        self.count(size)?;
        self.is_over = false;
        Ok(Member { name: self.member.clone(), kind, mode, mtime, size, extents })
    }

    fn kind(&self, header: &Header<'_>, link: Vec<u8>) -> Option<Kind> {
        let link = (!link.is_empty() && !link.contains(&0)).then_some(link);
        Some(match header.kind() {
            // How folders were stored before there was a type for them.
            0 | b'0' if self.member.ends_with(b"/") => Kind::Folder,
            // '7' is a contiguous file, which no system has any more.
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'5' | b'D' => Kind::Folder,
            b'2' => Kind::Symlink(link?),
            b'1' => Kind::HardLink(link?),
            b'6' => Kind::Fifo,
            b'4' => Kind::BlockDevice,
            b'3' => Kind::CharDevice,
            other => Kind::Unknown(other),
        })
    }

    /// The extents and the length of a file, of which the archive holds `stored` bytes.
    fn extents(
        &mut self,
        header: &Header<'_>,
        records: &mut SparseRecords,
        stored: u64,
    ) -> Result<(Vec<Extent>, u64), Error> {
        let map = if header.kind() == b'S' {
            sparse::read_old_map(header, || {
                let mut block = [0; BLOCK];
                self.read_exact(&mut block).map(|()| block)
            })?
            .map(|(extents, size)| (extents, records.star_size.flatten().unwrap_or(size)))
        } else if records.is_versioned {
            if !records.is_1_0() {
                return Err(self.malformed("it uses an unknown format for sparse files"));
            }
            self.map_in_data(records)?
        } else if let Some(size) = records.size {
            std::mem::take(&mut records.extents).zip(size)
        } else {
            return Ok((vec![Extent { offset: 0, len: stored }], stored));
        };
        match map {
            Some((extents, size)) if sparse::is_sound(&extents, size, self.left) => {
                Ok((extents, size))
            }
            _ => Err(self.malformed("its map of holes is invalid")),
        }
    }

    /// The map of GNU's format 1.0, before the data.
    fn map_in_data(
        &mut self,
        records: &SparseRecords,
    ) -> Result<Option<(Vec<Extent>, u64)>, Error> {
        let map = sparse::read_map(|| {
            if self.left < BLOCK as u64 {
                return Err(self.malformed("its map of holes is invalid"));
            }
            let mut block = [0; BLOCK];
            self.read_exact(&mut block)?;
            self.left -= BLOCK as u64;
            Ok(block)
        })?;
        Ok(map.map(|(extents, _)| extents).zip(records.real_size.flatten()))
    }

    fn count(&mut self, size: u64) -> Result<(), Error> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        let Limits { entries, bytes, growth, .. } = self.limits;
        if self.entries > entries {
            return Err(self.limit_exceeded(LimitExceeded::Entries(entries)));
        }
        if self.bytes > bytes {
            return Err(self.limit_exceeded(LimitExceeded::Bytes(bytes)));
        }
        // An archive that is not compressed holds the content that follows.
        let archive = self.from.compressed().unwrap_or(self.position.saturating_add(self.left));
        if self.bytes.saturating_sub(archive) > growth {
            return Err(self.limit_exceeded(LimitExceeded::Growth(growth)));
        }
        Ok(())
    }

    /// The next header, in `block`; `None` for a block of zeros.
    fn header<'b>(&mut self, block: &'b mut [u8; BLOCK]) -> Result<Option<Header<'b>>, Error> {
        let is_first = self.position == 0;
        let len = self.read_up_to(block)?;
        if len == BLOCK && block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if len < BLOCK {
            return Err(match is_first {
                true => Error::NotTar { head: block[..len].to_vec() },
                false => self.truncated(),
            });
        }
        match Header::new(block) {
            None if is_first => Err(Error::NotTar { head: block.to_vec() }),
            None => Err(self.malformed("the checksum of a header is wrong")),
            header => Ok(header),
        }
    }

    /// The content of an extended header.
    fn extra(&mut self, header: &Header<'_>, most: u64) -> Result<Vec<u8>, Error> {
        let size = match header.size() {
            Some(size) if size <= most => size,
            _ => return Err(self.malformed("a name or an extended header is too long")),
        };
        let mut extra = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read_exact(&mut extra)?;
        self.padding = padding(size);
        self.skip_padding()?;
        Ok(extra)
    }

    /// Reads what follows the first block of zeros. Two mark the end, but some programs write only
    /// one, and others fill up a record of a tape.
    fn end(&mut self) -> Result<Option<Member>, Error> {
        let mut block = [0; BLOCK];
        loop {
            let len = self.read_up_to(&mut block)?;
            if block[..len].iter().all(|byte| *byte == 0) {
                match len {
                    BLOCK => continue,
                    _ => return Ok(None),
                }
            }
            return Err(match Header::new(&block) {
                Some(next) if len == BLOCK => {
                    Error::Refused { member: next.path(), reason: Refusal::Concatenated }
                }
                _ => Error::TrailingData { offset: self.position },
            });
        }
    }

    fn skip_padding(&mut self) -> Result<(), Error> {
        let len = usize::try_from(self.padding).unwrap_or_default();
        self.padding = 0;
        self.read_exact(&mut [0; BLOCK][..len])
    }

    /// Skips a part of the present member.
    fn read_part(&mut self) -> Result<(), Error> {
        let len = usize::try_from(self.left).unwrap_or(PART).min(PART);
        self.fill(len)?;
        self.left -= len as u64;
        Ok(())
    }

    fn fill(&mut self, len: usize) -> Result<(), Error> {
        let mut part = std::mem::take(&mut self.part);
        let filled = self.read_exact(&mut part[..len]);
        self.part = part;
        filled
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        if self.read_up_to(buffer)? < buffer.len() { Err(self.truncated()) } else { Ok(()) }
    }

    /// Reads until `buffer` is full or the stream ends.
    fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) if self.from.is_zstd() => {
                    let reason = ZstdFailure::of(&source).unwrap_or(ZstdFailure::Other);
                    return Err(Error::Decompress { reason, source });
                }
                Err(error) => return Err(Error::Read(error)),
            }
        }
        self.position += filled as u64;
        let ratio = self.limits.ratio;
        match self.from.compressed() {
            Some(compressed)
                if self.position > RATIO_FROM.max(compressed.saturating_mul(ratio)) =>
            {
                Err(self.limit_exceeded(LimitExceeded::Ratio(ratio)))
            }
            _ => Ok(filled),
        }
    }

    fn truncated(&self) -> Error {
        self.malformed("it is cut off, or continues in another volume")
    }

    fn malformed(&self, reason: &'static str) -> Error {
        let (member, offset) = (self.member.clone(), self.position);
        Error::Malformed { member, offset, reason: reason.into() }
    }

    fn limit_exceeded(&self, reason: LimitExceeded) -> Error {
        Error::LimitExceeded { member: self.member.clone(), reason }
    }
}

/// Removes the NUL that ends a long name of GNU tar.
fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// The bytes after a content that fill its last block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
