//! A folder as one encrypted archive: packed, unpacked, and exchanged with other programs.

mod list;
mod pack;
mod reader_killed;
mod tar_programs;
mod unpack;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::common::{Dir, test_bytes};

const SPARSE_LEN: u64 = 40 << 20;

/// The compared properties of a file: kind and permission bits, time, number of names, content or
/// target.
type State = (u32, i64, i64, u64, Vec<u8>);

/// Everything in a folder, and the folder itself.
fn tree(root: &Path) -> BTreeMap<PathBuf, State> {
    let mut tree = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_vec()
        } else if metadata.is_file() {
            fs::read(&path).unwrap()
        } else {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        };
        let names = if metadata.is_dir() { 0 } else { metadata.nlink() };
        let state = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), names, content);
        tree.insert(path.strip_prefix(root).unwrap().to_owned(), state);
    }
    tree
}

/// The permission bits that the umask withholds from new files.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(umask.trim(), 8).unwrap()
}

/// Compares two folders, without the bits that the umask forbids. For those, see
/// `permission_bits_are_those_of_the_archive_minus_the_umask`.
#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (mut one, mut other) = (tree(one), tree(other));
    let umask = umask();
    for (mode, ..) in one.values_mut().chain(other.values_mut()) {
        *mode &= !umask;
    }
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, state) in &one {
        // Without the content, which may be long.
        let of = |state: &State| (state.0, state.1, state.2, state.3);
        assert_eq!(of(state), of(&other[path]), "{path:?}");
        assert!(state.4 == other[path].4, "{path:?}");
    }
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with everything that an archive preserves.
fn unusual_entries(dir: &Dir, name: &str) -> PathBuf {
    let root = dir.path(name);
    let at = |name: &[u8]| root.join(OsString::from_vec(name.to_vec()));
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::create_dir(root.join("empty folder")).unwrap();
    fs::write(root.join("file"), test_bytes(300_000)).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    for name in [&b"new\nline"[..], b"not UTF-8 \xff\xfe", b"\x1b[31m", "ä ö".as_bytes(), b"-rf"]
    {
        fs::write(at(name), name).unwrap();
    }
    fs::write(at(&[b'n'; 255]), "long").unwrap();
    let long = vec!["d".repeat(80); 5].join("/");
    fs::create_dir_all(root.join(&long)).unwrap();
    for name in [&b"file"[..], b"new\nline", b"\xff"] {
        fs::write(at(&[long.as_bytes(), b"/", name].concat()), name).unwrap();
    }
    std::os::unix::fs::symlink(format!("{long}/file"), root.join("long link")).unwrap();
    std::os::unix::fs::symlink("../file", root.join("deep/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    fs::hard_link(root.join("file"), root.join("deep/er/same")).unwrap();
    fs::hard_link(at(&[long.as_bytes(), b"/file"].concat()), root.join("second name")).unwrap();

    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(&test_bytes(5000), 3 << 20).unwrap();
    sparse.write_all_at(b"x", 20 << 20).unwrap();
    sparse.set_len(SPARSE_LEN).unwrap();
    File::create(root.join("hole")).unwrap().set_len(1 << 20).unwrap();

    set_mode(&root.join("file"), 0o640);
    set_mode(&root.join("empty"), 0o000);
    set_mode(&root.join("-rf"), 0o777);
    set_mode(&root.join("deep/er"), 0o500);
    set_time(&root.join("file"), 1_234_567_890, 123_456_789);
    set_time(&root.join("empty"), -2, 500_000_000);
    set_time(&root.join("dangling"), 1_000_000_000, 7);
    set_time(&root.join("deep/er"), 0, 0);
    set_mode(&root, 0o750);
    set_time(&root, 1_700_000_000, 1);
    root
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The same folder, with everything readable for an ordinary user.
fn readable_entries(dir: &Dir, name: &str) -> PathBuf {
    let root = unusual_entries(dir, name);
    if !is_root() {
        set_mode(&root.join("empty"), 0o400);
    }
    root
}
