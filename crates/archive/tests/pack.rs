//! What is packed while others work in the folder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use cryptstream_archive::{PackError, Packer};
use cryptstream_beneath::Dir;

/// As GNU tar does, which says "file removed before we read it": that is for another try,
/// not an input that is missing.
#[test]
fn what_has_gone_since_it_was_found_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let folder = Dir::open(dir.path()).unwrap();
    let mut packer = Packer::new(&folder, Vec::new(), None, 1).unwrap();
    packer.add(Path::new("file")).unwrap();
    for gone in ["gone", "gone/file", "file/file"] {
        let error = packer.add(Path::new(gone)).unwrap_err();
        assert!(matches!(error, PackError::Changed { .. }), "{gone}: {error}");
    }
}
