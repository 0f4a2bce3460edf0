use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use rustix::fs::{Timespec, fstat};

use super::*;
use crate::resolve::{component_by_component, with_openat2};
use crate::{FileEntry, Folder, Walk, has_same_content};

/// `root` with a file, a folder, a link to each, links that lead out, and a loop; and
/// a secret beside it.
fn fixture() -> (tempfile::TempDir, Dir) {
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

const READ: OFlags = OFlags::RDONLY.union(SAFE_FLAGS);

#[test]
fn both_ways_reach_the_same_and_refuse_the_same() {
    let (_outer, root) = fixture();
    for path in ["a/b/file", "a/b/c", "a/b"] {
        let by_kernel = with_openat2(&root.fd, Path::new(path), READ, Mode::empty()).unwrap();
        let ours = component_by_component(&root.fd, Path::new(path), READ, Mode::empty()).unwrap();
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
        let by_kernel = with_openat2(&root.fd, path, READ, Mode::empty()).unwrap_err();
        let ours = component_by_component(&root.fd, path, READ, Mode::empty()).unwrap_err();
        assert_eq!((by_kernel, ours), (error, error), "{}", path.display());
    }
}

#[test]
fn nothing_leads_up() {
    let (_outer, root) = fixture();
    for path in ["..", "../secret", "a/../../secret", "/etc/passwd", "", ".", "a/.."] {
        assert_eq!(root.open_file(path).unwrap_err(), Errno::INVAL, "{path}");
        assert_eq!(root.stat(path).unwrap_err(), Errno::INVAL, "{path}");
        assert_eq!(root.create_dir(path, Mode::RWXU).unwrap_err(), Errno::INVAL, "{path}");
    }
}

#[test]
fn no_call_goes_through_a_link() {
    let (outer, root) = fixture();
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
    let (outer, root) = fixture();
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

#[test]
fn a_folder_that_was_closed_is_opened_again_unless_it_was_exchanged() {
    let (outer, root) = fixture();
    let place = outer.path().join("root");
    let root = Folder::root(root).unwrap();
    let a = root.open_child(OsStr::new("a")).unwrap().0;
    let b = a.open_child(OsStr::new("b")).unwrap().0;
    assert_eq!(b.relative(), Path::new("a/b"));
    let close_all = || {
        for number in 0..40 {
            let _ = fs::create_dir(place.join(number.to_string()));
            root.open_child(OsStr::new(&number.to_string())).unwrap();
        }
    };
    close_all();
    assert_eq!(FileId::of(&b.dir().unwrap().own_stat().unwrap()), b.id());
    // Another folder, a link to the very folder, a file.
    fs::rename(place.join("a"), place.join("moved")).unwrap();
    close_all();
    assert_eq!(b.dir().unwrap_err(), Errno::NOENT);
    fs::create_dir_all(place.join("a/b")).unwrap();
    assert_eq!(b.dir().unwrap_err(), Errno::STALE);
    fs::remove_dir_all(place.join("a")).unwrap();
    symlink("moved", place.join("a")).unwrap();
    assert_eq!(b.dir().unwrap_err(), Errno::LOOP);
    fs::remove_file(place.join("a")).unwrap();
    fs::rename(place.join("moved"), place.join("a")).unwrap();
    assert_eq!(FileId::of(&b.dir().unwrap().own_stat().unwrap()), b.id());
}

#[test]
fn only_the_file_that_was_seen_is_opened() {
    let (outer, root) = fixture();
    let place = outer.path().join("root/a/b");
    let folder = Folder::root(root.open_dir("a/b").unwrap()).unwrap();
    let id = FileId::of(&folder.dir().unwrap().stat("file").unwrap());
    let entry = FileEntry { folder, name: "file".into(), id, pin: None };
    assert!(entry.open().is_ok());
    fs::rename(place.join("file"), place.join("was")).unwrap();
    assert_eq!(entry.open().unwrap_err(), Errno::NOENT);
    symlink("was", place.join("file")).unwrap();
    assert_eq!(entry.open().unwrap_err(), Errno::STALE);
    fs::remove_file(place.join("file")).unwrap();
    fs::write(place.join("file"), "another").unwrap();
    assert_eq!(entry.open().unwrap_err(), Errno::STALE);
    fs::remove_file(place.join("file")).unwrap();
    fs::create_dir(place.join("file")).unwrap();
    assert_eq!(entry.open().unwrap_err(), Errno::STALE);
}

#[test]
fn a_walk_goes_through_no_link_and_into_nothing_that_is_not_wanted() {
    let (_outer, root) = fixture();
    let root = Folder::root(root).unwrap();
    let walked = |is_wanted: fn(&Path) -> bool| {
        let wanted = move |_: &Arc<Folder>, path: &Path, _: bool| is_wanted(path);
        let walk = Walk::new(Arc::clone(&root), true, wanted);
        let found = walk.map(|found| found.unwrap().relative.to_str().unwrap().to_owned());
        found.collect::<Vec<_>>()
    };
    let all =
        ["a", "a/absolute", "a/b", "a/b/c", "a/b/file", "a/b/to-file", "a/loop", "a/out", "a/to-b"];
    assert_eq!(walked(|_| true), all);
    assert_eq!(walked(|path| !path.ends_with("b") && !path.ends_with("out")).len(), 4);
    let mut walk = Walk::new(root, true, |_: &Arc<Folder>, _: &Path, _: bool| true);
    walk.next();
    walk.skip_folder();
    assert!(walk.next().is_none());
}

/// Other names and permission bits change the time of the last change (ctime), and nothing
/// that a copy depends on. New content does, also where the time of the content is set back.
#[test]
fn what_changes_only_the_names_or_bits_of_a_file_leaves_its_content() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "content").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let stat = || rustix::fs::fstat(&file).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    // Until the system's clock has moved on.
    let until_later = |then: &Stat, change: &dyn Fn()| loop {
        change();
        let now = stat();
        if (now.st_ctime, now.st_ctime_nsec) != (then.st_ctime, then.st_ctime_nsec) {
            break now;
        }
    };
    let first = stat();
    assert!(has_same_content(&first, &first));
    let touched = until_later(&first, &|| file.set_modified(modified).unwrap());
    assert!(!has_same_content(&first, &touched), "only ctime tells");
    let linked = until_later(&touched, &|| {
        let _ = fs::remove_file(root.path().join("link"));
        fs::hard_link(&path, root.path().join("link")).unwrap();
    });
    assert!(has_same_content(&touched, &linked));
    let closed = until_later(&linked, &|| {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    });
    assert!(has_same_content(&linked, &closed));
    let written = until_later(&closed, &|| fs::write(root.path().join("link"), "CONTENT").unwrap());
    assert!(!has_same_content(&closed, &written));
}
