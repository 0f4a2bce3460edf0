//! Rekeying several files in one run. As with `verify` and `inspect`, failures are reported and the
//! rest continues (`several.rs`).

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::common::{CHEAP, Dir, file_events, test_bytes};

/// A folder of files of both formats, small and large, encrypted to `old`.
fn fixture() -> Dir {
    let dir = Dir::new();
    for name in ["old", "new", "other"] {
        dir.keygen(name);
    }
    fs::create_dir_all(dir.path("plain/sub")).unwrap();
    dir.write("plain/small", "small");
    dir.write("plain/sub/large", test_bytes(3 << 20));
    dir.write("plain/sub/last", "last");
    dir.run(&["encrypt", "plain", "all", "-i", "old"]).ok();
    dir.run(&["encrypt", "plain", "of-age", "-i", "old", "--format", "age"]).ok();
    dir
}

#[track_caller]
fn opens(dir: &Dir, folder: &str, key: &str) {
    let _ = fs::remove_dir_all(dir.path("back"));
    dir.run(&["decrypt", folder, "back", "-i", key]).ok();
    for name in ["small", "sub/large", "sub/last"] {
        let [back, plain] = ["back", "plain"].map(|folder| dir.read(format!("{folder}/{name}")));
        assert!(back == plain, "{folder}/{name}");
    }
}

#[test]
fn folders_and_files_get_new_keys_in_one_run() {
    let dir = fixture();
    dir.write("named.enc", dir.read("all/small.enc"));
    dir.write("in-a-list.age", dir.read("of-age/small.age"));
    dir.write("list", "in-a-list.age\0");
    let inputs = ["rekey", "all", "named.enc", "of-age", "--files-from", "list", "-0"];
    let done = dir.run(&[&inputs[..], &["-i", "old", "--new-identity", "new"]].concat());
    let done = done.ok();
    assert_eq!(done.stdout, b"");
    opens(&dir, "all", "new");
    opens(&dir, "of-age", "new");
    dir.run(&["verify", "named.enc", "in-a-list.age", "-i", "new"]).ok();
    // Once more, as after an interruption: both keys are given.
    let both = ["-i", "old", "-i", "new", "--new-identity", "new", "-v"];
    let done = dir.run(&[&["rekey", "all", "of-age"], &both[..]].concat()).ok();
    let text = done.stderr_text();
    assert!(
        text.contains("all/sub/large.enc: ") && text.contains("6 files have new keys"),
        "{text}"
    );
    opens(&dir, "all", "new");
    // An empty list is not a failure.
    dir.write("nothing", "");
    dir.run(&["rekey", "--files-from", "nothing", "--new-identity", "new", "-i", "old"])
        .ok_and_silent();
    dir.fails(dir.command(&["rekey", "-i", "old", "--new-identity", "new"]), 64, &["FILE"]);
    let run = ["rekey", "named.enc", "-", "-i", "new", "--new-identity", "old"];
    dir.fails(dir.command(&run), 64, &["standard input"]);
}

/// One derivation and one question for all files.
#[test]
fn a_new_passphrase_is_for_files_of_both_formats() {
    let dir = fixture();
    dir.write_secret("word", "right");
    let args = ["rekey", "all", "of-age/small.age", "-i", "old", "--new-passphrase-file", "word"];
    dir.run(&args).ok();
    dir.run(&["verify", "all", "of-age/small.age", "--passphrase-file", "word"]).ok();
    // A cost that only one of the formats has.
    let args = ["rekey", "all/small.enc", "of-age/sub/last.age", CHEAP, "-i", "old"];
    let args =
        [&args[..], &["--passphrase-file", "word", "--new-passphrase-file", "word"]].concat();
    let done = dir.run(&args);
    assert_eq!(done.code(), Some(64), "{done:?}");
    assert!(done.stderr_text().contains("1 file has new keys, 1 failed"), "{done:?}");
}

#[test]
fn a_file_that_has_its_new_keys_already_is_not_taken_for_another_keys() {
    let dir = fixture();
    fs::hard_link(dir.path("all/sub/large.enc"), dir.path("all/sub/also.enc")).unwrap();
    symlink("all/small.enc", dir.path("link.enc")).unwrap();
    let args =
        ["all", "all/small.enc", "link.enc", "all/sub", "-i", "old", "--new-identity", "new"];
    let done = dir.run(&[&["rekey", "--json"], &args[..]].concat()).ok();
    let (files, end) = file_events(&done);
    // The header of a file with several names is replaced in place.
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!((&end["files"], &end["failed"]), (&3.into(), &0.into()));
    dir.run(&["verify", "all", "-i", "new"]).ok();
    assert!(dir.path("link.enc").is_symlink());
}

#[test]
fn links_in_a_folder_are_not_followed() {
    let dir = fixture();
    dir.write("outside.enc", dir.read("all/small.enc"));
    symlink("../outside.enc", dir.path("all/link.enc")).unwrap();
    dir.run(&["rekey", "all", "-i", "old", "--new-identity", "new"]).ok();
    dir.run(&["verify", "outside.enc", "-i", "old"]).ok();
}

/// Like `verify` and `decrypt`.
#[test]
fn a_key_that_fits_no_file_of_a_folder_is_reported_at_once() {
    let dir = fixture();
    let args = ["rekey", "all", "-i", "other", "--new-identity", "new"];
    let done = dir.fails(dir.command(&args), 77, &["no key fits any of 3 files"]);
    assert_eq!(done.stderr_text().matches("error:").count(), 1, "{done:?}");
    // Programs get the folder, and no file if the error is about several of them.
    for (input, file) in [(&["all"][..], "all".into()), (&["all", "of-age"], Value::Null)] {
        let args =
            [&["rekey", "--json", "-i", "other", "--new-identity", "new"][..], input].concat();
        let done = dir.run(&args);
        assert_eq!((done.code(), &done.json(&done.stdout)["error"]["file"]), (Some(77), &file));
    }
    // The user is not asked for a new passphrase that no file can get.
    let script = "setsid -w $CS rekey all -i other --new-passphrase";
    dir.fails(dir.shell(script), 77, &["no key fits"]);
    let script = "setsid -w $CS rekey all of-age -i old --new-passphrase";
    let done = dir.fails(dir.shell(script), 64, &["no terminal"]);
    assert_eq!(done.stderr_text().matches("error:").count(), 1, "{done:?}");
}

/// A protected identity file is an ordinary age file.
#[test]
fn a_key_file_among_the_files_is_left_alone() {
    let dir = fixture();
    dir.write_secret("word", "right");
    let protect = ["encrypt", "old", "all/key.age", "--passphrase-file", "word", "--scrypt", "16"];
    dir.run(&protect).ok();
    let before = dir.read("all/key.age");
    let args = ["rekey", "all", "-i", "all/key.age", "--identity-passphrase-file", "word"];
    let done = dir.run(&[&args[..], &["--new-identity", "new"]].concat());
    assert_eq!(done.code(), Some(64), "{done:?}");
    assert!(done.stderr_text().contains("all/key.age: is both the data and the key"), "{done:?}");
    assert!(dir.read("all/key.age") == before);
    dir.run(&["verify", "all/small.enc", "all/sub", "-i", "new"]).ok();
}
