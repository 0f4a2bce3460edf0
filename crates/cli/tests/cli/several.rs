//! Commands with several inputs: a failing input is named, the others are done, and the exit status
//! is that of the first failure, as with cp, tar, grep and sha256sum.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::common::{CHEAP, Dir, file_events};

/// Failures: the input, and the exit status of each command.
type Kind = (&'static str, &'static str, &'static [(&'static str, i32)]);
const KINDS: [Kind; 7] = [
    (
        "missing",
        "missing.enc",
        &[
            ("encrypt", 66),
            ("decrypt", 66),
            ("verify", 66),
            ("inspect", 66),
            ("list", 66),
            ("rekey", 66),
        ],
    ),
    (
        "unreadable",
        "shut.enc",
        &[
            ("encrypt", 66),
            ("decrypt", 66),
            ("verify", 66),
            ("inspect", 66),
            ("list", 66),
            ("rekey", 66),
        ],
    ),
    ("damaged", "damaged.enc", &[("decrypt", 65), ("verify", 65), ("list", 65), ("rekey", 65)]),
    (
        "not encrypted",
        "text.enc",
        &[("decrypt", 65), ("verify", 65), ("inspect", 65), ("list", 65), ("rekey", 65)],
    ),
    (
        "for another key",
        "foreign.enc",
        &[("decrypt", 77), ("verify", 77), ("list", 77), ("rekey", 77)],
    ),
    (
        "a folder without any",
        "empty",
        &[("verify", 66), ("inspect", 66), ("list", 66), ("rekey", 66)],
    ),
    ("badly named", "name", &[("decrypt", 64)]),
];

fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.keygen("other");
    fs::create_dir(dir.path("content")).unwrap();
    dir.run(&["encrypt", "--archive", "content", "-i", "id"]).ok();
    let encrypted = dir.read("content.tar.enc");
    for name in ["1.enc", "2.enc", "3.enc", "shut.enc", "name"] {
        dir.write(name, &encrypted);
    }
    let mut damaged = encrypted.clone();
    *damaged.last_mut().unwrap() ^= 1;
    dir.write("damaged.enc", damaged);
    dir.write("text.enc", "just some text");
    dir.run(&["encrypt", "-i", "other", "1.enc", "foreign.enc"]).ok();
    fs::create_dir(dir.path("empty")).unwrap();
    fs::create_dir(dir.path("out")).unwrap();
    // Another user may write here, and changes files in place.
    for name in ["1.enc", "2.enc", "3.enc", "damaged.enc", "text.enc", "foreign.enc"] {
        fs::set_permissions(dir.path(name), Permissions::from_mode(0o666)).unwrap();
    }
    for (name, mode) in [(".", 0o777), ("out", 0o777), ("id", 0o644), ("shut.enc", 0)] {
        fs::set_permissions(dir.path(name), Permissions::from_mode(mode)).unwrap();
    }
    dir
}

#[test]
fn one_that_fails_is_named_and_the_others_are_done() {
    for (kind, bad, commands) in KINDS {
        for (command, code) in commands {
            let dir = folder();
            let other = dir.run(&["keygen", "-y", "other"]).ok().stdout_text();
            let other = other.trim();
            // A second failure, whose status must not be that of the run.
            let later = if *command == "inspect" { "text.enc" } else { "missing.age" };
            let mut args = vec![*command, "1.enc", bad, "2.enc", later, "3.enc"];
            if *command != "inspect" {
                args.extend(["-i", "id"]);
            }
            let writes = ["encrypt", "decrypt"].contains(command);
            if *command == "rekey" {
                args.extend(["--new-recipient", other]);
            }
            if writes {
                args.extend(["--output-dir", "out/new"]);
            }
            let done = dir.unprivileged(&args).run();
            let (what, text) = (format!("{command}, {kind}"), done.stderr_text());
            assert_eq!(done.code(), Some(*code), "{what}: {text}");
            for name in [bad, later] {
                assert!(text.contains(&format!("error: {name}: ")), "{what}: {text}");
            }
            let good = ["1", "2", "3"];
            match writes {
                true => {
                    let end = if *command == "encrypt" { ".enc.enc" } else { "" };
                    let there = |name| dir.path(format!("out/new/{name}{end}")).exists();
                    assert!(good.iter().all(there), "{what}: {text}");
                }
                false if *command == "rekey" => {
                    let files = ["1.enc", "2.enc", "3.enc"];
                    dir.run(&[&["verify", "-i", "other"], &files[..]].concat()).ok();
                }
                false => {
                    let said = done.stdout_text();
                    assert!(
                        good.iter().all(|name| said.contains(&format!("{name}.enc"))),
                        "{what}"
                    );
                }
            }
            if writes {
                // Unless the user asks for it.
                let first = ["encrypt", bad, "1.enc", "-i", "id", "--output-dir", "out/fast"];
                let mut args = first.to_vec();
                args[0] = command;
                args.extend(["--fail-fast", "--processes", "0"]);
                let done = dir.unprivileged(&args).run();
                assert_eq!(done.code(), Some(*code), "{what}: {done:?}");
                let made = fs::read_dir(dir.path("out/fast")).map_or(0, Iterator::count);
                assert_eq!(made, 0, "{what}: {done:?}");
            }
        }
    }
}

#[test]
fn without_a_usable_input_nothing_is_written_and_nothing_is_asked() {
    let dir = folder();
    // Asking would fail with 78: there is no terminal.
    let script = "setsid -w $CS encrypt no-such nor-this -p --output-dir made";
    let done = dir.fails(dir.shell(script), 66, &["error: no-such: ", "error: nor-this: "]);
    assert!(done.stderr_text().contains("0 files"), "{done:?}");
    let json = ["encrypt", "no-such", "nor-this", "-i", "id", "--output-dir", "made", "--json"];
    let report = dir.run(&json);
    assert_eq!(report.json(&report.stdout)["failed"], 2);
    assert!(!dir.path("made").exists());
}

/// A folder of files that no key fits, and keys of every kind to try.
fn tree(files: usize, key: &[&str]) -> Dir {
    let dir = Dir::new();
    for name in ["id", "other"] {
        dir.keygen(name);
    }
    dir.run(&["keygen", "--pq", "-o", "pq"]).ok();
    dir.write("wrong", "a wrong word");
    for number in 0..files {
        let folder = dir.path(format!("in/{}", number % 7));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}")), number.to_string()).unwrap();
    }
    dir.run(&[&["encrypt", "in", "encrypted"], key].concat()).ok();
    dir
}

/// Like restic and borg, which open the key before anything else.
#[test]
fn a_key_that_fits_no_file_is_reported_before_anything_is_written() {
    const FILES: usize = 200;
    for (key, wrong) in [
        (&["-i", "id"][..], &["-i", "other"][..]),
        (&["-i", "id"], &["-i", "pq", "-i", "other", "--passphrase-file", "wrong"]),
        // One derivation: all files have the same salt.
        (&["--key", "right", CHEAP], &["--passphrase-file", "wrong", "-i", "other"]),
    ] {
        let dir = tree(FILES, key);
        let args = [&["decrypt", "encrypted", "back"], wrong].concat();
        let done = dir.fails(dir.command(&args), 77, &["encrypted: no key fits any of 200 files"]);
        assert_eq!(done.stderr_text().matches("error:").count(), 1, "{done:?}");
        let report = dir.run(&[&args[..], &["--json"]].concat());
        let report = report.json(&report.stdout);
        assert_eq!(report["failed"], FILES, "{report}");
        assert_eq!(report["errors"].as_array().unwrap().len(), 1);
        let verify = [&["verify", "encrypted"], wrong].concat();
        let done = dir.fails(dir.command(&verify), 77, &["no key fits any of 200 files"]);
        assert_eq!((done.stdout.len(), done.stderr_text().matches("error:").count()), (0, 1));
    }
}

/// age reports the same for each file by itself.
#[test]
fn files_that_the_key_fits_are_done_among_others() {
    let dir = tree(40, &["-i", "id"]);
    fs::create_dir(dir.path("encrypted/mine")).unwrap();
    dir.write("x", "mine");
    dir.run(&["encrypt", "-i", "other", "x", "encrypted/mine/x.enc"]).ok();
    let done = dir.run(&["decrypt", "-i", "other", "encrypted", "back"]);
    assert_eq!((done.code(), dir.read("back/mine/x")), (Some(77), b"mine".to_vec()), "{done:?}");
    assert!(done.stderr_text().contains("1 file decrypted, 40 failed"), "{done:?}");
    // Damage does not mean that another key is needed, and is reported too.
    dir.write("encrypted/mine/x.enc", "damaged");
    let done = dir.fails(
        dir.command(&["decrypt", "-i", "other", "encrypted", "again"]),
        77,
        &["no key fits any of 40 files", "encrypted/mine/x.enc: is neither"],
    );
    assert!(done.stderr_text().contains("41 failed"), "{done:?}");
    let done = dir.run(&["verify", "-i", "other", "encrypted", "--json"]);
    assert_eq!(done.json(&done.stdout)["error"]["code"], 77);
    // Files that are up to date need no key.
    dir.run(&["decrypt", "-i", "id", "encrypted", "done"]);
    fs::remove_file(dir.path("encrypted/mine/x.enc")).unwrap();
    dir.run(&["decrypt", "-i", "other", "encrypted", "done"]).ok();
    let done = dir.run(&["verify", "-i", "id", "encrypted", "--json"]).ok();
    assert_eq!(file_events(&done).1["intact"], 40);
}

/// Damage in the first file says nothing about the key.
#[test]
fn a_wrong_key_is_reported_even_after_a_damaged_file() {
    let dir = folder();
    let named = ["decrypt", "text.enc", "1.enc", "2.enc", "--output-dir", "made", "-i", "other"];
    let words = ["no key fits any of 2 files; the first is 1.enc", "text.enc: is neither"];
    dir.fails(dir.command(&named), 77, &words);
}

/// A derivation takes about a second. A wrong passphrase must not cost one for each file of a
/// folder whose files were encrypted one by one.
#[test]
fn a_wrong_passphrase_is_derived_only_a_few_times() {
    let dir = Dir::new();
    fs::create_dir(dir.path("encrypted")).unwrap();
    dir.write("x", "content");
    dir.write("wrong", "a wrong word");
    dir.run(&["encrypt", "x", "x.enc", "--key", "right", CHEAP]).ok();
    // Other salts; that the headers are no longer theirs shows behind the right passphrase.
    let encrypted = dir.read("x.enc");
    let salt = encrypted.windows(12).position(|window| window == b"-> argon2id ").unwrap() + 12;
    for number in 0..20 {
        let mut encrypted = encrypted.clone();
        encrypted[salt..salt + 2].copy_from_slice(format!("{number:02}").as_bytes());
        dir.write(format!("encrypted/{number}.enc"), encrypted);
    }
    let args = ["decrypt", "encrypted", "back", "--passphrase-file", "wrong"];
    dir.fails(dir.command(&args), 77, &["no key fits any of 20 files", "not tried on 4 other"]);
}

/// An interactive key is asked once: its answer for the trial is reused.
#[test]
fn the_passphrase_for_the_first_file_is_derived_once() {
    let dir = Dir::new();
    dir.write("x", "content");
    dir.write("word", "right");
    dir.run(&["encrypt", "x", "s.age", "--passphrase-file", "word", "--scrypt", "16"]).ok();
    fs::create_dir(dir.path("encrypted")).unwrap();
    fs::rename(dir.path("s.age"), dir.path("encrypted/s.age")).unwrap();
    // Counts the derivations by the memory that they map.
    let script =
        "strace -f -e trace=mmap -o calls $CS decrypt encrypted back --passphrase-file word";
    let done = dir.shell(script).run();
    if !dir.path("calls").exists() || done.code() == Some(127) {
        return eprintln!("skipped: counting derivations needs the program `strace`");
    }
    done.ok();
    // 64 MiB and about one page.
    let calls = String::from_utf8(dir.read("calls")).unwrap();
    let maps = calls.lines().filter(|line| line.contains("PROT_READ|PROT_WRITE"));
    let maps = maps.filter_map(|line| line.split("mmap(NULL, ").nth(1));
    let large = maps.filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok());
    // One call checks that there is enough memory, and one derives.
    assert_eq!(large.filter(|len| *len >= 64 << 20).count(), 2, "{calls}");
}

/// Otherwise it would name one more input, which --remove-source would then remove.
#[test]
fn an_output_beside_an_output_folder_is_refused() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("in", "content");
    dir.write("old", "precious");
    dir.run(&["encrypt", "-i", "id", "in", "in.enc"]).ok();
    for command in [&["encrypt", "in"], &["decrypt", "in.enc"]] {
        for flags in [&[][..], &["--remove-source"], &["--dry-run"]] {
            let named = ["-i", "id", "--output-dir", "made", "-o", "old"];
            let args = [&command[..], &named, flags].concat();
            dir.fails(dir.command(&args), 64, &["--output", "cannot be used", "--output-dir"]);
        }
    }
    assert_eq!(dir.read("old"), b"precious");
    assert!(dir.path("in").exists() && dir.path("in.enc").exists());
}

/// Of `..enc` the suffix leaves the name of a folder, which is no name for an output.
#[test]
fn names_that_are_no_more_than_a_suffix() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("x", "content");
    dir.run(&["encrypt", "-i", "id", "x"]).ok();
    fs::create_dir(dir.path("in")).unwrap();
    for name in [".enc", "..enc", "...enc", "...age"] {
        fs::copy(dir.path("x.enc"), dir.path(name)).unwrap();
        fs::copy(dir.path("x.enc"), dir.path("in").join(name)).unwrap();
        for flags in [&[][..], &["--output-dir", "made"], &["--extract"]] {
            let args = [&["decrypt", "-i", "id", name], flags].concat();
            dir.fails(dir.command(&args), 64, &[name, "has no name before .enc or .age"]);
        }
    }
    fs::copy(dir.path("x.enc"), dir.path("in/....enc")).unwrap();
    let done = dir.run(&["decrypt", "-i", "id", "in", "made"]).ok();
    assert_eq!(done.stderr_text().matches("; skipped").count(), 4, "{done:?}");
    assert_eq!(dir.read("made/..."), b"content");
}

/// A list of files is no longer than the memory allows.
#[test]
fn lists_of_files_that_cannot_be_lists() {
    let dir = Dir::new();
    let fails = |script: &str, words: &[&str]| dir.fails(dir.shell(script), 64, words);
    fails("$CS inspect -T /dev/zero", &["--files-from: contains NUL bytes", "-0"]);
    let long = "contains a name of more than 4,095 bytes";
    fails("yes | tr -d '\\n' | $CS inspect -T -", &[long, "one name per line"]);
    fails("yes | $CS inspect -0T -", &[long, "without -0"]);
    // A path of that length is still looked for.
    let script = "head -c 4095 /dev/zero | tr '\\0' x | $CS inspect -T -";
    dir.fails(dir.shell(script), 66, &["xxx"]);
}
