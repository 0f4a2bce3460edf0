use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{Timespec, fstat};

use super::*;
use crate::resolve::{by_hand, by_openat2};

/// `root` with a file, a folder, a link to each, links that lead out, and a loop; and
/// a secret beside it.
fn world() -> (tempfile::TempDir, Dir) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("a/b/file"), "inside").unwrap();
    fs::write(outer.path().join("secret"), "outside").unwrap();
    symlink("file", root.join("a/b/to-file")).unwrap();
    symlink("b", root.join("a/to-b")).unwrap();
    symlink("../../secret", root.join("a/out")).unwrap();
    symlink(outer.path(), root.join("a/absolute")).unwrap();
    symlink("loop", root.join("a/loop")).unwrap();
    let dir = Dir::open(&root).unwrap();
    (outer, dir)
}

const READ: OFlags = OFlags::RDONLY.union(CAREFULLY);

#[test]
fn both_ways_reach_the_same_and_refuse_the_same() {
    let (_outer, root) = world();
    for path in ["a/b/file", "a/b/c", "a/b"] {
        let by_kernel = by_openat2(&root.fd, Path::new(path), READ, Mode::empty()).unwrap();
        let ours = by_hand(&root.fd, Path::new(path), READ, Mode::empty()).unwrap();
        assert_eq!(fstat(by_kernel).unwrap().st_ino, fstat(ours).unwrap().st_ino, "{path}");
    }
    for (path, error) in [
        ("a/b/to-file", Errno::LOOP),
        ("a/to-b/file", Errno::LOOP),
        ("a/out", Errno::LOOP),
        ("a/absolute/secret", Errno::LOOP),
        ("a/loop/x", Errno::LOOP),
        ("a/b/file/x", Errno::NOTDIR),
        ("a/b/none", Errno::NOENT),
        ("a/none/x", Errno::NOENT),
    ] {
        let path = Path::new(path);
        let by_kernel = by_openat2(&root.fd, path, READ, Mode::empty()).unwrap_err();
        let ours = by_hand(&root.fd, path, READ, Mode::empty()).unwrap_err();
        assert_eq!((by_kernel, ours), (error, error), "{}", path.display());
    }
}

#[test]
fn nothing_leads_up() {
    let (_outer, root) = world();
    for path in ["..", "../secret", "a/../../secret", "/etc/passwd", "", ".", "a/.."] {
        assert_eq!(root.open_file(path).unwrap_err(), Errno::INVAL, "{path}");
        assert_eq!(root.stat(path).unwrap_err(), Errno::INVAL, "{path}");
        assert_eq!(root.create_dir(path, Mode::RWXU).unwrap_err(), Errno::INVAL, "{path}");
    }
}

#[test]
fn no_call_goes_through_a_link() {
    let (outer, root) = world();
    let other = root.open_dir("a/b").unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    let times = Timestamps {
        last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
        last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
    };
    let path = "a/absolute/new";
    let refused = [
        root.create_file(path, mode).map(drop),
        root.create_dir(path, Mode::RWXU),
        root.symlink(Path::new("x"), path),
        root.stat("a/absolute/secret").map(drop),
        root.read_link(path).map(drop),
        root.remove_file("a/absolute/secret"),
        root.remove_dir("a/absolute/root"),
        root.set_times("a/absolute/secret", &times),
        root.hard_link("a/b/file", &root, path),
        other.rename("file", &root, path),
        root.rename_with("a/absolute/secret", &other, "stolen", RenameFlags::NOREPLACE),
        root.open_dir("a/absolute").map(drop),
        root.open_dir("a/absolute/root").map(drop),
        root.open_file("a/out").map(drop),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        assert_eq!(result.unwrap_err(), Errno::LOOP, "call {number}");
    }
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 2);
    assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"outside");
}

#[test]
fn the_last_component_is_taken_as_it_is() {
    let (outer, root) = world();
    let is = |path: &str| FileType::from_raw_mode(root.stat(path).unwrap().st_mode);
    assert_eq!(is("a/out"), FileType::Symlink);
    assert_eq!(root.read_link("a/out").unwrap(), Path::new("../../secret"));
    root.remove_file("a/out").unwrap();
    assert!(outer.path().join("secret").exists());

    root.create_dir("a/new", Mode::RWXU).unwrap();
    let new = root.open_dir("a/new").unwrap();
    new.set_own_mode(Mode::RUSR | Mode::XUSR).unwrap();
    assert_eq!(new.own_stat().unwrap().st_mode & 0o777, 0o500);
    drop(root.create_file("a/new-file", Mode::RUSR).unwrap());
    assert_eq!(root.create_file("a/new-file", Mode::RUSR).unwrap_err(), Errno::EXIST);
    let mut names: Vec<_> = root.open_dir("a").unwrap().entries().unwrap().collect();
    names.sort_by_key(|entry| entry.clone().unwrap().0);
    let names: Vec<_> = names.into_iter().map(|entry| entry.unwrap().0).collect();
    assert_eq!(names, ["absolute", "b", "loop", "new", "new-file", "to-b"]);
}
