//! The extended headers before a member: long names of GNU tar, and PAX records.

use crate::pax;
use crate::sparse::{self, Extent};

/// The longest name, link target or volume label, in bytes: far more than any system allows.
pub(super) const MAX_NAME_LEN: u64 = 1 << 20;

/// The extended headers of one member.
#[derive(Default)]
pub(super) struct ExtendedHeaders {
    pub(super) pax: Option<Pax>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

/// The PAX records of one member, as far as they are used.
#[derive(Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<Vec<u8>>,
    pub(super) sparse: SparseRecords,
}

/// The records of a sparse file. An invalid number is `Some(None)`.
#[derive(Default)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    pub(super) is_versioned: bool,
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    pub(super) real_size: Option<Option<u64>>,
    /// The length of the file in GNU formats 0.0 and 0.1.
    pub(super) size: Option<Option<u64>>,
    /// The extents in these formats; `None` if they are malformed.
    pub(super) extents: Option<Vec<Extent>>,
    /// The length of the file as star stores it.
    pub(super) star_size: Option<Option<u64>>,
}

/// The global records, which apply to all members that follow.
#[derive(Default)]
pub(super) struct GlobalHeader {
    pub(super) mtime: Option<Vec<u8>>,
}

impl ExtendedHeaders {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

impl Pax {
    /// Parses all records; `None` if one is invalid. As POSIX says, the last of several records
    /// with the same key counts, and an empty value removes it.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        let mut map: Option<&[u8]> = None;
        let mut is_sound = true;
        let mut name = |field: &mut Option<Vec<u8>>, value: &[u8]| {
            is_sound &= !value.contains(&0) && value.len() as u64 <= MAX_NAME_LEN;
            *field = not_empty(value);
        };
        let mut size = None;
        let sparse = &mut pax.sparse;
        pax::parse(bytes, |key, value| match key {
            b"path" => name(&mut pax.path, value),
            b"linkpath" => name(&mut pax.link, value),
            b"GNU.sparse.name" => name(&mut sparse.name, value),
            b"size" => size = not_empty(value),
            b"mtime" => pax.mtime = not_empty(value),
            b"GNU.sparse.major" => {
                (sparse.is_versioned, sparse.major) = (true, Some(value.to_vec()));
            }
            b"GNU.sparse.minor" => sparse.minor = Some(value.to_vec()),
            b"GNU.sparse.realsize" => sparse.real_size = Some(sparse::number(value)),
            b"GNU.sparse.size" => sparse.size = Some(sparse::number(value)),
            b"GNU.sparse.map" => map = Some(value),
            b"SCHILY.realsize" => sparse.star_size = Some(sparse::number(value)),
            _ => {}
        })?;
        if !is_sound {
            return None;
        }
        if let Some(size) = size {
            pax.size = Some(sparse::number(&size)?);
        }
        if pax.sparse.size.is_some() {
            pax.sparse.extents = match map {
                Some(map) => extents_of_map(map),
                None => extents_of_records(bytes),
            };
        }
        Some(pax)
    }
}

fn not_empty(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

impl GlobalHeader {
    /// Applies another global header. Returns the name of a file that begins in another volume, if
    /// there is one. `None` if the records are invalid, or would give all members the same name,
    /// size or map of holes.
    pub(super) fn apply(&mut self, bytes: &[u8]) -> Option<Option<Vec<u8>>> {
        let mut continued = None;
        let mut is_sound = true;
        pax::parse(bytes, |key, value| match key {
            b"mtime" => self.mtime = not_empty(value),
            b"path" | b"linkpath" | b"size" => is_sound = false,
            b"GNU.volume.filename" => continued = Some(value.to_vec()),
            _ => is_sound &= !key.starts_with(b"GNU.sparse."),
        })?;
        is_sound.then_some(continued)
    }
}

impl SparseRecords {
    /// Whether the map of holes has GNU format 1.0.
    pub(super) fn is_1_0(&self) -> bool {
        self.major.as_deref() == Some(b"1") && self.minor.as_deref() == Some(b"0")
    }
}

/// The extents in format 0.1: one record.
fn extents_of_map(map: &[u8]) -> Option<Vec<Extent>> {
    sparse::pairs(map.split(|byte| *byte == b',').filter(|part| !part.is_empty()))
}

/// The extents in format 0.0: two records for each.
fn extents_of_records(bytes: &[u8]) -> Option<Vec<Extent>> {
    let mut numbers = Vec::new();
    pax::parse(bytes, |key, value| {
        if matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
            numbers.push(value);
        }
    })?;
    sparse::pairs(numbers.into_iter())
}
