//! What is in an archive.

use super::{readable_oddities, tree};
use crate::common::Dir;

#[test]
fn the_list_shows_everything_and_writes_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    readable_oddities(&dir, "in");
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
        " \"not UTF-8 \\xff\\xfe\"\n",
        " \"\\x1b[31m\"\n",
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
