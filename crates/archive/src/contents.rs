//! What is in an archive, member after member, as any tar has written it.

mod extras;

use std::io::{self, Read};

use tar::{EntryType, GnuExtSparseHeader, Header};

use crate::decompress::Plain;
use crate::error::{Error, TooMuch};
use crate::sparse::{self, Piece};
use crate::time::Time;
use crate::{BLOCK, name};
use extras::{Extras, Pax, SparseExtras};

/// The longest that names and other things about a member can be: far more than
/// any system has, and little memory.
const MAX_EXTRAS_LEN: u64 = 1 << 20;
/// So much may always come of what is compressed.
const RATIO_FROM: u64 = 64 << 20;
/// What is read at once.
const PART: usize = 128 << 10;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members.
    pub entries: u64,
    /// Bytes of all contents, holes included.
    pub bytes: u64,
    /// Bytes that come of one compressed byte, beyond the first 64 MiB.
    pub ratio: u64,
}

impl Limits {
    /// More than there is in most folders.
    pub const DEFAULT: Self = Self { entries: 10_000_000, bytes: 1 << 40, ratio: 1000 };
    /// For whoever only looks.
    pub const NONE: Self = Self { entries: u64::MAX, bytes: u64::MAX, ratio: u64::MAX };
}

/// Something in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As it stands in the archive; not to be trusted.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, setuid and its like among them.
    pub mode: u32,
    /// When it was changed last.
    pub mtime: Time,
    /// Bytes of content, holes included.
    pub size: u64,
    /// The parts of the content that the archive has.
    pub(crate) pieces: Vec<Piece>,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// Another name of this member.
    HardLink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A device that is read and written in blocks.
    BlockDevice,
    /// Another device.
    CharDevice,
    /// Something that only tar itself knows, by its letter.
    Unknown(u8),
}

/// Reads an archive.
pub struct Contents<R: Read> {
    from: Plain<R>,
    limits: Limits,
    /// Bytes read, decompressed.
    position: u64,
    entries: u64,
    bytes: u64,
    /// What is left of the present member, and what fills its last block.
    left: u64,
    padding: u64,
    /// The present member's name, for errors.
    member: Vec<u8>,
    part: Vec<u8>,
    is_over: bool,
}

impl<R: Read> Contents<R> {
    /// Of a tar stream, perhaps compressed with zstd, which is told by how it begins.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn new(from: R, limits: Limits) -> Result<Self, Error> {
        Ok(Self {
            from: Plain::new(from).map_err(Error::Read)?,
            limits,
            position: 0,
            entries: 0,
            bytes: 0,
            left: 0,
            padding: 0,
            member: Vec::new(),
            part: vec![0; PART],
            is_over: false,
        })
    }

    /// Whether it is compressed.
    #[must_use]
    pub fn is_zstd(&self) -> bool {
        self.from.is_zstd()
    }

    /// The next member; `None` at the end, behind which nothing else may be.
    ///
    /// # Errors
    /// See [`Error`]. After one there are no more members.
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
        let mut extras = Extras::default();
        loop {
            let Some(header) = self.header()? else {
                if !extras.is_empty() {
                    return Err(self.malformed("the end comes where a member must"));
                }
                return self.end();
            };
            match header.entry_type() {
                EntryType::XHeader if extras.pax.is_none() => {
                    let records = self.extra(&header)?;
                    let Some(pax) = Pax::parse(&records) else {
                        return Err(self.malformed("its headers cannot be understood"));
                    };
                    extras.pax = Some(pax);
                }
                EntryType::GNULongName if extras.name.is_none() => {
                    extras.name = Some(without_nul(self.extra(&header)?));
                }
                EntryType::GNULongLink if extras.link.is_none() => {
                    extras.link = Some(without_nul(self.extra(&header)?));
                }
                EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                    return Err(self.malformed("a member's name is given twice"));
                }
                EntryType::XGlobalHeader => {
                    let records = self.extra(&header)?;
                    if !extras::is_only_comment(&records) {
                        return Err(self.malformed("it changes what all headers mean"));
                    }
                }
                // The label of a volume of GNU tar.
                kind if kind.as_byte() == b'V' => {
                    self.extra(&header)?;
                }
                _ => return self.begin(&header, extras).map(Some),
            }
        }
    }

    /// Gives the present member's content, and where in it each part belongs. What
    /// is not given is zero.
    ///
    /// # Errors
    /// See [`Error`]; and what `take` fails with.
    pub fn content(
        &mut self,
        member: &Member,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for piece in &member.pieces {
            let (mut offset, end) = (piece.offset, piece.end());
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

    /// A member, from its header and what came before that.
    fn begin(&mut self, header: &Header, extras: Extras) -> Result<Member, Error> {
        let Extras { pax, name, link } = extras;
        let mut pax = pax.unwrap_or_default();
        let name = pax.sparse.name.take().or_else(|| pax.path.take()).or(name);
        let link = pax.link.take().or(link);
        self.member = name.unwrap_or_else(|| header.path_bytes().into_owned());
        if self.member.is_empty() {
            return Err(self.malformed("its headers cannot be understood"));
        }
        let bad = "a number in its header cannot be understood";
        let stored = pax.size.map_or_else(|| header.entry_size().ok(), Some);
        let mtime = match &pax.mtime {
            Some(text) => Time::parse(text),
            // Those before 1970 are complements.
            None => {
                header.mtime().ok().map(|seconds| Time { seconds: seconds as i64, nanoseconds: 0 })
            }
        };
        let (Some(stored), Some(mtime), Ok(mode)) = (stored, mtime, header.mode()) else {
            return Err(self.malformed(bad));
        };
        let kind = match self.kind(header, link) {
            Some(kind) => kind,
            None => return Err(self.malformed("it is a link to nothing")),
        };
        if matches!(kind, Kind::HardLink(_)) && stored > 0 {
            return Err(self.malformed("it is a hard link that has content"));
        }
        (self.left, self.padding) = (stored, padding(stored));
        let (pieces, size) = match kind {
            Kind::File => self.pieces(header, &mut pax.sparse, stored)?,
            _ => (Vec::new(), 0),
        };
        self.count(size)?;
        self.is_over = false;
        Ok(Member { name: self.member.clone(), kind, mode: mode & 0o7777, mtime, size, pieces })
    }

    fn kind(&self, header: &Header, link: Option<Vec<u8>>) -> Option<Kind> {
        let link = || {
            let link = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
            link.filter(|link| !link.is_empty() && !link.contains(&0))
        };
        Some(match header.entry_type() {
            // As it was before there was a letter for folders.
            EntryType::Regular if self.member.ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::HardLink(link()?),
            EntryType::Fifo => Kind::Fifo,
            EntryType::Block => Kind::BlockDevice,
            EntryType::Char => Kind::CharDevice,
            other => Kind::Unknown(other.as_byte()),
        })
    }

    /// The pieces of a file, of which the archive has `stored` bytes, and its length.
    fn pieces(
        &mut self,
        header: &Header,
        extras: &mut SparseExtras,
        stored: u64,
    ) -> Result<(Vec<Piece>, u64), Error> {
        let map = if header.entry_type() == EntryType::GNUSparse {
            self.gnu_map(header)?
        } else if extras.is_versioned {
            if !extras.is_1_0() {
                return Err(self.malformed("its holes are described in an unknown way"));
            }
            self.map_in_data(extras)?
        } else if let Some(size) = extras.size {
            std::mem::take(&mut extras.pieces).zip(size)
        } else {
            return Ok((vec![Piece { offset: 0, len: stored }], stored));
        };
        match map {
            Some((pieces, size)) if sparse::is_sound(&pieces, size, self.left) => {
                Ok((pieces, size))
            }
            _ => Err(self.malformed("where its holes are cannot be understood")),
        }
    }

    /// The map of GNU's old format, in the header and in blocks behind it.
    fn gnu_map(&mut self, header: &Header) -> Result<Option<(Vec<Piece>, u64)>, Error> {
        let Some(gnu) = header.as_gnu() else { return Ok(None) };
        let Ok(size) = gnu.real_size() else { return Ok(None) };
        let mut pieces = Vec::new();
        let mut add = |block: &tar::GnuSparseHeader| {
            if block.is_empty() {
                return true;
            }
            let (Ok(offset), Ok(len)) = (block.offset(), block.length()) else { return false };
            pieces.push(Piece { offset, len });
            pieces.len() <= sparse::MAX_PIECES
        };
        if !gnu.sparse.iter().all(&mut add) {
            return Ok(None);
        }
        let mut is_extended = gnu.is_extended();
        while is_extended {
            let mut more = GnuExtSparseHeader::new();
            self.read_exact(more.as_mut_bytes())?;
            if !more.sparse().iter().all(&mut add) {
                return Ok(None);
            }
            is_extended = more.is_extended();
        }
        Ok(Some((pieces, size)))
    }

    /// The map of GNU's format 1.0, before the data.
    fn map_in_data(&mut self, extras: &SparseExtras) -> Result<Option<(Vec<Piece>, u64)>, Error> {
        let map = sparse::read_map(|| {
            if self.left < BLOCK as u64 {
                return Err(self.malformed("where its holes are cannot be understood"));
            }
            let mut block = [0; BLOCK];
            self.read_exact(&mut block)?;
            self.left -= BLOCK as u64;
            Ok(block)
        })?;
        Ok(map.map(|(pieces, _)| pieces).zip(extras.real_size.flatten()))
    }

    fn count(&mut self, size: u64) -> Result<(), Error> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        let Limits { entries, bytes, .. } = self.limits;
        if self.entries > entries {
            return Err(self.too_much(TooMuch::Entries(entries)));
        }
        if self.bytes > bytes {
            return Err(self.too_much(TooMuch::Bytes(bytes)));
        }
        Ok(())
    }

    /// The next header; `None` where there is a block of zeros.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let is_first = self.position == 0;
        let mut header = Header::new_old();
        let len = self.read_up_to(header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if len == BLOCK && bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if len == BLOCK && header.cksum().is_ok_and(|sum| sum == checksum(bytes)) {
            return Ok(Some(header));
        }
        match len {
            _ if is_first => Err(Error::NotTar { head: bytes[..len].to_vec() }),
            BLOCK => Err(self.malformed("a header's checksum is wrong")),
            _ => Err(self.cut()),
        }
    }

    /// What a header says about the next one.
    fn extra(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let size = match header.entry_size() {
            Ok(size) if size <= MAX_EXTRAS_LEN => size,
            _ => return Err(self.malformed("a name or another header is too long")),
        };
        let mut extra = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read_exact(&mut extra)?;
        self.padding = padding(size);
        self.skip_padding()?;
        Ok(extra)
    }

    /// Behind the first block of zeros of the two at the end.
    fn end(&mut self) -> Result<Option<Member>, Error> {
        let mut block = [0; BLOCK];
        self.read_exact(&mut block)?;
        loop {
            if block.iter().any(|byte| *byte != 0) {
                return Err(self.malformed("something follows its end"));
            }
            // Writers fill up what a tape would take at once.
            let len = self.read_up_to(&mut block)?;
            block[len..].fill(0);
            if len == 0 {
                return Ok(None);
            }
        }
    }

    fn skip_padding(&mut self) -> Result<(), Error> {
        let len = usize::try_from(self.padding).unwrap_or_default();
        self.padding = 0;
        self.read_exact(&mut [0; BLOCK][..len])
    }

    /// Reads some of what is left of the present member, for nothing.
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
        if self.read_up_to(buffer)? < buffer.len() { Err(self.cut()) } else { Ok(()) }
    }

    /// Reads until `buffer` is full or all is over.
    fn read_up_to(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.from.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.from.is_zstd() => return Err(Error::Decompress(error)),
                Err(error) => return Err(Error::Read(error)),
            }
        }
        self.position += filled as u64;
        let ratio = self.limits.ratio;
        match self.from.compressed() {
            Some(compressed)
                if self.position > RATIO_FROM.max(compressed.saturating_mul(ratio)) =>
            {
                Err(self.too_much(TooMuch::Ratio(ratio)))
            }
            _ => Ok(filled),
        }
    }

    fn cut(&self) -> Error {
        self.malformed("it ends too early: it was cut off")
    }

    fn malformed(&self, reason: &'static str) -> Error {
        let (member, offset) = (self.member.clone(), self.position);
        Error::Malformed { member, offset, reason: reason.into() }
    }

    fn too_much(&self, reason: TooMuch) -> Error {
        Error::TooMuch { member: self.member.clone(), reason }
    }
}

impl Member {
    /// Whether its name or what it links to leads out of the folder, so that it
    /// will not be unpacked.
    #[must_use]
    pub fn leads_out(&self) -> bool {
        match (name::parts(&self.name), &self.kind) {
            (Err(_), _) => true,
            (Ok(parts), Kind::Symlink(target)) => {
                name::leads_out(target, parts.len().saturating_sub(1))
            }
            (Ok(_), Kind::HardLink(target)) => name::parts(target).is_err(),
            _ => false,
        }
    }
}

/// Names of GNU tar end in a NUL.
fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// What fills the last block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The sum of all bytes, with those of the sum itself as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..])
}
