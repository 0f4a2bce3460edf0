//! What comes before a member's header: the long names of GNU, the records of PAX.

use crate::pax;
use crate::sparse::{self, Piece};

/// See the module's description.
#[derive(Default)]
pub(super) struct Extras {
    /// Records, as they are in the archive.
    pub(super) pax: Option<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl Extras {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }

    /// Whether something in it cannot be understood, or could be understood in
    /// more than one way.
    pub(super) fn is_malformed(&self) -> bool {
        let Some(bytes) = &self.pax else { return false };
        let Some(records) = pax::parse(bytes) else { return true };
        let names = [&b"path"[..], b"linkpath", b"size", b"GNU.sparse.name"];
        names.iter().any(|name| records.iter().filter(|(key, _)| key == name).count() > 1)
            || records.iter().any(|(key, value)| names.contains(key) && value.contains(&0))
            || [&b"path"[..], b"linkpath"].iter().any(|key| self.value(key) == Some(b""))
            || self.number(b"size").is_some_and(|size| size.is_none())
    }

    fn records(&self) -> Vec<(&[u8], &[u8])> {
        self.pax.as_ref().and_then(|bytes| pax::parse(bytes)).unwrap_or_default()
    }

    /// The last record of this key.
    pub(super) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.records().iter().rev().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }

    /// The same as a number; `None` in it is none.
    pub(super) fn number(&self, key: &[u8]) -> Option<Option<u64>> {
        self.value(key).map(sparse::number)
    }

    pub(super) fn name(&self) -> Option<Vec<u8>> {
        let name = self.value(b"GNU.sparse.name").or_else(|| self.value(b"path"));
        name.map(<[u8]>::to_vec).or_else(|| self.name.clone())
    }

    pub(super) fn link(&self) -> Option<Vec<u8>> {
        self.value(b"linkpath").map(<[u8]>::to_vec).or_else(|| self.link.clone())
    }

    /// The pieces of a file with holes, in formats 0.1 and 0.0 of GNU.
    pub(super) fn sparse_pairs(&self) -> Option<Vec<Piece>> {
        if let Some(map) = self.value(b"GNU.sparse.map") {
            let numbers = map.split(|byte| *byte == b',').filter(|part| !part.is_empty());
            return sparse::pairs(numbers);
        }
        let records = self.records();
        let is_number = |key: &[u8]| matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
        sparse::pairs(records.iter().filter(|(key, _)| is_number(key)).map(|(_, value)| *value))
    }
}

/// Whether records that are for all members say nothing about them.
pub(super) fn is_only_comment(bytes: &[u8]) -> bool {
    let harmless = |key: &[u8]| matches!(key, b"comment" | b"charset" | b"hdrcharset");
    pax::parse(bytes).is_some_and(|records| records.iter().all(|(key, _)| harmless(key)))
}
