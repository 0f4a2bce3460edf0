//! What a run that was killed has left in a folder.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use crate::common::group::wait_until;
use crate::common::tree::{assert_same, described};
use crate::common::{Dir, test_bytes, wait, wait_status};

/// A folder with an identity, a file, a folder, and an encrypted archive of that folder.
fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    fs::create_dir_all(dir.path("in/sub")).unwrap();
    // More than is read at once, so that half of it keeps a run waiting.
    dir.write("in/sub/file", test_bytes(4 << 20));
    dir.run(&["encrypt", "--archive", "-i", "id", "in", "sealed"]).ok();
    fs::create_dir(dir.path("out")).unwrap();
    dir
}

/// The names of temporaries in a folder.
fn temporaries(dir: &Dir, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(dir.path(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".cryptstream-")).collect()
}

/// A run that is unpacking an archive into `folder`, half way through.
fn unpacking(dir: &Dir, folder: &str) -> Child {
    use std::io::Write;
    let into = format!("{folder}/unpacked");
    let mut child = dir.command(&["decrypt", "--extract", "-i", "id", "-", &into]).spawn();
    let encrypted = dir.read("sealed");
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(&encrypted[..encrypted.len() / 2]).unwrap();
    stdin.flush().unwrap();
    let has_content = || {
        let names = temporaries(dir, folder);
        names.iter().any(|name| dir.path(format!("{folder}/{name}/content/sub/file")).exists())
    };
    wait_until("the archive is being unpacked", has_content);
    child
}

/// Kills a run that is unpacking into `folder`, and returns what it has left.
fn leave_folder(dir: &Dir, folder: &str) -> String {
    let mut child = unpacking(dir, folder);
    child.kill().unwrap();
    wait_status(&mut child);
    let [left] = &temporaries(dir, folder)[..] else { panic!("not one temporary") };
    left.clone()
}

/// The name of a temporary file of the same process.
fn file_like(left: &str) -> String {
    format!("{}-0123456789abcdef.tmp", left.rsplit_once('-').unwrap().0)
}

#[test]
fn a_later_run_into_the_folder_removes_it() {
    let dir = folder();
    dir.run(&["encrypt", "-i", "id", "plain", "plain.enc"]).ok();
    dir.run(&["encrypt", "-i", "id", "in", "copy"]).ok();
    dir.write("other", "other");
    for (number, (what, folder)) in [
        ("encrypt -i id plain out/1.enc", "out"),
        ("decrypt -i id plain.enc out/2", "out"),
        ("decrypt -i id plain.enc out/2 --force", "out"),
        ("decrypt -i id --extract sealed out/3", "out"),
        ("encrypt -i id --archive in out/4", "out"),
        ("encrypt -i id in out/5", "out"),
        ("encrypt -i id plain other --output-dir out", "out"),
        ("keygen -o out/6", "out"),
        ("encrypt -i id in copy", "copy"),
        ("encrypt -i id in copy", "copy/sub"),
    ]
    .iter()
    .enumerate()
    {
        let left = leave_folder(&dir, folder);
        let file = file_like(&left);
        dir.write(format!("{folder}/{file}"), "partial");
        let args: Vec<_> = what.split(' ').collect();
        dir.run(&args).ok();
        assert_eq!(temporaries(&dir, folder), [""; 0], "{number}: {what}");
    }
}

#[test]
fn what_a_running_process_makes_is_left_alone() {
    use std::io::Write;
    let dir = folder();
    let mut child = unpacking(&dir, "out");
    dir.run(&["encrypt", "-i", "id", "plain", "out/a.enc"]).ok();
    let encrypted = dir.read("sealed");
    child.stdin.take().unwrap().write_all(&encrypted[encrypted.len() / 2..]).unwrap();
    wait(child).ok();
    assert_same(&dir.path("in"), &dir.path("out/unpacked"));
}

#[test]
fn it_is_never_taken_for_data() {
    let dir = folder();
    let mut running = unpacking(&dir, "in/sub");
    let [at_work] = &temporaries(&dir, "in/sub")[..] else { panic!("not one temporary") };
    let left = leave_folder(&dir, "in");
    let file = file_like(&left);
    dir.write(format!("in/{file}"), "partial");
    // An input, which is data whatever its name is.
    let removing = ".plain.cryptstream-0123456789abcdef.removing";
    dir.write(format!("in/{removing}"), "whole");
    // A folder that only has such a name.
    let (named, _) = left.rsplit_once('-').unwrap();
    let named = format!("{named}-00000000000000aa.tmp");
    fs::create_dir(dir.path(format!("in/{named}"))).unwrap();
    dir.write(format!("in/{named}/lock"), &left);

    for form in ["--archive", "--newer"] {
        let done = dir.run(&["encrypt", "-i", "id", form, "in", "encrypted"]).ok();
        let text = done.stderr_text();
        let temporaries = [format!("in/{left}"), format!("in/{file}"), format!("in/sub/{at_work}")];
        for path in &temporaries {
            let warning = format!("{path}: is the unfinished output of a run that was killed or");
            assert!(text.contains(&warning), "{path}: {text}");
        }
        assert!(text.contains(&format!("in/{removing}: was left behind")), "{text}");
        let decrypt = if form == "--archive" { "--extract" } else { "--newer" };
        dir.run(&["decrypt", "-i", "id", decrypt, "encrypted", "decrypted"]).ok();
        let restored = described(&dir.path("decrypted"));
        let mut expected = described(&dir.path("in"));
        let is_temporary = |path: &PathBuf| {
            let path = PathBuf::from("in").join(path);
            temporaries.iter().any(|temporary| path.starts_with(temporary))
        };
        expected.retain(|path, _| !is_temporary(path));
        assert!(restored.keys().eq(expected.keys()), "{restored:?}");
        for path in ["encrypted", "decrypted"] {
            let path = dir.path(path);
            let removed = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            removed.unwrap();
        }
    }
    running.kill().unwrap();
    wait_status(&mut running);
}
