//! File selection: patterns on named files, patterns that match nothing, and folders without
//! encrypted files.

use std::fs;

use crate::common::Dir;

fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("key");
    dir.shell("mkdir d d/sub; echo a > d/a.txt; echo b > d/sub/b.txt; echo c > c.tmp").run().ok();
    dir
}

fn encrypt(dir: &Dir, words: &str) -> crate::common::Run {
    let words: Vec<_> = words.split(' ').collect();
    dir.command(&[&["encrypt", "-i", "key"], &words[..]].concat())
}

#[test]
fn patterns_hold_for_named_files_as_with_rsync_and_tar() {
    let dir = folder();
    let done = encrypt(&dir, "c.tmp --exclude *.tmp").run().ok();
    assert!(done.stderr_text().contains("c.tmp: is excluded by"), "{done:?}");
    assert!(!dir.path("c.tmp.enc").exists());
    encrypt(&dir, "c.tmp d/a.txt d/sub --exclude *.tmp --output-dir o").run().ok();
    assert_eq!(fs::read_dir(dir.path("o")).unwrap().count(), 2);
    assert!(dir.path("o/a.txt.enc").exists() && dir.path("o/sub/b.txt.enc").exists());
    // A pattern with a folder matches the path as it was typed.
    encrypt(&dir, "c.tmp d/a.txt --include d/*.txt --output-dir p").run().ok();
    assert!(dir.path("p/a.txt.enc").exists() && !dir.path("p/c.tmp.enc").exists());
    dir.write("patterns", "*.tmp\n");
    encrypt(&dir, "c.tmp --ignore-file patterns").run().ok();
    assert!(!dir.path("c.tmp.enc").exists());
    // The report for programs.
    let done = encrypt(&dir, "c.tmp --exclude *.tmp --json").run().ok_and_silent();
    let report = done.json(&done.stdout);
    assert_eq!(report["skipped_files"][0]["file"], "c.tmp");
    assert_eq!(report["skipped"], 1);
}

#[test]
fn an_include_pattern_that_matches_nothing_fails() {
    let dir = folder();
    let words = ["contains no file that matches --include", "nothing was written"];
    for typed in [
        "d o --include *.jpg",
        "d o --include *.jpg --dry-run",
        "c.tmp --include *.jpg",
        "d c.tmp --output-dir o --include *.jpg",
        "--archive d --include *.jpg",
    ] {
        dir.fails(encrypt(&dir, typed), 66, &words);
    }
    // An empty folder is fine, and leaving everything out can be intended.
    fs::create_dir(dir.path("empty")).unwrap();
    encrypt(&dir, "empty o --include *.jpg").run().ok();
    encrypt(&dir, "d p --exclude *.txt").run().ok();
    assert!(dir.path("o").is_dir() && dir.path("p/sub").is_dir());
}

#[test]
fn a_folder_without_encrypted_files_leaves_no_empty_one() {
    let dir = folder();
    let decrypt = |words: &[&str]| dir.command(&[&["decrypt", "-i", "key"], words].concat());
    let words = ["d: contains no file named *.enc", "is it the right folder?"];
    dir.fails(decrypt(&["d", "o"]), 66, &words);
    dir.fails(decrypt(&["d", "o", "--dry-run"]), 66, &words);
    dir.fails(decrypt(&["d", "--output-dir", "o"]), 66, &words);
}

#[test]
fn a_folder_with_the_name_of_an_encrypted_file_is_reported() {
    let dir = folder();
    let done = encrypt(&dir, "d out.enc").run().ok();
    let words = ["out.enc becomes a folder", "--archive"];
    assert!(words.iter().all(|word| done.stderr_text().contains(word)), "{done:?}");
    assert!(dir.path("out.enc/a.txt.enc").exists());
    // Now it is a folder.
    encrypt(&dir, "d out.enc").run().ok_and_silent();
    encrypt(&dir, "d other").run().ok_and_silent();
    encrypt(&dir, "d").run().ok_and_silent();
}

#[test]
fn lack_of_space_is_reported_once_for_all_files_in_progress() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.shell("mkdir d; for i in $(seq 200); do head -c 5000 /dev/zero > d/$i; done").run().ok();
    // A file size limit fails like a full disk.
    let done = dir.shell("ulimit -f 2; $CS encrypt -i key d o").run();
    assert_eq!(done.code(), Some(74), "{done:?}");
    let text = done.stderr_text();
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
    assert!(text.contains("raise the limit"), "{text}");
    let failed = text.rsplit_once(" failed").unwrap().0.rsplit(' ').next().unwrap();
    let alike = text.contains("for the same reason");
    assert_eq!(alike, failed != "1", "{text}");
    // Programs get all of them.
    let done = dir.shell("ulimit -f 2; $CS encrypt -i key d o --json").run();
    let report = done.json(&done.stdout);
    assert_eq!(
        report["errors"].as_array().unwrap().len() as u64,
        report["failed"].as_u64().unwrap()
    );
}

#[test]
fn too_many_open_files_are_not_reported_as_a_wrong_name() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f", "content");
    let tried = (4..40).map(|limit| {
        let script = format!("ulimit -n {limit}; $CS encrypt -i key --processes 0 --force f");
        dir.shell(&script).run()
    });
    let mut is_met = false;
    for done in tried {
        let text = done.stderr_text();
        if text.contains("too many") {
            is_met = true;
            assert_eq!(done.code(), Some(75), "{text}");
            assert!(text.contains("ulimit -n") && !text.contains("check the name"), "{text}");
        }
    }
    assert!(is_met);
}

#[test]
fn a_lost_report_keeps_the_output() {
    let dir = Dir::new();
    dir.keygen("key");
    dir.write("f", "content");
    let done = dir.shell("$CS encrypt -i key f --json > /dev/full").run();
    assert_eq!(done.code(), Some(74));
    let text = done.stderr_text();
    assert!(
        text.contains("the report cannot be written") && !text.contains("no partial"),
        "{text}"
    );
    assert_eq!(dir.run(&["decrypt", "-i", "key", "f.enc", "-"]).ok().stdout, b"content");
}

#[test]
fn names_are_read_from_a_list_as_with_tar_and_rsync() {
    let dir = Dir::new();
    dir.keygen("key");
    let script = "mkdir d; echo a > d/a; echo b > \"d/with
newline\"; echo c > -; printf 'd/a\\n\\n-\\n' > lines
        find d -type f -print0 | $CS encrypt -i key -0 -T - --output-dir o
        $CS encrypt -i key --files-from lines --output-dir p
        find o -type f -print0 | $CS verify -i key --null -T - > verified
        find o -type f -print0 | $CS inspect -0 --files-from - > inspected
        find o -type f -print0 | $CS decrypt -i key -0 -T - --output-dir q";
    dir.shell(&format!("set -e; {script}")).run().ok_and_silent();
    assert_eq!(fs::read(dir.path("q/with\nnewline")).unwrap(), b"b\n");
    assert!(dir.path("p/a.enc").exists() && dir.path("p/-.enc").exists());
    let lines = String::from_utf8(dir.read("verified")).unwrap();
    assert_eq!(lines.matches(": intact").count(), 2, "{lines}");
    // Having nothing to do is not a failure, unlike naming nothing.
    for typed in ["encrypt --output-dir r", "verify", "decrypt --output-dir r"] {
        let script = format!("$CS {typed} -i key -T /dev/null");
        dir.shell(&script).run().ok_and_silent();
    }
    dir.shell("$CS inspect -T /dev/null").run().ok_and_silent();
    let encrypt = |words: &str| encrypt(&dir, words);
    dir.fails(encrypt("-T lines"), 64, &["--output-dir", "tar -c -T LIST"]);
    dir.fails(encrypt("-T no-such --output-dir r"), 66, &["no-such: ", "one name per line"]);
    dir.fails(encrypt("-0 d --output-dir r"), 64, &["--files-from"]);
    dir.shell("find d -print0 > nul").run().ok();
    dir.fails(encrypt("-T nul --output-dir r"), 64, &["nul: ", "use -0"]);
}
