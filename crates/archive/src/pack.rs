//! Packs files, folders and links into a tar stream.

mod stream;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cryptstream_beneath::{
    Dir, FileId, KnownFile, dir_mode_without_acl, has_same_content, is_same_file, mode_without_acl,
    uncached_stat,
};
use rustix::fs::{Advice, FileType, Stat, fadvise};
use rustix::io::Errno;
use tar::{EntryType, Header};

use crate::error::PackError;
use crate::folder_cache::{FolderCache, as_path};
use crate::header::BLOCK;
use crate::name::MAX_DEPTH;
use crate::sparse::{self, Extent};
use crate::time::Time;
use crate::{folders, holes, name, pax};
use stream::Stream;

pub use stream::ZSTD_LEVELS;

/// Bytes of a file that are read at once.
const PART: usize = 256 << 10;
/// The most that is read of a file whose length the file system does not report.
const MAX_UNKNOWN_LEN: usize = 16 << 20;
/// Contents are dropped from the page cache whenever so many bytes more have been read. The system
/// drops whole folios, which may be 2 MiB long.
const DROP_STRIDE: u64 = 8 << 20;
/// The permission bits of the group.
const GROUP: u32 = 0o070;
/// Times and sizes from here on do not fit into the octal digits of a header.
const OCTAL_11: u64 = 1 << 33;

/// The totals of an archive that was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// The number of members.
    pub entries: u64,
    /// Bytes of the stream before compression.
    pub bytes: u64,
    /// Bytes of the stream as written.
    pub written: u64,
    /// Bytes of all contents, holes included.
    pub content: u64,
    /// Bytes of memory that [`unpack`](crate::unpack) needs for the folders. It allows
    /// [`FOLDER_BUDGET`](crate::FOLDER_BUDGET).
    pub folders: u64,
    /// Files and folders whose access control list was not packed. Their permission bits in the
    /// archive give nobody more than the list does.
    pub acls: u64,
}

/// What [`Packer::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was packed.
    Packed,
    /// It was packed, and is a symbolic link that leads out of the folder.
    PackedLinkOut,
    /// It is a device, pipe or socket, and was not packed.
    Special,
    /// It is one of the excluded files, and was not packed.
    Excluded,
}

/// Writes an archive of a folder.
pub struct Packer<'a, W: Write> {
    folder_cache: FolderCache<'a>,
    stream: Stream<W>,
    /// The first name of each file that has several, and its state at that time.
    links: HashMap<FileId, (Vec<u8>, Stat)>,
    /// The file that the archive is written to.
    output: Option<KnownFile>,
    /// Files that are not packed.
    excluded: Vec<KnownFile>,
    /// Whether long contents are dropped from the page cache.
    drops_content: bool,
    buffer: Vec<u8>,
    packed: Packed,
}

impl<'a, W: Write> Packer<'a, W> {
    /// Begins an archive of `folder`, which is written to `to`. With a `level` of
    /// [`ZSTD_LEVELS`] it is compressed with zstd, on up to `threads` threads.
    ///
    /// # Errors
    /// [`PackError::Write`] if the compressor cannot be started.
    pub fn new(
        folder: &'a Dir,
        to: W,
        level: Option<i32>,
        threads: u32,
    ) -> Result<Self, PackError> {
        Ok(Self {
            folder_cache: FolderCache::new(folder),
            stream: Stream::new(to, level, threads).map_err(PackError::Write)?,
            links: HashMap::new(),
            output: None,
            excluded: Vec::new(),
            drops_content: false,
            buffer: vec![0; PART],
            packed: Packed::default(),
        })
    }

    /// Sets the output file: [`add`](Self::add) fails for it.
    pub fn set_output(&mut self, output: KnownFile) {
        self.output = Some(output);
    }

    /// Excludes these files.
    pub fn exclude(&mut self, files: &[KnownFile]) {
        self.excluded.extend_from_slice(files);
    }

    /// Drops what has been read of contents of 8 MiB and more from the page cache.
    pub fn drop_content(&mut self) {
        self.drops_content = true;
    }

    /// Packs the file, folder or link at this path in the folder; the empty path is the folder
    /// itself. Folders are packed without their content, and no symbolic link is followed.
    ///
    /// # Errors
    /// See [`PackError`]. The archive can only be continued after
    /// [`PackError::Unreadable`] for a file of which nothing was read.
    pub fn add(&mut self, relative: &Path) -> Result<Added, PackError> {
        let unreadable = |error: Errno| PackError::Unreadable {
            path: relative.to_owned(),
            source: error.into(),
        };
        let changed = || PackError::Changed { path: relative.to_owned() };
        let parts: Vec<_> = name_parts(relative);
        if parts.len() > MAX_DEPTH {
            return Err(PackError::TooDeep { path: relative.to_owned() });
        }
        let Some((own, above)) = parts.split_last() else {
            let folder = self.folder_cache.folder(&[], false).map_err(unreadable)?;
            let stat = folder.own_stat().map_err(unreadable)?;
            let (mode, has_acl) = dir_mode_without_acl(folder, stat.st_mode);
            let stat = self.packed.recorded(&stat, mode, has_acl);
            return self.plain(b"./", EntryType::Directory, &stat, None);
        };
        // A parent was replaced, or the file was removed.
        let gone = |error: Errno| match error {
            Errno::NOTDIR | Errno::LOOP | Errno::NOENT => changed(),
            error => unreadable(error),
        };
        let folder = self.folder_cache.folder(above, false).map_err(gone)?;
        let own = as_path(own);
        let stat = folder.stat(own).map_err(gone)?;
        let name = parts.join(&b'/');
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.packed.folders += folders::cost(own.as_os_str().as_bytes());
                let (mode, has_acl) = match folder.open_dir(own) {
                    Ok(dir) if stat.st_mode & GROUP != 0 => {
                        dir_mode_without_acl(&dir, stat.st_mode)
                    }
                    _ => (stat.st_mode, false),
                };
                let stat = self.packed.recorded(&stat, mode, has_acl);
                self.plain(&[&name[..], b"/"].concat(), EntryType::Directory, &stat, None)
            }
            FileType::Symlink => {
                let target = folder.read_link(own).map_err(gone)?;
                let target = target.as_os_str().as_bytes();
                let leads_out = name::leads_out(target, above.len());
                let added = self.plain(&name, EntryType::Symlink, &stat, Some(target))?;
                Ok(if leads_out { Added::PackedLinkOut } else { added })
            }
            FileType::RegularFile => {
                let is_it = |known: &KnownFile| known.is_named(folder, own.as_os_str(), &stat);
                if self.output.as_ref().is_some_and(is_it) {
                    return Err(PackError::IsOutput { path: relative.to_owned() });
                }
                if self.excluded.iter().any(is_it) {
                    return Ok(Added::Excluded);
                }
                let file = folder.open_file(own).map_err(gone)?;
                let opened = rustix::fs::fstat(&file).map_err(unreadable)?;
                let is_file = FileType::from_raw_mode(opened.st_mode) == FileType::RegularFile;
                if !is_file || !FileId::of(&stat).may_be(FileId::of(&opened), &file) {
                    return Err(changed());
                }
                let stat = uncached_stat(&file, opened);
                self.file(relative, &name, &file, &stat)
            }
            _ => Ok(Added::Special),
        }
    }

    /// Checks whether the file at this path can be opened, and packs nothing.
    ///
    /// # Errors
    /// [`PackError::Unreadable`] if it cannot.
    pub fn check_readable(&mut self, relative: &Path) -> Result<(), PackError> {
        let parts = name_parts(relative);
        let Some((own, above)) = parts.split_last() else { return Ok(()) };
        let mut tried = || {
            let folder = self.folder_cache.folder(above, false)?;
            if FileType::from_raw_mode(folder.stat(as_path(own))?.st_mode) == FileType::RegularFile
            {
                folder.open_file(as_path(own))?;
            }
            Ok(())
        };
        tried().map_err(|error: Errno| PackError::Unreadable {
            path: relative.to_owned(),
            source: error.into(),
        })
    }

    /// Ends the archive, and returns the writer.
    ///
    /// # Errors
    /// [`PackError::Write`] if the end cannot be written.
    pub fn finish(mut self) -> Result<(W, Packed), PackError> {
        self.put(&[0; 2 * BLOCK])?;
        let (to, written) = self.stream.finish().map_err(PackError::Write)?;
        Ok((to, Packed { written, ..self.packed }))
    }

    fn file(
        &mut self,
        relative: &Path,
        name: &[u8],
        file: &File,
        stat: &Stat,
    ) -> Result<Added, PackError> {
        if stat.st_nlink > 1 {
            match self.links.get(&FileId::of(stat)) {
                Some((first, seen)) if is_same_file(file, seen, stat) => {
                    let first = first.clone();
                    let recorded = self.recorded(file, stat);
                    return self.plain(name, EntryType::Link, &recorded, Some(&first));
                }
                _ => self.links.insert(FileId::of(stat), (name.to_vec(), *stat)),
            };
        }
        let recorded = self.recorded(file, stat);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.packed.content = self.packed.content.saturating_add(size);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        let mut records = Vec::new();
        let (extents, map, shown) = match holes::extents(file, size, blocks) {
            None if size < PART as u64 => {
                return self.small(relative, name, file, (stat, &recorded));
            }
            None => (vec![Extent { offset: 0, len: size }], Vec::new(), name.to_vec()),
            Some(extents) => {
                pax::push(&mut records, "GNU.sparse.major", b"1");
                pax::push(&mut records, "GNU.sparse.minor", b"0");
                pax::push(&mut records, "GNU.sparse.name", name);
                let real = size.to_string();
                pax::push(&mut records, "GNU.sparse.realsize", real.as_bytes());
                let map = sparse::map(&extents);
                // The name that programs show which do not know the records.
                (extents, map, [b"GNUSparseFile.0/", name].concat())
            }
        };
        let stored = map.len() as u64 + extents.iter().map(|extent| extent.len).sum::<u64>();
        self.head(&shown, EntryType::Regular, &recorded, stored, None, records)?;
        self.put(&map)?;
        for extent in &extents {
            self.copy(relative, file, *extent)?;
        }
        self.pad(stored)?;
        check_unchanged(relative, file, stat)?;
        Ok(Added::Packed)
    }

    /// Packs a small file by its content, as its size may be wrong: files in /proc claim to be
    /// empty, files in /sys to be longer than they are.
    fn small(
        &mut self,
        relative: &Path,
        name: &[u8],
        file: &File,
        (stat, recorded): (&Stat, &Stat),
    ) -> Result<Added, PackError> {
        let unreadable = |source| PackError::Unreadable { path: relative.to_owned(), source };
        let size = usize::try_from(stat.st_size).unwrap_or(0);
        let mut buffer = std::mem::take(&mut self.buffer);
        // One more byte shows whether the size is right, and costs nothing.
        let mut len = read_up_to(file, &mut buffer[..=size], 0, size).map_err(unreadable)?;
        if len != size {
            // If the file has not changed, the file system does not know its length.
            check_unchanged(relative, file, stat)?;
            buffer.resize(MAX_UNKNOWN_LEN + 1, 0);
            len += read_up_to(file, &mut buffer[len..], len, usize::MAX).map_err(unreadable)?;
            if len > MAX_UNKNOWN_LEN {
                return Err(unreadable(io::Error::other(
                    "is too large for a file whose length the system does not report",
                )));
            }
        }
        self.head(name, EntryType::Regular, recorded, len as u64, None, Vec::new())?;
        self.put(&buffer[..len])?;
        buffer.truncate(PART);
        self.buffer = buffer;
        self.pad(len as u64)?;
        check_unchanged(relative, file, stat)?;
        Ok(Added::Packed)
    }

    /// The attributes of an open file without its access control list.
    fn recorded(&mut self, file: &File, stat: &Stat) -> Stat {
        // If the group has no rights, a list gives none to users and groups either.
        let (bits, has_acl) = match stat.st_mode & GROUP {
            0 => (stat.st_mode & 0o777, false),
            _ => mode_without_acl(file, stat.st_mode),
        };
        self.packed.recorded(stat, stat.st_mode & !0o777 | bits, has_acl)
    }

    /// Pads a content to whole blocks.
    fn pad(&mut self, stored: u64) -> Result<(), PackError> {
        self.put(&[0; BLOCK][..(stored.wrapping_neg() % BLOCK as u64) as usize])
    }

    fn copy(&mut self, relative: &Path, file: &File, extent: Extent) -> Result<(), PackError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut offset = extent.offset;
        while offset < extent.end() {
            let len = usize::try_from(extent.end() - offset).unwrap_or(PART).min(PART);
            file.read_exact_at(&mut buffer[..len], offset).map_err(|source| {
                let path = relative.to_owned();
                match source.kind() {
                    io::ErrorKind::UnexpectedEof => PackError::Changed { path },
                    _ => PackError::Unreadable { path, source },
                }
            })?;
            self.put(&buffer[..len])?;
            offset += len as u64;
            if self.drops_content && offset / DROP_STRIDE > (offset - len as u64) / DROP_STRIDE {
                // Only a hint, so its failure does not matter.
                let _ = fadvise(file, 0, NonZeroU64::new(offset), Advice::DontNeed);
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Writes a member without content.
    fn plain(
        &mut self,
        name: &[u8],
        kind: EntryType,
        stat: &Stat,
        link: Option<&[u8]>,
    ) -> Result<Added, PackError> {
        self.head(name, kind, stat, 0, link, Vec::new())?;
        Ok(Added::Packed)
    }

    /// Writes the header of a member. What does not fit becomes PAX records.
    fn head(
        &mut self,
        name: &[u8],
        kind: EntryType,
        stat: &Stat,
        stored: u64,
        link: Option<&[u8]>,
        mut records: Vec<u8>,
    ) -> Result<(), PackError> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(u64::from(stat.st_uid));
        header.set_gid(u64::from(stat.st_gid));
        header.set_size(stored);
        if stored >= OCTAL_11 {
            pax::push(&mut records, "size", stored.to_string().as_bytes());
        }
        let time = Time {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        };
        let seconds = u64::try_from(time.seconds).unwrap_or(0);
        header.set_mtime(seconds.min(OCTAL_11 - 1));
        if time != (Time { seconds: header.mtime().unwrap_or(0) as i64, nanoseconds: 0 }) {
            pax::push(&mut records, "mtime", time.to_decimal().as_bytes());
        }
        let fields = header.as_old_mut();
        let is_sparse = records_name(&records);
        if !put_name(&mut fields.name, name) && !is_sparse {
            pax::push(&mut records, "path", name);
        }
        if let Some(link) = link
            && !put_name(&mut fields.linkname, link)
        {
            pax::push(&mut records, "linkpath", link);
        }
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o600);
            extended.set_size(records.len() as u64);
            put_name(&mut extended.as_old_mut().name, &[b"PaxHeaders/", name].concat());
            extended.set_cksum();
            self.put(extended.as_bytes())?;
            records.resize(records.len().next_multiple_of(BLOCK), 0);
            self.put(&records)?;
        }
        header.set_cksum();
        self.put(header.as_bytes())?;
        self.packed.entries += 1;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.packed.bytes += bytes.len() as u64;
        self.stream.write_all(bytes).map_err(PackError::Write)
    }
}

impl Packed {
    /// `stat` with these permission bits.
    fn recorded(&mut self, stat: &Stat, st_mode: u32, has_acl: bool) -> Stat {
        self.acls += u64::from(has_acl);
        let mut recorded = *stat;
        recorded.st_mode = st_mode;
        recorded
    }
}

fn name_parts(relative: &Path) -> Vec<&[u8]> {
    relative.iter().map(OsStrExt::as_bytes).collect()
}

/// Reads from `offset` until the buffer is full, the file ends, or exactly `expected` bytes were
/// read.
fn read_up_to(file: &File, buffer: &mut [u8], offset: usize, expected: usize) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        // Files in /proc cannot be read into very large buffers.
        let end = buffer.len().min(len + PART);
        match file.read_at(&mut buffer[len..end], (offset + len) as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len == expected {
            break;
        }
    }
    Ok(len)
}

/// Fails if the file has changed since `then`.
fn check_unchanged(relative: &Path, file: &File, then: &Stat) -> Result<(), PackError> {
    let now = rustix::fs::fstat(file).map_err(|error| PackError::Unreadable {
        path: relative.to_owned(),
        source: error.into(),
    })?;
    match has_same_content(then, &uncached_stat(file, now)) {
        true => Ok(()),
        false => Err(PackError::Changed { path: relative.to_owned() }),
    }
}

/// Whether the records contain the name.
fn records_name(records: &[u8]) -> bool {
    let mut is_there = false;
    let read = pax::parse(records, |key, _| is_there |= key == b"GNU.sparse.name");
    read.is_some() && is_there
}

/// Puts a name, or as much of it as fits, into a header. Returns whether all of it fits.
fn put_name(field: &mut [u8; 100], name: &[u8]) -> bool {
    let len = name.len().min(field.len());
    field[..len].copy_from_slice(&name[..len]);
    len == name.len()
}
