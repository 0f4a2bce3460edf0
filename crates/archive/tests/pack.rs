//! Packing while others change the folder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use cryptstream_archive::{PackError, Packer};
use cryptstream_beneath::Dir;

/// As in GNU tar, which reports "file removed before we read it". The run can be repeated; the
/// input is not missing.
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
