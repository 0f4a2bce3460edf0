//! Folders and several files at once: what happens to everything in them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::tree::{assert_same, described, unusual_entries};
use crate::common::{CHEAP, Dir, header_len, test_bytes};

/// A folder with a key, beside the folder `in` with everything in it.
fn with_unusual_entries() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    unusual_entries(&dir.path("in"));
    dir
}

/// A folder with a key and the folder `in`, with these files in it.
fn with_files(files: &[(&str, &[u8])]) -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    for (name, content) in files {
        let path = dir.path("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// The names below a folder, with slashes, sorted; of folders too.
fn names(folder: &Path) -> Vec<String> {
    let names = described(folder).into_keys();
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn everything_comes_back_as_it_was() {
    let dir = with_unusual_entries();
    let before = described(&dir.path("in"));
    for (number, (sealing, opening)) in [
        (&["--processes", "0"][..], &["--processes", "0"][..]),
        (&["--processes", "2"], &["--processes", "2"]),
        (&["--format", "age"], &[]),
        (&["--armor"], &["--processes", "1"]),
    ]
    .iter()
    .enumerate()
    {
        let (encrypted, decrypted) = (format!("encrypted{number}"), format!("decrypted{number}"));
        let args = [&["encrypt", "-i", "id", "in", &encrypted][..], sealing].concat();
        dir.run(&args).ok_and_silent();
        let args = [&["decrypt", "-i", "id", &encrypted, &decrypted][..], opening].concat();
        dir.run(&args).ok_and_silent();
        assert_same(&dir.path("in"), &dir.path(&decrypted));
    }
    assert!(described(&dir.path("in")) == before, "the input was touched");
    // The encrypted copy has the names, permission bits and times too.
    let encrypted = described(&dir.path("encrypted0"));
    let suffixed = before.keys().filter(|name| dir.path("in").join(name).is_file());
    let is_link = |name: &Path| dir.path("in").join(name).is_symlink();
    for name in suffixed.filter(|name| !is_link(name)) {
        let mut with = name.clone().into_os_string();
        with.push(".enc");
        assert!(encrypted.contains_key(Path::new(&with)), "{name:?}");
    }
}

#[test]
fn names_follow_from_the_input() {
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b")]);
    dir.write("single", "single");
    dir.run(&["encrypt", "-i", "id", "in"]).ok_and_silent();
    assert_eq!(names(&dir.path("in.enc")), ["a.enc", "sub", "sub/b.enc"]);
    dir.run(&["encrypt", "-i", "id", "in/", "-o", "in.age"]).ok();
    assert_eq!(names(&dir.path("in.age")), ["a.age", "sub", "sub/b.age"]);
    fs::rename(dir.path("in"), dir.path("was")).unwrap();
    dir.run(&["decrypt", "-i", "id", "in.enc"]).ok_and_silent();
    assert_same(&dir.path("was"), &dir.path("in"));
    // Several inputs, each under its own name, in a new folder.
    let args = ["encrypt", "-i", "id", "in", "single", "--output-dir", "new"];
    dir.run(&args).ok_and_silent();
    let expected = ["in", "in/a.enc", "in/sub", "in/sub/b.enc", "single.enc"];
    assert_eq!(names(&dir.path("new")), expected);
    let args = ["decrypt", "-i", "id", "new/in", "new/single.enc", "--output-dir", "back"];
    dir.run(&args).ok_and_silent();
    assert_same(&dir.path("was"), &dir.path("back/in"));
    assert_eq!(fs::read(dir.path("back/single")).unwrap(), b"single");
    // A named path may be a link; a found one may not.
    std::os::unix::fs::symlink("in", dir.path("named")).unwrap();
    dir.run(&["encrypt", "-i", "id", "named", "of-link"]).ok_and_silent();
    assert_eq!(names(&dir.path("of-link")), ["a.enc", "sub", "sub/b.enc"]);
}

#[test]
fn one_passphrase_and_one_derivation_but_no_two_keys_alike() {
    let files: Vec<_> = (0..40).map(|number| format!("{}/{number}", number % 3)).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), &b"the same"[..])).collect();
    let dir = with_files(&files);
    fs::write(dir.path("in/large"), test_bytes(9 << 20)).unwrap();
    dir.run(&["encrypt", "in", "out", "--key", "word", CHEAP, "--processes", "2"]).ok_and_silent();
    let (mut salts, mut nonces, mut bodies) = (HashSet::new(), HashSet::new(), HashSet::new());
    let encrypted = names(&dir.path("out"));
    let encrypted: Vec<_> = encrypted.iter().filter(|name| name.ends_with(".enc")).collect();
    for name in &encrypted {
        let content = fs::read(dir.path("out").join(name)).unwrap();
        let header = String::from_utf8(content[..header_len(&content)].to_vec()).unwrap();
        let mut lines = header.lines().skip_while(|line| !line.starts_with("-> argon2id "));
        let args: Vec<_> = lines.next().unwrap().split(' ').map(str::to_owned).collect();
        salts.insert(args[2].clone());
        assert!(nonces.insert(args[6].clone()), "a nonce was used twice");
        assert!(bodies.insert(lines.next().unwrap().to_owned()), "a key was wrapped twice");
    }
    assert_eq!((salts.len(), nonces.len(), bodies.len()), (1, 41, 41));
    dir.run(&["decrypt", "out", "back", "--key", "word"]).ok_and_silent();
    assert_same(&dir.path("in"), &dir.path("back"));
    // Each age file has its own derivation, which is announced beforehand.
    fs::remove_file(dir.path("in/large")).unwrap();
    let args = ["encrypt", "in", "slow", "--key", "word", "--scrypt", "16", "--format", "age"];
    let text = dir.run(&[&args[..], &["--include", "?0"]].concat()).ok().stderr_text();
    assert!(text.contains("3 age files") && text.contains("-r"), "{text}");
}

#[test]
fn selection_of_files() {
    let dir = with_files(&[
        ("a.jpg", b""),
        ("a.txt", b""),
        ("cache/x.jpg", b""),
        ("sub/b.jpg", b""),
        ("sub/c.txt", b""),
        ("sub/.gitignore", b"*.txt\n!kept.txt\n"),
        ("sub/kept.txt", b""),
        ("sub/deep/d.txt", b""),
        ("sub/deep/kept.txt", b""),
        ("sub/deep/.gitignore", b"kept.txt\n"),
    ]);
    dir.write("rules", "# comment\n/a.*\ncache/\n");
    let chosen = |args: &[&str]| {
        let _ = fs::remove_dir_all(dir.path("out"));
        dir.run(&[&["encrypt", "-i", "id", "in", "out"][..], args].concat()).ok_and_silent();
        names(&dir.path("out"))
            .into_iter()
            .filter(|name| name.ends_with(".enc"))
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen(&["--include", "*.jpg"]), ["a.jpg.enc", "cache/x.jpg.enc", "sub/b.jpg.enc"]);
    let some = ["--include", "*.jpg", "--exclude", "cache/"];
    assert_eq!(chosen(&some), ["a.jpg.enc", "sub/b.jpg.enc"]);
    assert_eq!(chosen(&["--include", "/a.*"]), ["a.jpg.enc", "a.txt.enc"]);
    assert_eq!(chosen(&["--ignore-file", "rules"]).len(), 7);
    let kept =
        ["sub/.gitignore.enc", "sub/b.jpg.enc", "sub/deep/.gitignore.enc", "sub/kept.txt.enc"];
    assert_eq!(chosen(&["--ignore-file", "rules", "--gitignore"]), kept);
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "in", "x", "--exclude", "a{b"]),
        64,
        &["a{b", "is not a pattern"],
    );
    let args = ["encrypt", "-i", "id", "in", "x", "--ignore-file", "none"];
    dir.fails(dir.command(&args), 78, &["none"]);
}

#[test]
fn a_dry_run_prints_what_it_would_do() {
    let dir = with_files(&[("a", b"12345"), ("sub/b", b"678")]);
    let done = dir.run(&["encrypt", "-r", "nobody is asked", "in", "out", "--dry-run"]).ok();
    let mut lines: Vec<_> = done.stdout_text().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["encrypt in/a -> out/a.enc", "encrypt in/sub/b -> out/sub/b.enc"]);
    assert!(done.stderr_text().contains("2 files to encrypt: 8 B"), "{done:?}");
    assert!(!dir.path("out").exists());
    let done = dir.run(&["encrypt", "in", "out", "-n", "--json"]).ok();
    let report = done.json(&done.stdout);
    assert_eq!((&report["files"], &report["dry_run"]), (&2.into(), &true.into()));
}

#[test]
fn files_that_are_up_to_date_are_skipped() {
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b"), ("c", b"c")]);
    let run = |args: &[&str]| {
        dir.run(&[&["encrypt", "-i", "id", "in", "out", "--json"][..], args].concat())
    };
    let counts = |done: &crate::common::Done| {
        let report = done.json(&done.stdout);
        ["files", "kept", "failed"].map(|field| report[field].as_u64().unwrap())
    };
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(dir.path("out").join(name)).unwrap().ino()
    };
    assert_eq!(counts(&run(&[]).ok()), [3, 0, 0]);
    let first = inode("a.enc");
    assert_eq!(counts(&run(&[]).ok()), [0, 3, 0]);
    assert_eq!(inode("a.enc"), first);
    // A new file, a removed file, and a changed file.
    fs::write(dir.path("in/new"), "new").unwrap();
    fs::remove_file(dir.path("out/sub/b.enc")).unwrap();
    fs::write(dir.path("in/a"), "changed").unwrap();
    let done = run(&[]);
    assert_eq!((done.code(), counts(&done)), (Some(73), [2, 1, 1]));
    let report = done.json(&done.stdout);
    let error = &report["errors"][0];
    assert!(error["file"].as_str().unwrap().ends_with("out/a.enc"), "{error}");
    assert!(error["help"].as_str().unwrap().contains("--newer"), "{error}");
    assert_eq!(counts(&run(&["--newer"]).ok()), [1, 3, 0]);
    assert_ne!(inode("a.enc"), first);
    // Whatever differs is replaced, even if it is newer than the input, as with rsync.
    fs::write(dir.path("out/c.enc"), "something else").unwrap();
    assert_eq!(counts(&run(&["--newer"]).ok()), [1, 3, 0]);
    assert_eq!(counts(&run(&["--force"]).ok()), [4, 0, 0]);
    dir.run(&["decrypt", "-i", "id", "out", "back"]).ok_and_silent();
    assert_same(&dir.path("in"), &dir.path("back"));
}

#[test]
fn one_failure_does_not_stop_the_other_files() {
    let files: Vec<_> = (0..60).map(|number| format!("{number:02}")).collect();
    let files: Vec<_> = files.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let dir = with_files(&files);
    dir.run(&["encrypt", "-i", "id", "in", "out"]).ok_and_silent();
    let mut damaged = fs::read(dir.path("out/07.enc")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(dir.path("out/07.enc"), damaged).unwrap();
    fs::write(dir.path("out/09.enc"), "not encrypted").unwrap();
    fs::write(dir.path("out/notes"), "beside").unwrap();
    let done = dir.run(&["decrypt", "-i", "id", "out", "back"]);
    let text = done.stderr_text();
    assert_eq!(done.code(), Some(65), "{text}");
    assert!(text.contains("out/07.enc: ") && text.contains("out/09.enc: "), "{text}");
    assert!(text.contains("out/notes: is not an encrypted file"), "{text}");
    assert!(text.contains("58 files decrypted, 1 skipped, 2 failed"), "{text}");
    assert_eq!(names(&dir.path("back")).len(), 58);
    // Unless the user asks for it.
    let args = ["decrypt", "-i", "id", "out", "first", "--fail-fast", "--processes", "0"];
    let done = dir.run(&args);
    assert_eq!(done.code(), Some(65));
    let done_first = names(&dir.path("first")).len();
    let left = format!("{} not tried", 60 - done_first - 1);
    assert!(done_first < 58 && done.stderr_text().contains(&left), "{done:?}");
    let report = dir.run(&["decrypt", "-i", "id", "out", "third", "--json"]);
    let report = report.json(&report.stdout);
    assert_eq!((&report["files"], &report["failed"]), (&58.into(), &2.into()));
    let kinds: HashSet<_> =
        report["errors"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, HashSet::from(["damaged", "foreign"]));
    // The first of many failures are named, and the others counted.
    for number in 0..120 {
        dir.write(format!("out/bad{number}.enc"), "not encrypted");
    }
    let text = dir.run(&["decrypt", "-i", "id", "out", "many"]).stderr_text();
    assert_eq!(text.matches("error:").count(), 100);
    assert!(text.contains("22 more failures are not listed here"), "{text}");
    // A run that could open nothing fails.
    fs::create_dir(dir.path("plain")).unwrap();
    dir.write("plain/notes", "beside");
    let done = dir.run(&["decrypt", "-i", "id", "plain", "nothing"]);
    assert_eq!(done.code(), Some(66), "{done:?}");
    // With the wrong key, nothing is written at all.
    dir.keygen("other");
    dir.run(&["encrypt", "-i", "id", "in", "again"]).ok_and_silent();
    let done = dir.run(&["decrypt", "-i", "other", "again", "wrong"]);
    assert_eq!(done.code(), Some(77));
    assert!(!dir.path("wrong").exists());
}

#[test]
fn sources_are_removed_only_if_they_were_encrypted() {
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b")]);
    fs::create_dir(dir.path("out")).unwrap();
    fs::write(dir.path("out/a.enc"), "in the way").unwrap();
    let done = dir.run(&["encrypt", "-i", "id", "in", "out", "--remove-source"]);
    assert_eq!(done.code(), Some(73), "{done:?}");
    assert_eq!(names(&dir.path("in")), ["a", "sub"]);
    assert_eq!(names(&dir.path("out")), ["a.enc", "sub", "sub/b.enc"]);
}

#[test]
fn nothing_behind_a_link_is_removed() {
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b")]);
    std::os::unix::fs::symlink("in", dir.path("link")).unwrap();
    for input in ["link", "link/", "link/."] {
        for output in [&["out"][..], &["--output-dir", "out"]] {
            let args = [&["encrypt", "-i", "id", input], output, &["--remove-source"]].concat();
            dir.fails(dir.command(&args), 64, &["is a link", "--remove-source"]);
        }
    }
    assert!(!dir.path("out").exists());
    assert_eq!(names(&dir.path("in")), ["a", "sub", "sub/b"]);
    dir.run(&["encrypt", "-i", "id", "link/sub", "out", "--remove-source"]).ok();
    assert_eq!(names(&dir.path("in")), ["a", "sub"]);
}

/// The copy's folders stay open while their entries are processed.
#[test]
fn too_few_descriptors_are_no_other_users_folder() {
    let dir = with_files(&[("a", b"a")]);
    for number in 0..7 {
        let folder = dir.path(format!("in/{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("f"), "f").unwrap();
    }
    let mut failed = 0;
    for limit in 14..24 {
        let _ = fs::remove_dir_all(dir.path("out"));
        let script = format!("ulimit -n {limit}; \"$CS\" encrypt -i id in out 2>&1");
        let done = dir.shell(&script).run();
        let text = done.stdout_text();
        assert!(!text.contains("exchanged") && !text.contains("of user"), "{limit}: {text}");
        let is_clear = done.code() == Some(0) || text.contains("too many open files");
        assert!(is_clear, "{limit}: {done:?}");
        failed += u32::from(done.code() != Some(0));
    }
    assert!(failed > 0);
}

#[test]
fn events_are_lines_that_a_program_can_read() {
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b")]);
    fs::create_dir_all(dir.path("out/a.enc")).unwrap();
    let done = dir.run(&["encrypt", "-i", "id", "in", "out", "--progress", "json"]);
    assert_eq!((done.code(), done.stdout_text().as_str()), (Some(73), ""));
    let text = done.stderr_text();
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["start", "error", "progress", "end"], "{text}");
    assert!(events.iter().all(|event| event["schema"] == 1));
    assert_eq!(events[0]["total_files"], 2);
    assert_eq!(events[2]["files"], 1);
    assert_eq!((&events[3]["files"], &events[3]["failed"]), (&1.into(), &1.into()));
    // The same for one file.
    let done = dir.run(&["encrypt", "-i", "id", "in/a", "--progress", "json"]).ok();
    let last = done.stderr_text().lines().last().unwrap().to_owned();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["event"], &last["bytes_in"]), (&"end".into(), &1.into()));
}

/// More nested and neighbouring folders than a process may have open files.
#[test]
fn deep_and_wide_trees_need_few_descriptors() {
    let dir = Dir::new();
    dir.keygen("id");
    let deep = ["d"; 700].join("/");
    fs::create_dir_all(dir.path("in").join(&deep)).unwrap();
    let files = (0..700).step_by(7).map(|depth| deep[..depth * 2].to_owned() + "f");
    for file in files.chain((0..500).map(|number| format!("w{number}/f"))) {
        let path = dir.path("in").join(&file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Some large files come first, and their folders with them.
        let len = if file.ends_with("9/f") { 1 << 20 } else { 10 };
        fs::File::create(path).unwrap().set_len(len).unwrap();
    }
    for (command, input, output) in [("encrypt", "in", "out"), ("decrypt", "out", "back")] {
        let script = format!("ulimit -n 256 && \"$CS\" {command} -i id {input} {output}");
        dir.shell(&script).run().ok_and_silent();
    }
    assert_same(&dir.path("in"), &dir.path("back"));
}

/// Only its owner may change the times and bits of a folder that a team shares: rsync without
/// --omit-dir-times fails there, and cp and tar without -p do not try.
#[test]
fn a_folder_of_outputs_may_belong_to_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: this test needs root, to give a folder to somebody else");
    }
    let dir = with_files(&[("a", b"a"), ("sub/b", b"b")]);
    fs::create_dir(dir.path("shared")).unwrap();
    for (name, mode) in [(".", 0o755), ("id", 0o644), ("shared", 0o777)] {
        fs::set_permissions(dir.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = fs::metadata(dir.path("shared")).unwrap().permissions();
    for _ in 0..2 {
        let done = dir.unprivileged(&["encrypt", "-i", "id", "in", "shared"]).run().ok();
        assert!(!done.stderr_text().contains("shared"), "{done:?}");
    }
    assert_eq!(fs::metadata(dir.path("shared")).unwrap().permissions(), before);
    dir.run(&["decrypt", "-i", "id", "shared", "back"]).ok();
    assert_eq!(names(&dir.path("back")), ["a", "sub", "sub/b"]);
}

/// A move that was interrupted, and is started again.
#[test]
fn sources_that_an_earlier_run_has_encrypted_are_failures() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir in; echo 1 > in/1; echo 2 > in/2").run().ok();
    dir.run(&["encrypt", "-i", "id", "in", "out"]).ok();
    dir.write("in/3", "3");
    let args = ["encrypt", "-i", "id", "in", "out", "--remove-source"];
    let told = dir.fails(dir.command(&[&args[..], &["--dry-run"]].concat()), 73, &["not removed"]);
    assert!(told.stderr_text().contains("1 more failed for the same reason"), "{told:?}");
    let quiet = dir.run(&[&args[..], &["-q"]].concat());
    assert_eq!(quiet.code(), Some(73), "{quiet:?}");
    assert!(quiet.stderr_text().contains("was not removed: out/"), "{quiet:?}");
    assert_eq!(names(&dir.path("in")), ["1", "2"]);
    let done = dir.run(&[&args[..], &["--json"]].concat());
    let report = done.json(&done.stdout);
    assert_eq!((&report["kept"], &report["failed"]), (&0.into(), &2.into()));
    let mut kept = [0, 1].map(|at| report["errors"][at]["file"].as_str().unwrap());
    kept.sort_unstable();
    assert_eq!(kept, ["in/1", "in/2"]);
    dir.run(&[&args[..], &["--force"]].concat()).ok();
    assert_eq!(names(&dir.path("in")), <[&str; 0]>::default());
    // The same the other way round, and for a file.
    dir.run(&["decrypt", "-i", "id", "out", "back"]).ok();
    let args = ["decrypt", "-i", "id", "out/1.enc", "--output-dir", "back", "--remove-source"];
    dir.fails(dir.command(&args), 73, &["out/1.enc: was not removed", "changed since"]);
    assert!(dir.path("out/1.enc").exists());
}

/// Overlapping cron jobs: each file is encrypted by one of them, and the others may report that it
/// appeared, but not that it must be replaced.
#[test]
fn runs_at_the_same_time_leave_each_file_to_one_of_them() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir in out; for i in $(seq 300); do echo $i > in/$i; done").run().ok();
    let script = "for i in 1 2 3; do ($CS encrypt -i id in out --newer 2> $i.err; \
                  echo $? > $i.status) & done; wait; cat ?.status";
    let statuses = dir.shell(script).run().ok().stdout_text();
    assert!(statuses.lines().all(|status| ["0", "75"].contains(&status)), "{statuses}");
    dir.run(&["encrypt", "-i", "id", "in", "out", "--newer"]).ok();
    dir.run(&["decrypt", "-i", "id", "out", "back"]).ok();
    dir.shell("diff -r in back").run().ok();
}
