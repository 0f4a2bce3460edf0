//! Another user gives root's folder the name of a temporary that a killed run has left,
//! so that the next run removes it.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::group::wait_until;
use crate::common::{Dir, wait_status};

const NOBODY: u32 = 65_534;

/// A folder in which another user may rename, if there is one, with an encrypted archive.
fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    // More than is read at once, so that half of it keeps a run waiting.
    dir.write("in/file", crate::common::test_bytes(4 << 20));
    dir.run(&["encrypt", "--archive", "-i", "id", "in", "encrypted"]).ok();
    fs::create_dir(dir.path("shared")).unwrap();
    fs::set_permissions(dir.path("shared"), PermissionsExt::from_mode(0o777)).unwrap();
    dir
}

fn temporaries(dir: &Dir) -> Vec<OsString> {
    let entries = fs::read_dir(dir.path("shared")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().contains(".cryptstream-")).collect()
}

/// Has a run killed in the middle, and returns what it has left.
fn leave_one(dir: &Dir) -> String {
    let mut child = dir.command(&["decrypt", "--extract", "-i", "id", "-", "shared/out"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let encrypted = dir.read("encrypted");
    stdin.write_all(&encrypted[..encrypted.len() / 2]).unwrap();
    stdin.flush().unwrap();
    wait_until("the folder is being made", || !temporaries(dir).is_empty());
    child.kill().unwrap();
    wait_status(&mut child);
    temporaries(dir)[0].to_str().unwrap().to_owned()
}

/// Renames as another user, where that is possible.
fn rename(dir: &Dir, from: &str, to: &str) {
    let mut mv = Command::new("mv");
    mv.args(["-T", "--", from, to]).current_dir(dir.path("shared"));
    if rustix::process::geteuid().is_root() {
        mv.uid(NOBODY);
    }
    assert!(mv.status().unwrap().success());
}

fn unpack(dir: &Dir) {
    dir.run(&["decrypt", "--extract", "-i", "id", "encrypted", "shared/out"]).ok();
    assert!(dir.path("shared/out/file").exists());
}

/// A name like that of the temporary, of the same dead process.
fn like(left: &str) -> String {
    let (before, _) = left.rsplit_once('-').unwrap();
    format!("{before}-0123456789abcdef.tmp")
}

#[test]
fn a_folder_that_was_given_such_a_name_is_left_alone() {
    let dir = folder();
    let left = leave_one(&dir);
    let bait = like(&left);
    fs::create_dir_all(dir.path("shared/data/deep")).unwrap();
    dir.write("shared/data/deep/important", "content");
    // As much like a container as what its owner has in it can be.
    dir.write("shared/data/lock", &left);
    fs::set_permissions(dir.path("shared/data"), PermissionsExt::from_mode(0o700)).unwrap();
    rename(&dir, "data", &bait);
    unpack(&dir);
    assert_eq!(dir.read(format!("shared/{bait}/deep/important")), b"content");
    // What the killed run has left is gone.
    assert!(!dir.path(format!("shared/{left}")).exists());
}

#[test]
fn what_a_living_run_is_making_is_left_alone() {
    let dir = folder();
    let left = leave_one(&dir);
    let mut child = dir.command(&["decrypt", "--extract", "-i", "id", "-", "shared/other"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let encrypted = dir.read("encrypted");
    let (first, second) = encrypted.split_at(encrypted.len() / 2);
    stdin.write_all(first).unwrap();
    // It first removes what the killed run has left.
    let other = || temporaries(&dir).into_iter().find(|name| **name != *left);
    wait_until("the folder is being made", || other().is_some());
    let living = other().unwrap();
    let living = living.to_str().unwrap();
    let bait = like(&left);
    rename(&dir, living, &bait);
    unpack(&dir);
    assert!(dir.path(format!("shared/{bait}/content")).exists(), "it was removed");
    rename(&dir, &bait, living);
    stdin.write_all(second).unwrap();
    drop(stdin);
    assert!(wait_status(&mut child).success());
    assert!(dir.path("shared/other/file").exists());
}

#[test]
fn a_file_of_another_user_is_left_alone() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let dir = folder();
    let left = leave_one(&dir);
    dir.write("plain", "new");
    dir.write("shared/out", "old");
    let bait = dir.write(format!("shared/{}", like(&left)), "another user's");
    chown(&bait, Some(NOBODY), None).unwrap();
    dir.run(&["encrypt", "--force", "-i", "id", "plain", "shared/out"]).ok();
    assert_eq!(fs::read(&bait).unwrap(), b"another user's");
    // The same file as root's own is what a killed run has left.
    chown(&bait, Some(0), None).unwrap();
    dir.run(&["encrypt", "--force", "-i", "id", "plain", "shared/out"]).ok();
    assert!(!bait.exists());
}
