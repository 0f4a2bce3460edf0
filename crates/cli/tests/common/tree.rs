//! Describes folders, compares them, and creates one with unusual entries.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::test_bytes;

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    kind: Kind,
    /// Permission bits; 0 for a link.
    mode: u32,
    /// Modification time, in nanoseconds since 1970.
    time: i128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Link(PathBuf),
    /// The content.
    File(Vec<u8>),
    Other,
}

impl Entry {
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// Whether both have the same content and modification time.
    pub fn is_same_content(&self, other: &Self) -> bool {
        (&self.kind, self.time) == (&other.kind, other.time)
    }
}

/// The folder and everything below it, by relative path.
pub fn described(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    describe(root, root, &mut found);
    found
}

fn describe(root: &Path, path: &Path, found: &mut BTreeMap<PathBuf, Entry>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_symlink() => Kind::Link(fs::read_link(path).unwrap()),
        kind if kind.is_file() => Kind::File(fs::read(path).unwrap()),
        _ => Kind::Other,
    };
    if kind == Kind::Folder {
        for entry in fs::read_dir(path).unwrap() {
            describe(root, &entry.unwrap().path(), found);
        }
    }
    let mode = if metadata.is_symlink() { 0 } else { metadata.mode() & 0o7777 };
    let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let name = path.strip_prefix(root).unwrap().to_owned();
    found.insert(name, Entry { kind, mode, time });
}

/// Panics if two folders differ in a name, a content, a permission bit, a time or a link, and names
/// the difference.
#[track_caller]
pub fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (described(one), described(other));
    for name in one.keys().chain(other.keys()) {
        let (a, b) = (one.get(name), other.get(name));
        assert!(a == b, "{name:?}: {} and {}", shown(a), shown(b));
    }
}

fn shown(entry: Option<&Entry>) -> String {
    match entry {
        None => "nothing".to_owned(),
        Some(Entry { kind: Kind::File(content), mode, time }) => {
            format!("a file of {} bytes, {mode:o}, {time}", content.len())
        }
        Some(entry) => format!("{entry:?}"),
    }
}

/// Creates a folder with everything that a copy could lose.
pub fn unusual_entries(root: &Path) {
    let folder = |name: &str| fs::create_dir_all(root.join(name)).unwrap();
    let file = |name: &OsStr, content: &[u8]| fs::write(root.join(name), content).unwrap();
    for name in ["", "empty", "a/b/c", "closed", "shared", ".hidden"] {
        folder(name);
    }
    for (number, len) in
        [0, 1, 16_383, 16_384, 65_536, 65_537, 1 << 20, (2 << 20) + 5].iter().enumerate()
    {
        file(format!("a/{number}").as_ref(), &test_bytes(*len));
    }
    for name in [
        &b"line\nfeed"[..],
        b"not utf-8 \xff",
        "größer".as_bytes(),
        b"-",
        b"--key",
        b" ",
        b"x.",
        b".hidden/y",
    ] {
        file(OsStr::from_bytes(name), name);
    }
    // The longest name that leaves room for the four bytes of the suffix `.enc`.
    file("n".repeat(251).as_ref(), b"long");
    file("closed/x".as_ref(), b"private");
    file("a/b/c/deep".as_ref(), b"deep");
    for (name, to) in [
        ("link", "a/1"),
        ("a/up", "../x."),
        ("a/b/dangling", "nothing/there"),
        ("folder-link", "a"),
        ("a/b/loop", ".."),
        ("self", "self"),
        ("outside", "/etc/hostname"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    let mode = |name: &str, mode| {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    };
    for (name, bits) in [("a/1", 0o600), ("a/2", 0o755), ("a/3", 0o444), ("closed/x", 0o400)] {
        mode(name, bits);
    }
    for (name, bits) in [("closed", 0o500), ("shared", 0o1777), ("a/b", 0o750)] {
        mode(name, bits);
    }
    let times = |name: &str, seconds, nanoseconds| {
        let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        File::open(root.join(name))
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    };
    // Folders last, and inner folders before outer ones.
    for (number, name) in
        ["a/1", "a/2", "closed/x", "a/b/c/deep", "empty", "closed", "a/b/c", "a/b", "a", ""]
            .iter()
            .enumerate()
    {
        times(name, 1_000_000_000 + 86_400 * number as u64, 123_456_789 + number as u32);
    }
}
