//! Trees in stores: folders to prefixes, prefixes to folders, and prefixes to prefixes.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::common::{Done, test_bytes};
use crate::objects::{Setup, url};
use cryptstream_s3_test_server::{ErrorCode, Fault, Faults, Object, Operation, Options, Rule};

/// The store has three pages with more than six keys.
pub(crate) fn setup() -> Setup {
    Setup::with(Options { max_keys: 3, ..Options::default() })
}

/// The folder `in` with a few files: the content, the time and the permission bits of each follow
/// from its name.
pub(crate) fn write_tree(setup: &Setup) {
    for (number, name) in ["a", "b.txt", "deep/er/c", "deep/d", "deep/ä ö %20+?#", "e.enc"]
        .into_iter()
        .chain(["empty", "large"])
        .enumerate()
    {
        let path = setup.dir.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let len = match name {
            "empty" => 0,
            "large" => 9 << 20,
            _ => 1000 * number + 7,
        };
        fs::write(&path, test_bytes(len)).unwrap();
        let time = Duration::new(1_500_000_000 + number as u64, 123_456_789);
        File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH + time).unwrap();
        let mode = [0o644, 0o600, 0o755, 0o400][number % 4];
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

/// Each file's time, permission bits and content.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, (i64, i64, u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(above) = folders.pop() {
        for entry in fs::read_dir(above).unwrap() {
            let path = entry.unwrap().path();
            let stat = fs::symlink_metadata(&path).unwrap();
            if stat.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let content = fs::read(&path).unwrap();
            files.insert(name, (stat.mtime(), stat.mtime_nsec(), stat.mode() & 0o777, content));
        }
    }
    files
}

pub(crate) fn run(setup: &Setup, args: &[&str]) -> Done {
    setup.command(&[&args[..1], &["-i", "id"], &args[1..]].concat()).run()
}

pub(crate) fn requests(setup: &Setup, from: usize, operation: Operation) -> usize {
    setup.server.requests()[from..].iter().filter(|it| it.operation == operation).count()
}

#[test]
fn a_tree_comes_back_with_times_and_permission_bits() {
    let setup = setup();
    write_tree(&setup);
    run(&setup, &["encrypt", "in", &url("p/")]).ok_and_silent();
    // Each small file took one request.
    assert_eq!(requests(&setup, 0, Operation::PutObject), 7);
    assert_eq!(requests(&setup, 0, Operation::HeadObject), 0);
    let keys = setup.server.keys("bucket");
    assert_eq!(keys.len(), 8);
    assert!(keys.contains(&"p/deep/ä ö %20+?#.enc".to_owned()), "{keys:?}");
    let object = setup.server.get("bucket", "p/a.enc").unwrap();
    assert_eq!(object.metadata["mtime"], "1500000000.123456789");
    assert_eq!(object.metadata["mode"], "100644");
    assert_eq!(object.content_type, "application/octet-stream");
    let before = setup.server.requests().len();
    run(&setup, &["decrypt", &url("p"), "out"]).code().filter(|code| *code != 0).unwrap();
    run(&setup, &["decrypt", &url("p/"), "out"]).ok_and_silent();
    assert!(requests(&setup, before, Operation::ListObjectsV2) >= 3);
    assert_eq!(files(&setup.dir.path("out")), files(&setup.dir.path("in")));
    // From store to store, twice as encrypted.
    run(&setup, &["encrypt", &url("p/"), &url("q/")]).ok_and_silent();
    run(&setup, &["decrypt", &url("q/"), &url("r")]).ok_and_silent();
    for key in keys {
        let (one, other) = (setup.object(&key), setup.object(&key.replacen('p', "r", 1)));
        assert!(one == other, "{key}");
    }
    run(&setup, &["decrypt", &url("r/"), "again"]).ok_and_silent();
    assert_eq!(files(&setup.dir.path("again")), files(&setup.dir.path("in")));
    assert!(setup.server.uploads().is_empty());
}

/// The rules are those between folders.
#[test]
fn what_is_up_to_date_is_not_transferred_again() {
    let setup = setup();
    write_tree(&setup);
    let there = ["encrypt", "in", &url("p/")];
    let back = ["decrypt", &url("p/"), "out"];
    for args in [there, back] {
        run(&setup, &args).ok_and_silent();
        let (before, out) = (setup.server.requests().len(), files(&setup.dir.path("in")));
        let done = run(&setup, &[&args[..], &["--json"]].concat()).ok();
        let report = done.json(&done.stdout);
        assert_eq!((&report["files"], &report["kept"]), (&0.into(), &8.into()), "{report}");
        assert_eq!(requests(&setup, before, Operation::PutObject), 0);
        // Nothing but headers was fetched, each with one request, and one more to try the key.
        assert!(requests(&setup, before, Operation::GetObject) <= 9);
        let body: u64 = setup.server.requests()[before..].iter().map(|it| it.body_sent).sum();
        assert!(body < 8 * 6000, "{body}");
        assert!(out == files(&setup.dir.path("in")));
    }
    // A file of the same length and another time differs, and so does one of another length.
    setup.dir.write("in/a", "7 bytes");
    let done = run(&setup, &there);
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert!(done.stderr_text().contains("p/a.enc") && done.stderr_text().contains("--newer"));
    let time = File::open(setup.dir.path("in/b.txt")).unwrap().metadata().unwrap();
    fs::set_permissions(setup.dir.path("in/b.txt"), Permissions::from_mode(0o600)).unwrap();
    setup.dir.write("in/b.txt", "longer by far than it was, though not by its time");
    let file = File::options().write(true).open(setup.dir.path("in/b.txt")).unwrap();
    file.set_modified(time.modified().unwrap()).unwrap();
    let done = run(&setup, &[&there[..], &["--newer", "--json"]].concat()).ok();
    let report = done.json(&done.stdout);
    let counts = (&report["files"], &report["replaced"], &report["kept"]);
    assert_eq!(counts, (&2.into(), &2.into(), &6.into()), "{report}");
    // Files that were changed since are not replaced.
    setup.dir.write("out/a", "newer");
    let done = run(&setup, &[&back[..], &["--newer"]].concat());
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert_eq!(setup.dir.read("out/a"), b"newer");
    assert!(setup.dir.read("out/b.txt") == setup.dir.read("in/b.txt"));
    run(&setup, &[&back[..], &["--force", "-q"]].concat()).ok();
    assert_eq!(files(&setup.dir.path("out")), files(&setup.dir.path("in")));
}

#[test]
fn a_dry_run_shows_what_would_be_done() {
    let setup = setup();
    write_tree(&setup);
    let done = run(&setup, &["encrypt", "-n", "in", &url("p/")]).ok();
    assert!(done.stdout_text().contains(&format!("encrypt in/a -> {}\n", url("p/a.enc"))));
    assert_eq!(done.stdout_text().lines().count(), 8);
    assert!(setup.server.keys("bucket").is_empty());
    run(&setup, &["encrypt", "in", &url("p/")]).ok_and_silent();
    setup.server.delete("bucket", "p/a.enc");
    let done = run(&setup, &["encrypt", "-n", "in", &url("p/")]).ok();
    assert_eq!(done.stdout_text(), format!("encrypt in/a -> {}\n", url("p/a.enc")));
    let done = run(&setup, &["decrypt", "-n", &url("p/"), "out"]).ok();
    let line = format!("decrypt {} -> out/deep/er/c\n", url("p/deep/er/c.enc"));
    assert!(done.stdout_text().contains(&line), "{done:?}");
    assert!(!setup.dir.path("out").exists());
}

#[test]
fn filters_choose_files_and_keys() {
    let setup = setup();
    write_tree(&setup);
    let some = ["--exclude", "er/", "--include", "deep/**", "--include", "a"];
    run(&setup, &[&["encrypt", "in", &url("p/")], &some[..]].concat()).ok_and_silent();
    let keys = ["p/a.enc", "p/deep/d.enc", "p/deep/ä ö %20+?#.enc"];
    assert_eq!(setup.server.keys("bucket"), keys);
    run(&setup, &["encrypt", "in", &url("q/")]).ok_and_silent();
    let some = ["--exclude", "er/", "--include", "deep/**", "--include", "a.enc"];
    run(&setup, &[&["decrypt", &url("q/"), "out"], &some[..]].concat()).ok_and_silent();
    let names: Vec<_> = files(&setup.dir.path("out")).into_keys().collect();
    assert_eq!(names, ["a", "deep/d", "deep/ä ö %20+?#"]);
}

#[test]
fn what_a_store_cannot_hold_is_named() {
    let setup = setup();
    write_tree(&setup);
    fs::create_dir_all(setup.dir.path("in/hollow/inner")).unwrap();
    symlink("a", setup.dir.path("in/link")).unwrap();
    setup.dir.write("in/new\nline", "x");
    let done = run(&setup, &["encrypt", "in", &url("p/")]);
    assert_eq!(done.code(), Some(73), "{done:?}");
    let text = done.stderr_text();
    for line in ["in/link: is a link", "in/hollow/inner: is an empty folder", "control character"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("in/hollow:") && !text.contains("in/deep"), "{text}");
    assert_eq!(setup.server.keys("bucket").len(), 8);
}

/// Everything else is decrypted.
#[test]
fn keys_that_cannot_become_files_are_refused_and_named() {
    let setup = setup();
    let object = setup.encrypted("p/good.enc", b"content");
    let put = |key: &str| setup.server.put("bucket", key, object.clone());
    for key in ["p//a.enc", "p/./a.enc", "p/x/../../a.enc", "p/new\nline.enc", "p/\u{1}.enc"] {
        put(key);
    }
    for key in ["p/../outside.enc", "p/slash.enc/", "p/x//y.enc"] {
        put(key);
    }
    // A file and a folder of one name, and two objects for one file.
    for key in ["p/both.enc", "p/both/inner.enc", "p/twice.age", "p/twice.enc"] {
        put(key);
    }
    put("p/plain.txt");
    // These stand for folders, and rclone leaves them out too.
    for marker in ["p/", "p/marker/", "p/hadoop_$folder$"] {
        setup.server.put("bucket", marker, "");
    }
    let done = run(&setup, &["decrypt", &url("p/"), "out"]);
    assert_eq!(done.code(), Some(66), "{done:?}");
    let text = done.stderr_text();
    for word in [
        "p//a.enc",
        "p/./a.enc",
        "p/x/../../a.enc",
        "p/x//y.enc",
        "new\\nline.enc",
        "p/../outside.enc",
        "p/slash.enc/",
        "p/both/inner.enc",
        "p/twice.enc",
        "p/plain.txt: is not an encrypted file",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    for word in ["marker", "$folder$", "good"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
    let names: Vec<_> = files(&setup.dir.path("out")).into_keys().collect();
    assert_eq!(names, ["both", "good", "twice"]);
    assert!(!setup.dir.path("outside").exists());
    assert_eq!(text.matches("it was skipped").count(), 10, "{text}");
}

#[test]
fn a_folder_in_the_way_is_named() {
    let setup = setup();
    setup.encrypted("p/a.enc", b"content");
    setup.encrypted("p/b/c.enc", b"content");
    fs::create_dir_all(setup.dir.path("out/a")).unwrap();
    setup.dir.write("out/b", "a file");
    symlink("/nowhere", setup.dir.path("out/link")).unwrap();
    setup.encrypted("p/link/x.enc", b"content");
    let done = run(&setup, &["decrypt", &url("p/"), "out"]);
    assert_eq!(done.code(), Some(73), "{done:?}");
    for word in ["out/a", "out/b", "out/link"] {
        assert!(done.stderr_text().contains(word), "{word}: {done:?}");
    }
    assert_eq!(setup.dir.read("out/b"), b"a file");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let setup = setup();
    write_tree(&setup);
    setup.encrypted("p/a.enc", b"content");
    let before = setup.dir.snapshot();
    for (args, code, word) in [
        (&["decrypt", &url("p/"), "out", "--gitignore"][..], 64, "--gitignore"),
        (&["encrypt", "--delete", &url("p/"), "out"], 64, "--delete"),
        (&["decrypt", &url("p/"), "--output-dir", "out"], 64, "prefix"),
        (&["decrypt", &url("p/a.enc"), "out", "--newer"], 64, "prefix"),
        (&["decrypt", &url("p/"), "-"], 64, "s3://bucket/p/"),
        (&["decrypt", &url("p/")], 64, "OUTPUT"),
        (&["encrypt", "in/a", &url("p/"), "--newer"], 64, "s3://bucket/p/"),
        (&["decrypt", &url("p/"), &url("p/q/")], 64, "s3://bucket/p/q/"),
        (&["decrypt", &url("p/"), "s3://bucket"], 64, "s3://bucket"),
        (&["decrypt", &url("nothing/"), "out"], 66, "has no objects"),
        (&["decrypt", "s3://nobucket/p/", "out"], 66, "bucket does not exist"),
        (&["encrypt", "in", "s3://nobucket/p/"], 66, "bucket does not exist"),
        (&["decrypt", &url("p/"), "no/such/out"], 73, "no/such"),
    ] {
        let args = [&args[..1], &["-i", "id"], &args[1..]].concat();
        setup.dir.fails(setup.command(&args), code, &[word]);
        assert_eq!(setup.server.keys("bucket"), ["p/a.enc"]);
        assert_eq!(setup.dir.snapshot(), before, "{args:?}");
    }
    // A wrong key is found before the first file is written.
    setup.dir.keygen("other");
    setup.encrypted("p/b.enc", b"content");
    let done = setup.command(&["decrypt", "-i", "other", &url("p/"), "out"]).run();
    assert_eq!(done.code(), Some(77), "{done:?}");
    assert!(!setup.dir.path("out").exists());
}

/// Several folders and files, each under its own name.
#[test]
fn several_inputs_go_below_one_prefix() {
    let setup = setup();
    write_tree(&setup);
    setup.dir.write("single", "content");
    let all = ["encrypt", "in", "single", "--output-dir", &url("all/")];
    for kept in [0, 9] {
        let done = run(&setup, &[&all[..], &["--json"]].concat()).ok();
        assert_eq!(done.json(&done.stdout)["kept"], kept, "{done:?}");
    }
    let keys = setup.server.keys("bucket");
    assert!(keys.contains(&"all/in/deep/d.enc".to_owned()), "{keys:?}");
    assert!(keys.contains(&"all/single.enc".to_owned()), "{keys:?}");
    assert_eq!(keys.len(), 9);
}

/// An object that another program has written in the meantime is not replaced.
#[test]
fn an_object_that_appears_is_kept() {
    let setup = setup();
    setup.dir.write("file", "content");
    fs::create_dir(setup.dir.path("in")).unwrap();
    setup.dir.write("in/a", "content");
    let replace = Fault::Replace(b"precious".to_vec());
    setup.server.set_faults(Rule::first(1, replace).on(Operation::PutObject));
    let done = run(&setup, &["encrypt", "in", &url("p/")]);
    assert_eq!(done.code(), Some(75), "{done:?}");
    assert!(done.stderr_text().contains("another program"), "{done:?}");
    assert_eq!(setup.object("p/a.enc"), b"precious");
}

/// Objects that other programs have written, without times and permission bits.
#[test]
fn objects_without_attributes_get_usual_ones() {
    let setup = setup();
    let object = setup.encrypted("p/a.enc", b"content");
    setup.server.put_object("bucket", "p/b.enc", Object::from(object));
    run(&setup, &["decrypt", &url("p/"), "out"]).ok_and_silent();
    let stat = fs::metadata(setup.dir.path("out/b")).unwrap();
    assert_eq!(stat.mode() & 0o7777 & !0o644, 0, "{:o}", stat.mode());
    // That of the object is the time of the file.
    assert!(stat.modified().unwrap().elapsed().unwrap() < Duration::from_secs(3600));
    let done = run(&setup, &["decrypt", &url("p/"), "out", "--json"]).ok();
    assert_eq!(done.json(&done.stdout)["kept"], 2);
}

/// Only encrypted files that the folder no longer has are removed, and nothing after a failure.
#[test]
fn what_the_folder_no_longer_has_is_removed() {
    let setup = setup();
    write_tree(&setup);
    let mirror = ["encrypt", "--delete", "in", &url("p/")];
    run(&setup, &mirror).ok_and_silent();
    setup.server.put("bucket", "p/foreign.enc", "not encrypted");
    setup.server.put("bucket", "p/notes.txt", "not encrypted");
    setup.server.put("bucket", "p/marker/", "");
    setup.server.put("bucket", "p2/other.enc", setup.object("p/a.enc"));
    let before = setup.server.keys("bucket");
    for name in ["a", "deep/er/c", "large"] {
        fs::remove_file(setup.dir.path("in").join(name)).unwrap();
    }
    let done = run(&setup, &[&mirror[..], &["-n"]].concat()).ok();
    let line = format!("remove {}\n", url("p/deep/er/c.enc"));
    assert!(done.stdout_text().contains(&line), "{done:?}");
    assert_eq!(setup.server.keys("bucket"), before);
    // What is excluded stays.
    let done =
        run(&setup, &[&mirror[..], &["--exclude", "er/", "--exclude", "a", "--json"]].concat())
            .ok();
    assert_eq!(done.json(&done.stdout)["removed"], 1);
    let after = setup.server.keys("bucket");
    assert!(!after.contains(&"p/large.enc".to_owned()), "{after:?}");
    setup.server.set_faults(Rule::all(Fault::Error(ErrorCode::AccessDenied)).key("p/b.txt.enc"));
    setup.dir.write("in/b.txt", "changed");
    let done = run(&setup, &mirror);
    assert_eq!(done.code(), Some(77), "{done:?}");
    assert!(done.stderr_text().contains("nothing was removed"), "{done:?}");
    assert_eq!(setup.server.keys("bucket"), after);
    setup.server.set_faults(Faults::default());
    let done = run(&setup, &[&mirror[..], &["--newer"]].concat()).ok();
    assert!(done.stderr_text().contains("foreign.enc"), "{done:?}");
    let keys: Vec<_> = before.into_iter().filter(|key| !key.ends_with("/c.enc")).collect();
    let keys = keys.into_iter().filter(|key| !key.ends_with("/a.enc") && !key.contains("large"));
    assert_eq!(setup.server.keys("bucket"), keys.collect::<Vec<_>>());
    // An empty folder may only not be mounted.
    fs::remove_dir_all(setup.dir.path("in")).unwrap();
    fs::create_dir(setup.dir.path("in")).unwrap();
    let done = run(&setup, &mirror);
    assert_eq!(done.code(), Some(66), "{done:?}");
    assert!(done.stderr_text().contains("is it mounted?"), "{done:?}");
}

/// All encrypted objects below a prefix.
#[test]
fn prefixes_are_verified_and_inspected() {
    let setup = setup();
    write_tree(&setup);
    run(&setup, &["encrypt", "in", &url("p/")]).ok_and_silent();
    setup.server.put("bucket", "p/notes.txt", "not encrypted");
    setup.server.put("bucket", "p/marker.enc/", "");
    let verified = run(&setup, &["verify", &url("p/")]).ok();
    assert_eq!(verified.stdout_text().lines().count(), 8, "{verified:?}");
    assert!(verified.stdout_text().contains(&url("p/deep/er/c.enc")), "{verified:?}");
    let inspected = setup.command(&["inspect", "--json", &url("p/")]).run().ok();
    assert_eq!(inspected.stdout_text().matches("s3://bucket/p/").count(), 8, "{inspected:?}");
    let mut object = setup.object("p/deep/d.enc");
    object[300] ^= 1;
    setup.server.put("bucket", "p/deep/d.enc", object.clone());
    setup.server.put("bucket", "p//odd.enc", object);
    let verified = run(&setup, &["verify", &url("p/")]);
    // The first failure determines the status.
    assert_eq!(verified.code(), Some(66), "{verified:?}");
    assert_eq!(verified.stdout_text().matches(": intact").count(), 7, "{verified:?}");
    let text = verified.stderr_text() + &verified.stdout_text();
    assert!(text.contains("p/deep/d.enc") && text.contains("p//odd.enc"), "{text}");
    setup.dir.keygen("other");
    let wrong = setup.command(&["verify", "-i", "other", &url("p/")]).run();
    assert_eq!(wrong.code(), Some(77), "{wrong:?}");
    assert_eq!(wrong.stderr_text().matches("error:").count(), 1, "{wrong:?}");
    let nothing = run(&setup, &["verify", &url("nothing/")]);
    assert_eq!(nothing.code(), Some(66), "{nothing:?}");
    let nothing = run(&setup, &["verify", "s3://nobucket/p/"]);
    assert_eq!(nothing.code(), Some(66), "{nothing:?}");
    assert!(nothing.stderr_text().contains("bucket does not exist"), "{nothing:?}");
}
