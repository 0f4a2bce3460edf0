//! Finds the holes of a file.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::sparse::{Extent, MAX_EXTENTS};

/// The extents of a file that hold data. `None` if the file has no holes, or so many that it is
/// packed as if it had none.
pub(crate) fn extents(file: &File, size: u64, blocks: u64) -> Option<Vec<Extent>> {
    if blocks.saturating_mul(512) >= size {
        return None;
    }
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size && extents.len() < MAX_EXTENTS - 1 {
        let offset = match seek(file, SeekFrom::Data(at)) {
            Ok(offset) => offset.min(size),
            // There is only a hole left.
            Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = seek(file, SeekFrom::Hole(offset)).ok()?.clamp(offset, size);
        extents.push(Extent { offset, len: end - offset });
        if end == at {
            return None;
        }
        at = end;
    }
    let is_dense = matches!(extents[..], [Extent { offset: 0, len }] if len == size);
    if is_dense || extents.len() == MAX_EXTENTS - 1 {
        return None;
    }
    if extents.last().is_none_or(|last| last.end() < size) {
        // An empty extent marks the end of the file.
        extents.push(Extent { offset: size, len: 0 });
    }
    Some(extents)
}
