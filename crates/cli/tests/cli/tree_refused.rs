//! Folders with entries that must not be followed, replaced or lost, and runs over folders that end
//! early.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::group::Group;
use crate::common::tree::{assert_same, described, unusual_entries};
use crate::common::{Dir, Done, Random, test_bytes};
use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat, openat};
use rustix::process::Signal;

/// A folder with a key and the folder `in`, with a few files in it.
fn with_files() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/sub")).unwrap();
    for name in ["a", "b", "sub/c"] {
        fs::write(dir.path("in").join(name), name).unwrap();
    }
    fs::write(dir.path("in/sub/large"), test_bytes(2 << 20)).unwrap();
    dir
}

/// Asserts that a run fails with this exit status and these words, and changes nothing.
#[track_caller]
fn refuses(dir: &Dir, args: &[&str], code: i32, words: &[&str]) {
    let before = described(dir.root());
    let done = dir.run(args);
    let text = done.stderr_text();
    assert_eq!(done.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(described(dir.root()) == before, "something was changed");
}

#[track_caller]
fn ends(done: Done, code: i32, words: &[&str]) {
    let text = done.stderr_text();
    assert_eq!(done.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn an_output_in_an_input_is_refused_before_anything_is_written() {
    let dir = with_files();
    fs::create_dir_all(dir.path("in/there")).unwrap();
    fs::create_dir(dir.path("other")).unwrap();
    symlink("in", dir.path("link")).unwrap();
    for output in ["in/new", "in/there/new", "link/new", "in/../in/x"] {
        refuses(
            &dir,
            &["encrypt", "-i", "id", "in", output],
            64,
            &["is inside in", "outside of it"],
        );
    }
    for output in ["in", "in/", "./in", "link"] {
        let words = ["is the same folder as the input in", "outside of it"];
        refuses(&dir, &["encrypt", "-i", "id", "in", output], 64, &words);
    }
    refuses(&dir, &["encrypt", "-i", "id", "link", "in/new"], 64, &["is inside link"]);
    refuses(
        &dir,
        &["encrypt", "-i", "id", "other", "in", "--output-dir", "in/x"],
        64,
        &["is inside"],
    );
    let words = ["./in: is the same folder as the input in"];
    refuses(&dir, &["encrypt", "-i", "id", "in", "--output-dir", "."], 64, &words);
    refuses(&dir, &["encrypt", "-i", "id", "in", "-"], 64, &["standard output", "tar"]);
    refuses(
        &dir,
        &["encrypt", "-i", "id", "-", "in", "--output-dir", "x"],
        64,
        &["standard input"],
    );
    refuses(
        &dir,
        &["encrypt", "-i", "id", "in", "id"],
        73,
        &["id: already exists, and is not a folder"],
    );
    refuses(&dir, &["encrypt", "-i", "id", "in", "x", "y"], 64, &["--output-dir"]);
    refuses(&dir, &["encrypt", "-i", "id", ".", "--include", "a"], 64, &["no name"]);
    refuses(&dir, &["encrypt", "-i", "id", "none", "--output-dir", "x"], 66, &["none"]);
}

#[test]
fn two_inputs_for_one_output_are_refused_before_anything_is_written() {
    let dir = with_files();
    fs::create_dir_all(dir.path("more/in")).unwrap();
    let args = ["encrypt", "-i", "id", "in", "more/in", "--output-dir", "out"];
    refuses(&dir, &args, 64, &["in and more/in would become the same"]);
    let args = ["encrypt", "-i", "id", "in/a", "in/sub", "./in/a", "--output-dir", "out"];
    refuses(&dir, &args, 64, &["would become the same"]);
}

/// Two entries that would get the same output are both left out, and the rest is done.
#[test]
fn only_conflicting_files_are_left_out() {
    let dir = with_files();
    let run = |args: &[&str], words: &[&str], left: usize| {
        let _ = fs::remove_dir_all(dir.path("out"));
        ends(dir.run(args), 64, words);
        assert_eq!(described(&dir.path("out")).len(), left);
    };
    // A link and a folder keep their names; a file gets another.
    let args = ["encrypt", "-i", "id", "in", "out"];
    let words = ["in/a and in/a.enc would become the same", "3 files encrypted, 1 failed"];
    symlink("x", dir.path("in/a.enc")).unwrap();
    run(&args, &words, 5);
    fs::remove_file(dir.path("in/a.enc")).unwrap();
    fs::create_dir(dir.path("in/a.enc")).unwrap();
    fs::write(dir.path("in/a.enc/large"), test_bytes(2 << 20)).unwrap();
    run(&args, &words, 5);
    let excluded = [&args[..], &["--exclude", "/a.enc"]].concat();
    let _ = fs::remove_dir_all(dir.path("out"));
    dir.run(&excluded).ok_and_silent();
    fs::remove_dir_all(dir.path("in/a.enc")).unwrap();
    dir.run(&["encrypt", "-i", "id", "in", "encrypted"]).ok_and_silent();
    fs::copy(dir.path("encrypted/a.enc"), dir.path("encrypted/a.age")).unwrap();
    let args = ["decrypt", "-i", "id", "encrypted", "out"];
    let words = ["a.enc and encrypted/a.age would become the same", "3 files decrypted, 1 failed"];
    run(&args, &words, 5);
    fs::remove_file(dir.path("encrypted/a.age")).unwrap();
    fs::create_dir(dir.path("encrypted/a")).unwrap();
    fs::write(dir.path("encrypted/a/x.enc"), dir.read("encrypted/a.enc")).unwrap();
    run(&args, &["would become the same", "3 files decrypted, 1 failed"], 5);
    let _ = fs::remove_dir_all(dir.path("out"));
    dir.run(&[&args[..], &["--exclude", "a.enc"]].concat()).ok_and_silent();
    assert!(dir.path("out/a/x").exists());
}

#[test]
fn special_files_and_keys_are_named_and_left_out() {
    let dir = with_files();
    for (name, kind) in [("pipe", FileType::Fifo), ("socket", FileType::Socket)] {
        mknodat(CWD, dir.path("in").join(name), kind, Mode::RWXU, 0).unwrap();
    }
    fs::copy(dir.path("id"), dir.path("in/sub/id")).unwrap();
    fs::remove_file(dir.path("id")).unwrap();
    let done = dir.run(&["encrypt", "-i", "in/sub/id", "in", "out"]).ok();
    let text = done.stderr_text();
    for name in [
        "in/pipe: is not a file, folder or link",
        "in/socket: is not a file, folder or link",
        "in/sub/id: is a key",
    ] {
        assert!(text.contains(name), "{text}");
    }
    assert!(text.contains("4 files encrypted, 3 skipped"), "{text}");
    assert!(fs::symlink_metadata(dir.path("in/pipe")).unwrap().file_type().is_fifo());
    assert_eq!(described(&dir.path("out")).len(), 6);
}

/// Not even with --force: without the key, the files could never be decrypted.
#[test]
fn a_key_of_the_run_is_never_an_output() {
    let dir = with_files();
    fs::create_dir(dir.path("out")).unwrap();
    fs::copy(dir.path("id"), dir.path("out/a.enc")).unwrap();
    let key = dir.read("id");
    for extra in [&["--force"][..], &["--newer"], &["--force", "--remove-source"]] {
        for args in [&["in", "out"][..], &["in/a", "--output-dir", "out"]] {
            let args = [&["encrypt", "-i", "out/a.enc"][..], args, extra].concat();
            ends(dir.run(&args), 73, &["out/a.enc: is the file that the key was read from"]);
            assert!(dir.read("out/a.enc") == key && dir.read("in/a") == b"a");
        }
    }
}

/// They are read like other files: not through links, and only up to a limit.
#[test]
fn unusable_gitignore_files_are_reported() {
    let dir = with_files();
    dir.write("rules", "a\n");
    let run = |args: &[&str]| {
        let _ = fs::remove_dir_all(dir.path("out"));
        dir.run(&[&["encrypt", "-i", "id", "in", "out"][..], args].concat())
    };
    let place = dir.path("in/.gitignore");
    symlink("../rules", &place).unwrap();
    let check = |done: Done| {
        ends(done, 0, &["in/.gitignore: is not a readable regular file"]);
        assert!(dir.path("out/a.enc").exists());
    };
    check(run(&["--gitignore"]));
    fs::remove_file(&place).unwrap();
    symlink("/dev/zero", &place).unwrap();
    check(run(&["--gitignore"]));
    fs::remove_file(&place).unwrap();
    mknodat(CWD, &place, FileType::Fifo, Mode::RWXU, 0).unwrap();
    check(run(&["--gitignore"]));
    fs::remove_file(&place).unwrap();
    // Of all pattern files that apply at once, those within the limit are used.
    let patterns = |len: usize| "#".repeat(len) + "\na\n";
    fs::create_dir_all(dir.path("in/one/two")).unwrap();
    fs::create_dir_all(dir.path("in/other")).unwrap();
    for folder in ["one", "one/two", "other"] {
        dir.write(format!("in/{folder}/.gitignore"), patterns(150 << 10));
        dir.write(format!("in/{folder}/a"), "a");
    }
    let done = run(&["--gitignore", "--exclude", ".gitignore"]);
    assert!(!done.stderr_text().contains("in/other"), "{done:?}");
    assert!(!done.stderr_text().contains("in/one/.gitignore"), "{done:?}");
    ends(done, 0, &["in/one/two/.gitignore: is not a readable regular file", "256 KiB"]);
    for (file, is_there) in [("a", true), ("one/a", false), ("other/a", false)] {
        assert_eq!(dir.path(format!("out/{file}.enc")).exists(), is_there, "{file}");
    }
    ends(run(&["--ignore-file", "/dev/zero"]), 78, &["/dev/zero", "1 MiB"]);
    ends(run(&["--include", ""]), 64, &["an empty glob"]);
}

/// An entry in place of a folder of the copy is never followed, wherever it leads.
#[test]
fn nothing_is_written_through_a_link_in_the_copy() {
    let dir = with_files();
    fs::create_dir_all(dir.path("elsewhere/deep")).unwrap();
    fs::create_dir(dir.path("in/sub/deep")).unwrap();
    fs::write(dir.path("in/sub/deep/d"), "d").unwrap();
    dir.run(&["encrypt", "-i", "id", "in", "encrypted"]).ok_and_silent();
    let before = described(&dir.path("elsewhere"));
    for (command, input) in [("encrypt", "in"), ("decrypt", "encrypted")] {
        for extra in ["--force", "--newer"] {
            let _ = fs::remove_dir_all(dir.path("out"));
            fs::create_dir(dir.path("out")).unwrap();
            symlink("../elsewhere", dir.path("out/sub")).unwrap();
            let done = dir.run(&[command, "-i", "id", input, "out", extra]);
            let text = done.stderr_text();
            ends(done, 73, &["out/sub: already exists, and is not a folder"]);
            assert_eq!(text.matches("error:").count(), 1, "{text}");
            assert!(described(&dir.path("elsewhere")) == before);
            let done = described(&dir.path("out"));
            assert_eq!(done.len(), 4, "the files beside it are there: {:?}", done.keys());
        }
    }
    // The same under the name of a file.
    dir.write("precious", "precious");
    fs::remove_dir_all(dir.path("out")).unwrap();
    fs::create_dir(dir.path("out")).unwrap();
    symlink("../precious", dir.path("out/a.enc")).unwrap();
    let args = ["encrypt", "-i", "id", "in", "out"];
    ends(dir.run(&args), 73, &["out/a.enc: already exists"]);
    ends(
        dir.run(&[&args[..], &["--force"]].concat()),
        73,
        &["out/a.enc: already exists", "is not a file"],
    );
    assert_eq!(dir.read("precious"), b"precious");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_done() {
    let dir = with_files();
    let mode = |name: &str, mode| {
        fs::set_permissions(dir.path(name), Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(dir.path("in/closed")).unwrap();
    fs::write(dir.path("in/closed/x"), "x").unwrap();
    fs::create_dir(dir.path("free")).unwrap();
    for (name, bits) in
        [(".", 0o755), ("id", 0o644), ("in/a", 0), ("in/closed", 0), ("free", 0o777)]
    {
        mode(name, bits);
    }
    let done = dir.unprivileged(&["encrypt", "-i", "id", "in", "free/out"]).run();
    let words = ["in/a: ", "in/closed: ", "permission denied", "3 files encrypted, 2 failed"];
    ends(done, 66, &words);
    // The folder exists in the copy, with the same restrictive permissions.
    let copied = fs::metadata(dir.path("free/out/closed")).unwrap();
    assert_eq!(copied.permissions().mode() & 0o777, 0);
    for name in ["in/closed", "free/out/closed"] {
        mode(name, 0o700);
    }
}

#[test]
fn names_and_paths_that_are_too_long() {
    let dir = with_files();
    fs::write(dir.path("in").join("n".repeat(255)), "x").unwrap();
    let done = dir.run(&["encrypt", "-i", "id", "in", "out"]);
    ends(done, 73, &["nnn.enc: ", "name is too long (259 bytes)", "4 files encrypted, 1 failed"]);
    fs::remove_file(dir.path("in").join("n".repeat(255))).unwrap();
    // Deeper than any path can express.
    let mut folder =
        openat(CWD, dir.path("in"), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    let name = "f".repeat(200);
    for _ in 0..25 {
        mkdirat(&folder, &name, Mode::RWXU).unwrap();
        folder = openat(&folder, &name, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let done = dir.run(&["encrypt", "-i", "id", "in", "out2"]);
    ends(done, 66, &["name too long", "move the folder up", "4 files encrypted"]);
    // Such deep entries may be missing in the copy, so nothing is removed there.
    dir.write("out2/old.enc", "");
    let done = dir.run(&["encrypt", "-i", "id", "in", "out2", "--newer", "--delete"]);
    ends(done, 66, &["name too long", "4 up to date, 1 failed", "nothing was removed"]);
    assert!(dir.path("out2/old.enc").exists());
    let done = dir.run(&["encrypt", "-i", "id", "in", "in.tar.enc", "--archive"]);
    ends(done, 66, &["name too long"]);
    assert!(!dir.path("in.tar.enc").exists());
    fs::rename(dir.path("in/a"), dir.path("in/a.enc")).unwrap();
    ends(dir.run(&["verify", "-i", "id", "in"]), 65, &["name too long", "in/a.enc: "]);
    // `remove_dir_all` can remove it, as it does not use paths.
    fs::remove_dir_all(dir.path("in").join(&name)).unwrap();
}

/// The errors of file systems that refuse names (exFAT behind FUSE, NTFS with `windows_names`) or
/// have no links. As with cp(1), everything else is done, and each run says that something is
/// missing.
#[test]
fn what_the_file_system_cannot_hold_is_named_and_the_rest_is_done() {
    let dir = with_files();
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: making system calls fail needs the program `strace`");
        return;
    }
    for name in ["one", "two", "three"] {
        symlink("a", dir.path("in").join(name)).unwrap();
    }
    for error in ["EPERM", "EOPNOTSUPP", "ENOSYS"] {
        let script = format!(
            "strace -f -qq -o /dev/null -e trace=symlinkat -e inject=symlinkat:error={error} \
             \"$CS\" encrypt -i id in out --processes 0"
        );
        let done = dir.shell(&script).run();
        let text = done.stderr_text();
        assert_eq!(text.matches("has no symbolic links").count(), 1, "{text}");
        let all = if error == "EPERM" { "4 files encrypted" } else { "4 up to date" };
        ends(done, 73, &["2 more failed for the same reason", "3 failed", all]);
    }
    fs::create_dir(dir.path("in/c:d")).unwrap();
    let script = "strace -f -qq -o /dev/null -e trace=mkdirat -e inject=mkdirat:error=EINVAL \
                  \"$CS\" encrypt -i id in out --processes 0 --exclude sub";
    ends(dir.shell(script).run(), 73, &["out/c:d: ", "accept this name", "1 failed"]);
}

/// Kills runs at random moments and starts them again: in the end everything is there, and no file
/// is ever incomplete.
#[test]
fn an_interrupted_run_is_simply_started_again() {
    let dir = Dir::new();
    dir.keygen("id");
    unusual_entries(&dir.path("in"));
    for number in 0..1500 {
        let folder = dir.path("in").join(format!("many/{}", number % 40));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), test_bytes(number * 7)).unwrap();
    }
    fs::write(dir.path("in/many/large"), test_bytes(40 << 20)).unwrap();
    let mut random = Random::new();
    for (command, input, output) in [("encrypt", "in", "out"), ("decrypt", "out", "back")] {
        let args = [command, "-i", "id", input, output, "--processes", "2"];
        for round in 0..10 {
            let group = Group::start(dir.command(&args));
            thread::sleep(random.within(Duration::from_millis(250)));
            let signal = [Signal::KILL, Signal::TERM][round % 2];
            // The run may have finished already.
            let _ = rustix::process::kill_process(group.pid, signal);
            let done = group.wait();
            assert!(!done.stderr_text().contains("error"), "{done:?}");
        }
        dir.run(&args).ok();
    }
    let temporaries = described(&dir.path("out"));
    let is_temporary =
        |name: &Path| name.as_os_str().as_bytes().windows(11).any(|w| w == b"cryptstream");
    assert!(!temporaries.keys().any(|name| is_temporary(name)));
    assert_same(&dir.path("in"), &dir.path("back"));
}

/// Files are written, replaced and removed during a run: every output is complete, or reported as
/// missing.
#[test]
fn a_tree_that_changes_meanwhile() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/sub")).unwrap();
    let name =
        |number: usize| dir.path("in").join(["", "sub"][number % 2]).join(number.to_string());
    let content = |number: usize, version: u8| vec![version; 1 + number * 997 % 90_000];
    for number in 0..300 {
        fs::write(name(number), content(number, 1)).unwrap();
    }
    // A file is always complete under its name, whenever it is read.
    let replace = |number: usize, version: u8| {
        let aside = dir.path("aside");
        fs::write(&aside, content(number, version)).unwrap();
        fs::rename(aside, name(number)).unwrap();
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..300).cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                match number % 5 {
                    0 => replace(number, 2),
                    1 => drop(fs::remove_file(name(number))),
                    2 => {
                        let _ = fs::remove_file(name(number));
                        let _ = symlink("/etc/hostname", name(number));
                    }
                    _ => {}
                }
                if number % 5 == 4 {
                    replace(number - 2, 1);
                    replace(number - 3, 1);
                }
            }
        });
        for round in 0..4 {
            let done = dir.run(&["encrypt", "-i", "id", "in", &format!("out{round}")]);
            assert!([0, 65, 66, 74, 75].contains(&done.code().unwrap()), "{done:?}");
            assert!(!done.stderr_text().contains("panicked"), "{done:?}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for round in 0..4 {
        let (encrypted, decrypted) = (format!("out{round}"), format!("back{round}"));
        dir.run(&["decrypt", "-i", "id", &encrypted, &decrypted]).ok();
        for number in 0..300 {
            let file = dir.path(&decrypted).join(["", "sub"][number % 2]).join(number.to_string());
            if fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
                let decrypted = fs::read(&file).unwrap();
                let is_whole = [1, 2].iter().any(|v| decrypted == content(number, *v));
                assert!(is_whole, "{number}: {} bytes", decrypted.len());
            }
        }
    }
}
