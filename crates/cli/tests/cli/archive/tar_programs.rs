//! Exchange with the installed tar programs. `tests/archives` tries more of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{State, assert_same, readable_entries, tree, umask};
use crate::common::{Dir, test_bytes};

fn tar(dir: &Dir, args: &[&str]) -> bool {
    let done = Command::new("tar").args(args).current_dir(dir.root()).output();
    match done {
        Ok(done) => {
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            true
        }
        Err(_) => {
            eprintln!("skipped: there is no tar");
            false
        }
    }
}

#[test]
fn gnu_tar_reads_what_was_packed() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_entries(&dir, "in");
    for (flag, name) in [(&[][..], "in.tar"), (&["--zstd"], "in.tar.zst")] {
        dir.run(&[&["encrypt", "--archive", "in", "-i", "id"], flag].concat()).ok();
        dir.run(&["decrypt", "-i", "id", &format!("{name}.enc")]).ok();
        fs::create_dir(dir.path("out")).unwrap();
        let unzstd = if name.ends_with("zst") { "--zstd" } else { "--no-auto-compress" };
        if unzstd == "--zstd" && Command::new("zstd").arg("-V").output().is_err() {
            eprintln!("skipped: there is no zstd for tar");
            return;
        }
        if !tar(&dir, &["-x", "-p", unzstd, "-f", name, "-C", "out"]) {
            return;
        }
        assert_same(&root, &dir.path("out"));
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
}

#[test]
fn what_gnu_tar_has_packed_is_unpacked() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_entries(&dir, "in");
    for flags in [
        &["--format=posix"][..],
        &["--format=posix", "-S"],
        &["--format=posix", "-S", "--sparse-version=0.1"],
        &["--format=posix", "-S", "--sparse-version=0.0"],
        &["--format=gnu"],
        &["--format=gnu", "-S"],
        &["--format=posix", "-b", "1"],
    ] {
        if !tar(&dir, &[&["-c", "-f", "a.tar"], flags, &["-C", "in", "."]].concat()) {
            return;
        }
        dir.run(&["encrypt", "-i", "id", "a.tar", "--force"]).ok();
        dir.run(&["decrypt", "--extract", "a.tar.enc", "out", "-i", "id"]).ok_and_silent();
        if flags[0] == "--format=posix" {
            assert_same(&root, &dir.path("out"));
        } else {
            // Without fractions of seconds.
            let content = |tree: BTreeMap<PathBuf, State>| -> Vec<_> {
                tree.into_iter().map(|(path, it)| (path, it.0 & !umask(), it.3, it.4)).collect()
            };
            assert!(content(tree(&root)) == content(tree(&dir.path("out"))), "{flags:?}");
        }
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
    // Short names only; folders have a prefix, whose attributes are not stored.
    dir.write("in/short", "ustar");
    let args = ["-c", "-f", "b.tar", "--format=ustar", "in/short", "in/deep/er"];
    if tar(&dir, &args) {
        dir.run(&["encrypt", "-i", "id", "b.tar"]).ok();
        dir.run(&["decrypt", "--extract", "b.tar.enc", "-i", "id"]).ok_and_silent();
        assert_eq!(dir.read("b/in/short"), b"ustar");
        assert_eq!(dir.read("b/in/deep/er/same"), test_bytes(300_000));
    }
}
