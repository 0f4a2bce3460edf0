//! Listing the content of an archive.

use super::{readable_entries, tree};
use crate::common::Dir;

#[test]
fn the_list_shows_everything_and_writes_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    readable_entries(&dir, "in");
    dir.run(&["encrypt", "--archive", "--zstd", "in", "-i", "id"]).ok();
    let before = dir.names();
    let done = dir.run(&["list", "in.tar.zst.enc", "-i", "id"]).ok_and_silent();
    let text = done.stdout_text();
    for line in [
        "-rw-r-----       300000 2009-02-13T23:31:30Z deep/er/same\n",
        "hrw-r-----            0 2009-02-13T23:31:30Z file link to deep/er/same\n",
        "drwxr-x---            0 2023-11-14T22:13:20Z ./\n",
        "lrwxrwxrwx            0 2001-09-09T01:46:40Z dangling -> nowhere\n",
        "    41943040 ",
        " \"new\\nline\"\n",
        " \"not UTF-8 \\xFF\\xFE\"\n",
        " \"\\u{1b}[31m\"\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let done = dir.run(&["list", "--json", "in.tar.zst.enc", "-i", "id"]).ok_and_silent();
    let report = done.json(&done.stdout);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), tree(&dir.path("in")).len());
    let link = entries.iter().find(|entry| entry["name"] == "deep/up").unwrap();
    assert_eq!((&link["type"], &link["target"]), (&"symlink".into(), &"../file".into()));
    assert_eq!(dir.names(), before);
}

/// A heading above each list, as with ls(1); failures are reported, and the rest continues
/// (`several.rs`).
#[test]
fn several_archives_are_listed_one_after_the_other() {
    let dir = Dir::new();
    dir.keygen("id");
    for name in ["one", "two"] {
        std::fs::create_dir_all(dir.path(format!("{name}/in-{name}"))).unwrap();
        dir.run(&["encrypt", "--archive", name, "-i", "id"]).ok();
    }
    dir.write("not.enc", "text");
    let archives = ["list", "-i", "id", "one.tar.enc", "not.enc", "two.tar.enc"];
    let done = dir.run(&archives);
    assert_eq!(done.code(), Some(65), "{done:?}");
    let text = done.stdout_text();
    let (one, two) = text.split_once("\n\ntwo.tar.enc:\n").expect(&text);
    assert!(one.starts_with("one.tar.enc:\n") && one.ends_with(" in-one/"), "{text}");
    assert!(two.ends_with(" in-two/\n") && !text.contains("not.enc"), "{text}");
    let done = dir.run(&[&archives[..], &["--json"]].concat());
    let (files, end) = crate::common::file_events(&done);
    assert_eq!((done.code(), &end["files"], &end["failed"]), (Some(65), &3.into(), &1.into()));
    assert_eq!(files[1]["error"]["code"], 65, "{files:?}");
    let entries = files[2]["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["name"] == "in-two/"), "{entries:?}");
    // A folder, and a list.
    dir.write("list", "one.tar.enc\ntwo.tar.enc\n");
    let listed = dir.run(&["list", "-i", "id", "-T", "list"]).ok_and_silent().stdout_text();
    assert!(listed.contains(" in-one/") && listed.contains(" in-two/"), "{listed}");
    std::fs::remove_file(dir.path("not.enc")).unwrap();
    let folder = dir.run(&["list", "-i", "id", "."]).ok_and_silent().stdout_text();
    assert_eq!(folder.replace("./one", "one").replace("./two", "two"), listed);
}
