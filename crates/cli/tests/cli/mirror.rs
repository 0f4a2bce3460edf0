//! Copying a folder again: which files count as unchanged, and what happens to the others. The
//! model is rsync(1): length and time, in both directions.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::common::mounted::Mounted;
use crate::common::tree::{assert_same, described};
use crate::common::{Dir, Done, test_bytes};

/// A folder with a key and the folder `in`, with a few files in it and their copy in `out`.
fn with_copy() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/sub")).unwrap();
    for name in ["a", "b", "sub/c"] {
        fs::write(dir.path("in").join(name), name).unwrap();
    }
    encrypt(&dir, &[]).ok();
    dir
}

fn encrypt(dir: &Dir, flags: &[&str]) -> Done {
    dir.run(&[&["encrypt", "-i", "id", "in", "out", "--json"][..], flags].concat())
}

fn decrypt(dir: &Dir, flags: &[&str]) -> Done {
    dir.run(&[&["decrypt", "-i", "id", "out", "back", "--json"][..], flags].concat())
}

fn report(done: &Done) -> Value {
    done.json(&done.stdout)
}

fn counts(done: &Done, fields: [&str; 4]) -> [u64; 4] {
    let report = report(done);
    fields.map(|field| report[field].as_u64().unwrap())
}

/// The counts: encrypted, of these replaced, up to date, failed.
fn usual(done: &Done) -> [u64; 4] {
    counts(done, ["files", "replaced", "kept", "failed"])
}

/// Asserts that decrypting the copy gives the folder.
#[track_caller]
fn comes_back(dir: &Dir) {
    let _ = fs::remove_dir_all(dir.path("back"));
    decrypt(dir, &[]).ok();
    assert_same(&dir.path("in"), &dir.path("back"));
}

fn set_time(path: &Path, time: SystemTime) {
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_rekeyed_copy_keeps_its_time_and_stays_up_to_date() {
    let dir = with_copy();
    // Changed in place, and replaced by another file.
    fs::write(dir.path("in/large"), test_bytes(2 << 20)).unwrap();
    encrypt(&dir, &["--newer"]).ok();
    let other = dir.keygen("other");
    let rekey = |name: &str, flags: &[&str]| {
        let args = ["rekey", name, "-i", "id", "-i", "other", "--new-recipient", &other];
        dir.run(&[&args[..], flags].concat()).ok();
    };
    for (name, flags) in
        [("out/a.enc", &[][..]), ("out/b.enc", &["--reencrypt"]), ("out/large.enc", &[])]
    {
        rekey(name, flags);
    }
    assert_eq!(usual(&encrypt(&dir, &[]).ok()), [0, 0, 4, 0]);
    // A copy that was out of date before still is.
    fs::write(dir.path("in/a"), "v2").unwrap();
    rekey("out/a.enc", &[]);
    assert_eq!(usual(&encrypt(&dir, &[])), [0, 0, 3, 1]);
    assert_eq!(usual(&encrypt(&dir, &["--newer"]).ok()), [1, 1, 3, 0]);
}

/// Reported against restic and borg: an older version that is put back has an older date.
#[test]
fn an_older_version_is_a_change_too() {
    let dir = with_copy();
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for content in ["an older version", "o"] {
        fs::write(dir.path("in/a"), content).unwrap();
        set_time(&dir.path("in/a"), long_ago - Duration::from_secs(content.len() as u64));
        let done = encrypt(&dir, &[]);
        assert_eq!((done.code(), usual(&done)), (Some(73), [0, 0, 2, 1]));
        let told = encrypt(&dir, &["--newer", "--dry-run"]).ok();
        assert_eq!(usual(&told), [1, 1, 2, 0]);
        assert_eq!(usual(&encrypt(&dir, &["--newer"]).ok()), [1, 1, 2, 0]);
        comes_back(&dir);
    }
}

#[test]
fn a_damaged_copy_is_never_up_to_date() {
    let dir = with_copy();
    let path = dir.path("out/a.enc");
    let (whole, time) =
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let cut = whole[..whole.len() - 1].to_vec();
    let longer = [&whole[..], b"0"].concat();
    let foreign = [b"Salted__", &whole[8..]].concat();
    for broken in [&whole[..20], &[], &cut, &longer, &foreign] {
        // With the time of the copy, and newer.
        for keeps_time in [true, false] {
            fs::write(&path, broken).unwrap();
            if keeps_time {
                set_time(&path, time);
            }
            assert_eq!(usual(&encrypt(&dir, &[])), [0, 0, 2, 1]);
            assert_eq!(usual(&encrypt(&dir, &["--newer"]).ok()), [1, 1, 2, 0]);
        }
    }
    comes_back(&dir);
}

/// A decrypted file may have been edited since: as with `cp --update`.
#[test]
fn what_was_decrypted_and_is_newer_by_now_is_not_replaced() {
    let dir = with_copy();
    decrypt(&dir, &[]).ok();
    fs::write(dir.path("back/a"), "edited").unwrap();
    set_time(&dir.path("back/b"), UNIX_EPOCH);
    let done = decrypt(&dir, &["--newer"]);
    assert_eq!((done.code(), usual(&done)), (Some(73), [1, 1, 1, 1]));
    let error = report(&done)["errors"][0].to_string();
    assert!(error.contains("newer") && error.contains("all other existing outputs"), "{error}");
    assert_eq!(dir.read("back/a"), b"edited");
    assert_eq!(usual(&decrypt(&dir, &["--force"]).ok()), [3, 3, 0, 0]);
    assert_same(&dir.path("in"), &dir.path("back"));
}

#[test]
fn permission_bits_follow_without_encrypting() {
    let dir = with_copy();
    let inode = |name: &str| fs::metadata(dir.path(name)).unwrap().ino();
    let before = inode("out/a.enc");
    for (file, folder) in [(0o600, 0o700), (0o755, 0o755)] {
        set_mode(&dir.path("in/a"), file);
        set_mode(&dir.path("in/sub"), folder);
        let told = dir.run(&["encrypt", "-i", "id", "in", "out", "--dry-run"]).ok();
        assert_eq!(told.stdout_text(), format!("chmod {file:o} out/a.enc\n"));
        let done = encrypt(&dir, &[]).ok();
        assert_eq!(counts(&done, ["files", "kept", "updated", "failed"]), [0, 3, 1, 0]);
        assert_eq!((mode(&dir.path("out/a.enc")), mode(&dir.path("out/sub"))), (file, folder));
        comes_back(&dir);
    }
    assert_eq!(inode("out/a.enc"), before);
    // A new version has its own bits, whatever those of the old copy were.
    set_mode(&dir.path("out/a.enc"), 0o600);
    fs::write(dir.path("in/a"), "new version").unwrap();
    encrypt(&dir, &["--newer"]).ok();
    comes_back(&dir);
    // Outputs that were closed to others afterwards stay closed.
    set_mode(&dir.path("back/a"), 0o600);
    set_mode(&dir.path("back/sub"), 0o700);
    set_mode(&dir.path("out/b.enc"), 0o400);
    decrypt(&dir, &[]).ok();
    let modes = ["back/a", "back/sub", "back/b"].map(|name| mode(&dir.path(name)));
    assert_eq!(modes, [0o600, 0o700, 0o400]);
    // A folder that the user named is not opened to others either.
    set_mode(&dir.path("out"), 0o700);
    encrypt(&dir, &[]).ok();
    assert_eq!(mode(&dir.path("out")), 0o700);
}

#[test]
fn links_and_folders_follow() {
    let dir = with_copy();
    symlink("a", dir.path("in/link")).unwrap();
    encrypt(&dir, &[]).ok();
    let link_time = |name: &str| fs::symlink_metadata(dir.path(name)).unwrap().modified().unwrap();
    // As after a run that was killed before it set the time.
    fs::remove_file(dir.path("out/link")).unwrap();
    symlink("a", dir.path("out/link")).unwrap();
    set_time(&dir.path("out/sub"), UNIX_EPOCH);
    let done = encrypt(&dir, &[]).ok();
    assert_eq!(counts(&done, ["files", "kept", "updated", "failed"]), [0, 3, 1, 0]);
    assert_eq!(link_time("in/link"), link_time("out/link"));
    comes_back(&dir);
    fs::remove_file(dir.path("in/link")).unwrap();
    symlink("b", dir.path("in/link")).unwrap();
    assert_eq!(encrypt(&dir, &[]).code(), Some(73));
    let told = dir.run(&["encrypt", "-i", "id", "in", "out", "--newer", "-n"]).ok();
    assert_eq!(told.stdout_text(), "link out/link (replaces it)\n");
    encrypt(&dir, &["--newer"]).ok();
    comes_back(&dir);
}

/// An entry of another kind is named, and replaced with --delete only.
#[test]
fn files_folders_and_links_that_took_each_others_place() {
    let dir = with_copy();
    let make = |kind: &str| {
        let path = dir.path("in/x");
        match kind {
            "file" => fs::write(&path, "x").unwrap(),
            "link" => symlink("a", &path).unwrap(),
            _ => {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("y"), "y").unwrap();
                fs::create_dir(path.join("z")).unwrap();
            }
        }
    };
    let remove = || match fs::symlink_metadata(dir.path("in/x")).unwrap().is_dir() {
        true => fs::remove_dir_all(dir.path("in/x")).unwrap(),
        false => fs::remove_file(dir.path("in/x")).unwrap(),
    };
    make("file");
    encrypt(&dir, &[]).ok();
    for kind in ["folder", "link", "file", "link", "folder", "file"] {
        remove();
        make(kind);
        for flags in [&[][..], &["--newer"], &["--newer", "--dry-run"]] {
            let done = encrypt(&dir, flags);
            assert_eq!(done.code(), Some(73), "{kind}: {done:?}");
            let error = report(&done)["errors"][0].clone();
            assert!(error["file"] == "out/x" || error["file"] == "out/x.enc", "{kind}: {error}");
            assert!(!error["help"].to_string().contains("run again with --delete"), "{error}");
        }
        let told = encrypt(&dir, &["--delete", "--dry-run"]).ok();
        let done = encrypt(&dir, &["--delete"]).ok();
        let fields = ["files", "kept", "removed", "failed"];
        assert_eq!(counts(&told, fields), counts(&done, fields), "{kind}");
        comes_back(&dir);
    }
    // A file with the former name of a folder.
    remove();
    fs::create_dir(dir.path("in/x.enc")).unwrap();
    encrypt(&dir, &["--delete"]).ok();
    fs::remove_dir(dir.path("in/x.enc")).unwrap();
    make("file");
    assert_eq!(encrypt(&dir, &["--newer"]).code(), Some(73));
    encrypt(&dir, &["--delete"]).ok();
    comes_back(&dir);
}

/// Like `rsync --delete`, but files with other names are never removed.
#[test]
fn what_the_original_no_longer_has_is_removed_where_that_is_wanted() {
    let dir = with_copy();
    for name in ["gone/deep/x", "gone/y", "kept/cache/z"] {
        let path = dir.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    symlink("../precious", dir.path("in/gone/link")).unwrap();
    fs::create_dir(dir.path("precious")).unwrap();
    dir.write("precious/p.enc", dir.read("out/a.enc"));
    encrypt(&dir, &[]).ok();
    fs::remove_dir_all(dir.path("in/gone")).unwrap();
    fs::remove_dir_all(dir.path("in/kept/cache")).unwrap();
    fs::remove_file(dir.path("in/b")).unwrap();
    let told = dir.run(&["encrypt", "-i", "id", "in", "out", "--delete", "--dry-run"]).ok();
    let mut lines: Vec<_> = told.stdout_text().lines().map(str::to_owned).collect();
    lines.sort();
    let gone = [
        "remove out/b.enc",
        "remove out/gone",
        "remove out/gone/deep",
        "remove out/gone/deep/x.enc",
        "remove out/gone/link",
        "remove out/gone/y.enc",
        "remove out/kept/cache",
        "remove out/kept/cache/z.enc",
    ];
    assert_eq!(lines, gone);
    // Excluded files are protected, as with rsync's --exclude.
    let done = encrypt(&dir, &["--delete", "--exclude", "cache/", "--exclude", "b"]).ok();
    assert_eq!(counts(&done, ["files", "kept", "removed", "failed"]), [0, 2, 5, 0]);
    // Files of other users stay, and are named.
    dir.write("out/notes", "mine");
    dir.write("out/kept/cache/mine.enc", "Salted__ by another program");
    let done = encrypt(&dir, &["--delete"]).ok();
    let fields = ["kept", "removed", "skipped", "failed"];
    assert_eq!(counts(&done, fields), [2, 2, 2, 0], "{:?}", report(&done));
    assert!(dir.path("out/notes").exists() && dir.path("out/kept/cache/mine.enc").exists());
    assert!(dir.path("precious/p.enc").exists());
    fs::remove_file(dir.path("out/kept/cache/mine.enc")).unwrap();
    encrypt(&dir, &["--delete"]).ok();
    comes_back(&dir);
}

#[test]
fn nothing_is_removed_if_anything_failed() {
    let dir = with_copy();
    fs::remove_file(dir.path("in/b")).unwrap();
    // An entry that cannot be encrypted because of a conflict.
    symlink("x", dir.path("in/a.enc")).unwrap();
    let done = encrypt(&dir, &["--delete"]);
    assert_eq!((done.code(), report(&done)["removed"].as_u64()), (Some(64), Some(0)));
    assert!(dir.path("out/b.enc").exists());
    fs::remove_file(dir.path("in/a.enc")).unwrap();
    // The original may not be mounted.
    fs::rename(dir.path("in"), dir.path("away")).unwrap();
    fs::create_dir(dir.path("in")).unwrap();
    let before = described(&dir.path("out")).len();
    let done = encrypt(&dir, &["--delete"]);
    assert_eq!(done.code(), Some(66), "{done:?}");
    assert!(report(&done)["errors"][0]["help"].as_str().unwrap().contains("mounted"));
    assert_eq!(described(&dir.path("out")).len(), before);
    // Where it would be dangerous or meaningless.
    for flags in [&["--remove-source"][..], &["--gitignore"]] {
        let args = [&["encrypt", "-i", "id", "in", "out", "--delete"], flags].concat();
        dir.fails(dir.command(&args), 64, &["--delete"]);
    }
    let args = ["encrypt", "-i", "id", "away/a", "a.enc", "--delete"];
    dir.fails(dir.command(&args), 64, &["--delete is for copies of folders"]);
    let args = ["decrypt", "-i", "id", "out", "back", "--delete"];
    dir.fails(dir.command(&args), 64, &["--delete"]);
}

#[test]
fn a_name_that_becomes_too_long_is_reported_beforehand() {
    let dir = with_copy();
    fs::write(dir.path("in").join("n".repeat(252)), "x").unwrap();
    for flags in [&["--dry-run"][..], &[]] {
        let done = encrypt(&dir, flags);
        assert_eq!((done.code(), usual(&done)), (Some(73), [0, 0, 3, 1]));
        let error = report(&done)["errors"][0].clone();
        assert!(error["message"].as_str().unwrap().contains("name is too long"), "{error}");
    }
}

#[test]
fn a_file_that_is_replaced_leaves_its_owner_to_the_new_one() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let dir = with_copy();
    dir.write("single", "x");
    dir.run(&["encrypt", "-i", "id", "single"]).ok_and_silent();
    for name in ["single.enc", "out/a.enc"] {
        chown(dir.path(name), Some(1234), Some(4321)).unwrap();
        set_mode(&dir.path(name), 0o640);
    }
    let owner = |name: &str| {
        let metadata = fs::metadata(dir.path(name)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    dir.run(&["encrypt", "-i", "id", "single", "--force"]).ok_and_silent();
    assert_eq!(owner("single.enc"), (1234, 4321, 0o640));
    fs::write(dir.path("in/a"), "changed").unwrap();
    encrypt(&dir, &["--newer"]).ok();
    assert_eq!(owner("out/a.enc"), (1234, 4321, mode(&dir.path("in/a"))));
    // Files that another user put in a public folder are not given away.
    set_mode(&dir.path("."), 0o1777);
    dir.run(&["decrypt", "-i", "id", "single.enc", "single", "--force"]).ok_and_silent();
    chown(dir.path("single"), Some(1234), None).unwrap();
    dir.run(&["decrypt", "-i", "id", "single.enc", "single", "--force"]).ok_and_silent();
    assert_eq!(owner("single").0, 0);
}

/// With an access control list, the group bits are the most that the list may grant.
#[test]
fn an_access_control_list_grants_no_access_to_a_copy() {
    let dir = with_copy();
    set_mode(&dir.path("in/a"), 0o600);
    set_mode(&dir.path("in/sub"), 0o700);
    for (name, list) in [("in/a", "g::---,u:1:rw"), ("in/sub", "g::---,u:1:rwx")] {
        let set = Command::new("setfacl").args(["-m", list]).arg(dir.path(name)).status();
        if !set.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no setfacl, or no access control lists here");
            return;
        }
    }
    assert_eq!((mode(&dir.path("in/a")), mode(&dir.path("in/sub"))), (0o660, 0o770));
    let done = dir.run(&["encrypt", "-i", "id", "in", "new"]).ok();
    assert_eq!(done.stderr_text().matches("access control lists are not copied").count(), 1);
    let done = encrypt(&dir, &[]).ok();
    assert_eq!(report(&done)["not_copied"], serde_json::json!(["access-lists"]));
    for name in ["new", "out"] {
        let modes = ["a.enc", "sub"].map(|file| mode(&dir.path(name).join(file)));
        assert_eq!(modes, [0o600, 0o700], "{name}");
    }
}

/// The errors of file systems without times or permission bits.
#[test]
fn a_file_system_without_times_or_bits_gets_whole_files() {
    let dir = with_copy();
    set_mode(&dir.path("in/a"), 0o666);
    symlink("a", dir.path("in/link")).unwrap();
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: making system calls fail needs the program `strace`");
        return;
    }
    let without = |call: &str, error: &str, output: &str| {
        let _ = fs::remove_dir_all(dir.path(output));
        let script = format!(
            "umask 022; strace -f -qq -o /dev/null -e trace={call} -e inject={call}:error={error} \
             \"$CS\" encrypt -i id in {output} --processes 0"
        );
        dir.shell(&script).run().ok().stderr_text()
    };
    for error in ["EPERM", "EOPNOTSUPP", "ENOSYS", "EROFS"] {
        let text = without("utimensat", error, "new");
        assert_eq!(text.matches("does not store times").count(), 1, "{error}: {text}");
        let text = without("fchmod", error, "new");
        assert_eq!(text.matches("permission bits").count(), 1, "{error}: {text}");
    }
    dir.run(&["decrypt", "-i", "id", "new", "back"]).ok();
    assert_eq!(dir.read("back/sub/c"), b"sub/c");
    // An archive can be unpacked there too.
    dir.run(&["encrypt", "-i", "id", "--archive", "in", "archive.enc"]).ok_and_silent();
    let script = "strace -f -qq -o /dev/null -e trace=utimensat,fchmod \
                  -e inject=utimensat,fchmod:error=EPERM \
                  \"$CS\" decrypt -i id --extract archive.enc unpacked --sandbox off";
    let text = dir.shell(script).run().ok().stderr_text();
    assert_eq!(text.matches("times or permission bits").count(), 1, "{text}");
    assert_eq!(dir.read("unpacked/sub/c"), b"sub/c");
    // So can a single file.
    let script = "umask 077; strace -f -qq -o /dev/null -e trace=fchmod \
                  -e inject=fchmod:error=EPERM \"$CS\" encrypt -i id in/a single.enc";
    dir.shell(script).run().ok();
    // From then on, nothing can tell what is up to date.
    without("utimensat", "EPERM", "new");
    let args = ["encrypt", "-i", "id", "in", "new", "--newer", "--json"];
    assert_eq!(usual(&dir.run(&args).ok()), [3, 3, 0, 0]);
}

/// A file system with times in whole seconds, like ext3, SFTP and FAT (two seconds).
#[test]
fn times_are_compared_as_the_file_system_stores_them() {
    let dir = with_copy();
    let mounted = Mounted::new(&dir, &["-t", "ext4", "-F", "-q", "-I", "128"]);
    let Some(mounted) = mounted else {
        eprintln!("skipped: no file system can be made and mounted here");
        return;
    };
    symlink("a", dir.path("in/link")).unwrap();
    // A time in an odd second.
    set_time(&dir.path("in/a"), UNIX_EPOCH + Duration::new(1_600_000_001, 5));
    // A time that this file system cannot store, as its times end in 2038.
    set_time(&dir.path("in/b"), UNIX_EPOCH + Duration::new(3_000_000_000, 5));
    let run = |flags: &[&str]| {
        dir.run(&[&["encrypt", "-i", "id", "in", "mnt/out", "--json"][..], flags].concat())
    };
    run(&[]).ok();
    let stored = fs::metadata(dir.path("mnt/out/a.enc")).unwrap();
    assert_eq!(stored.mtime_nsec(), 0, "this file system is not coarse");
    for flags in [&[][..], &["--newer"]] {
        let done = run(flags).ok();
        assert_eq!(usual(&done), [0, 0, 3, 0]);
        assert_eq!(report(&done)["updated"], 0);
    }
    // A dry run creates no file to find out, so it knows less. It does not take a change in an even
    // second as a sign that times are even.
    let is_changed_in_an_even_second = || {
        let copy = dir.path("mnt/out/a.enc");
        fs::set_permissions(&copy, fs::metadata(&copy).unwrap().permissions()).unwrap();
        fs::metadata(&copy).unwrap().ctime() % 2 == 0
    };
    crate::common::group::wait_until("an even second", is_changed_in_an_even_second);
    assert_eq!(usual(&run(&["--dry-run", "--exclude", "b"]).ok()), [0, 0, 2, 0]);
    let time = fs::metadata(dir.path("in/a")).unwrap().modified().unwrap();
    set_time(&dir.path("in/a"), time + Duration::from_secs(1));
    assert_eq!(usual(&run(&["--newer"]).ok()), [1, 1, 2, 0]);
    drop(mounted);
}
