//! Files that are missing, unreadable, in the way or changing; full disks; usage errors.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant;

use crate::common::group::Group;
use crate::common::{Dir, test_bytes};
use rustix::process::Signal;

fn chmod(dir: &Dir, name: &str, mode: u32) {
    fs::set_permissions(dir.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_input_that_cannot_be_read() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.fails(dir.command(&["encrypt", "none", "-i", "id"]), 66, &["none", "no such file"]);
    dir.fails(dir.command(&["decrypt", "none.enc", "-i", "id"]), 66, &["none.enc", "no such file"]);
    dir.fails(
        dir.command(&["encrypt", ".", "x", "-i", "id"]),
        64,
        &["x: is inside .", "outside of it"],
    );
    dir.fails(dir.shell("$CS decrypt -i id - x < ."), 66, &["is a folder"]);
    chmod(&dir, ".", 0o777);
    chmod(&dir, "id", 0o644);
    dir.write("secret", "content");
    chmod(&dir, "secret", 0);
    let run = dir.unprivileged(&["encrypt", "secret", "-i", "id"]);
    dir.fails(run, 66, &["secret", "permission denied"]);
}

#[test]
fn an_output_that_exists_or_cannot_be_created_is_refused() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.write("there", "precious");
    fs::create_dir(dir.path("folder")).unwrap();
    symlink("nowhere", dir.path("dangling")).unwrap();
    let encrypt = |output: &str| dir.command(&["encrypt", "-i", "id", "plain", output]);
    dir.fails(encrypt("there"), 73, &["there", "exists", "--force"]);
    dir.fails(encrypt("dangling"), 73, &["dangling", "exists"]);
    // Unlike age, and like mv(1): what it leads to may be on a disk that is not mounted.
    dir.run(&["encrypt", "-i", "id", "plain", "dangling", "--force"]).ok();
    assert!(fs::symlink_metadata(dir.path("dangling")).unwrap().is_file());
    assert!(!dir.path("nowhere").exists());
    fs::remove_file(dir.path("dangling")).unwrap();
    symlink("nowhere", dir.path("dangling")).unwrap();
    dir.fails(encrypt("folder"), 73, &["folder", "is a folder"]);
    dir.fails(encrypt("missing/out"), 73, &["missing/out", "no such file"]);
    dir.fails(encrypt("new/"), 73, &["new/", "ends in a slash", "--output-dir"]);
    dir.fails(encrypt("plain/out"), 73, &["plain/out", "not a directory"]);
    dir.fails(encrypt(&"n".repeat(256)), 73, &["too long"]);
    dir.fails(encrypt(""), 64, &["OUTPUT"]);
    assert_eq!(dir.read("there"), b"precious");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    fs::create_dir(dir.path("locked")).unwrap();
    for (name, mode) in [(".", 0o777), ("id", 0o644), ("plain", 0o644), ("locked", 0o555)] {
        chmod(&dir, name, mode);
    }
    let run = dir.unprivileged(&["encrypt", "-i", "id", "plain", "locked/out"]);
    dir.fails(run, 73, &["locked/out", "permission denied", "folder"]);
    assert_eq!(fs::read_dir(dir.path("locked")).unwrap().count(), 0);
}

#[test]
fn the_same_file_is_known_under_all_its_names() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"content");
    dir.write("a", &encrypted);
    fs::hard_link(dir.path("a"), dir.path("hard")).unwrap();
    symlink("a", dir.path("soft")).unwrap();
    for output in ["a", "./a", "hard", "soft"] {
        for command in ["encrypt", "decrypt"] {
            let run = dir.command(&[command, "-i", "id", "a", output, "--force"]);
            dir.fails(run, 73, &["same file"]);
        }
    }
    dir.fails(dir.shell("$CS encrypt -i id a - >> a"), 73, &["same file"]);
    dir.fails(dir.shell("$CS encrypt -i id - a --force < a"), 73, &["same file"]);
}

#[test]
fn an_input_that_changes_meanwhile() {
    let dir = Dir::new();
    dir.keygen("id");
    let size = 64 << 20;
    type Change = (&'static str, fn(&Dir));
    let changes: [Change; 4] = [
        ("grows", |dir| {
            let mut file = fs::File::options().append(true).open(dir.path("big")).unwrap();
            file.write_all(b"more").unwrap();
        }),
        ("shrinks", |dir| {
            let file = fs::File::options().write(true).open(dir.path("big")).unwrap();
            file.set_len(100).unwrap();
        }),
        ("is overwritten", |dir| {
            let file = fs::File::options().write(true).open(dir.path("big")).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"other", 7).unwrap();
        }),
        ("is removed", |dir| fs::remove_file(dir.path("big")).unwrap()),
    ];
    for (what, change) in changes {
        let start = Instant::now();
        loop {
            assert!(
                start.elapsed() < crate::common::TIMEOUT,
                "{what}: always over before it was stopped"
            );
            fs::File::create(dir.path("big")).unwrap().set_len(size).unwrap();
            // Stops the program as soon as it works on the file, which its open output shows. If it
            // has already finished, tries again.
            let group = Group::start(dir.command(&["encrypt", "-i", "id", "big", "out"]));
            let is_in_time = group.reaches("at work", |group| group.unnamed_len().is_some())
                && group.freeze()
                && group.unnamed_len().is_some_and(|len| len < size);
            if is_in_time {
                change(&dir);
            }
            group.signal_all(Signal::CONT);
            let done = group.wait();
            let _ = fs::remove_file(dir.path("big"));
            if is_in_time {
                assert_eq!(done.code(), Some(75), "{what}: {done:?}");
                assert!(done.stderr_text().contains("changed while"), "{what}: {done:?}");
                assert_eq!(dir.names(), ["id"], "{what}");
                break;
            }
            done.ok();
            fs::remove_file(dir.path("out")).unwrap();
        }
    }
}

#[test]
fn a_full_disk_and_a_file_size_limit() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(&test_bytes(3 << 20));
    dir.write("a.enc", encrypted);
    dir.write("plain", test_bytes(3 << 20));
    dir.fails(
        dir.command(&["decrypt", "-i", "id", "a.enc", "/dev/full"]),
        74,
        &["no space left", "only the beginning"],
    );
    dir.fails(dir.shell("$CS encrypt -i id plain - > /dev/full"), 74, &["no space left"]);
    let limited = dir.shell("ulimit -f 1024; exec $CS encrypt -i id plain out");
    dir.fails(limited, 74, &["out", "file too large", "no partial output"]);
    let limited = dir.shell("ulimit -f 1024; exec $CS decrypt -i id a.enc out");
    dir.fails(limited, 74, &["out", "file too large"]);
}

#[test]
fn too_little_memory_for_the_key_derivation() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let script = "ulimit -v 200000; exec $CS encrypt plain --key x";
    dir.fails(
        dir.shell(script).with_usual_costs(),
        75,
        &["256 MiB", "ulimit -v", "--argon2id 64MiB"],
    );
}

#[test]
fn usage_errors_on_the_command_line() {
    let dir = Dir::new();
    let recipient = dir.keygen("id");
    dir.write("plain", "content");
    dir.write("empty", "\n");
    for (args, words) in [
        (&["encrypt", "plain"][..], &["no key", "-p", "-r"][..]),
        (&["decrypt", "plain", "out"], &["no key", "-i"]),
        (&["encrypt", "plain", "--key", ""], &["--key", "empty"]),
        (&["encrypt", "plain", "--passphrase-file", "empty"], &["empty"]),
        (&["encrypt", "plain", "--key", "x", "-r", &recipient], &["cannot be combined"]),
        (&["encrypt", "plain", "--key", "x", "--passphrase-file", "id"], &["cannot be used with"]),
        (&["encrypt", "plain", "--key", "x", "--argon2id", "1MiB"], &["--argon2id", "64MiB"]),
        (&["encrypt", "plain", "--key", "x", "--argon2id", "lots"], &["--argon2id"]),
        (&["encrypt", "plain", "x.age", "--key", "x", "--argon2id", "64MiB"], &["--scrypt"]),
        (&["encrypt", "plain", "--key", "x", "--scrypt", "18"], &["--argon2id"]),
        (&["encrypt", "plain", "-r", "age1nonsense"], &["recipient"]),
        (&["encrypt", "plain", "-r", "ssh-ed25519 AAAA"], &["SSH", "damaged"]),
        (&["encrypt", "plain", "a", "b", "-i", "id"], &["--output-dir"]),
        (&["decrypt", "plain", "a", "b", "-i", "id", "--range", "0-1"], &["--output-dir"]),
        (&["encrypt", "plain", "--no-such-flag"], &["--no-such-flag"]),
        (&["encrypt", "-", "out", "-R", "-", "-i", "-"], &["standard input"]),
        (&["no-such-command"], &["no-such-command"]),
        (&[], &["Usage"]),
    ] {
        dir.fails(dir.command(args), 64, words);
    }
    let run = dir.command(&["encrypt", "plain"]).env("CRYPTSTREAM_PASSPHRASE", "");
    dir.fails(run, 64, &["CRYPTSTREAM_PASSPHRASE", "empty"]);
}

#[test]
fn a_key_file_is_never_encrypted_or_overwritten() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    // A closed descriptor must not turn out to be that of the input.
    let run = dir.shell("exec $CS encrypt plain --passphrase-fd 3 --remove-source 3<&-");
    dir.fails(run, 66, &["--passphrase-fd 3"]);
    for script in [
        "printf data | $CS encrypt --passphrase-fd 0 - out",
        "printf data | $CS encrypt --passphrase-file /dev/stdin - out",
        "printf data | $CS encrypt --passphrase-file - - out",
        "$CS encrypt --passphrase-file plain plain out",
        "$CS encrypt -i id id --remove-source",
        "$CS encrypt -i id - out < id",
    ] {
        dir.fails(dir.shell(script), 64, &["both the data and the key"]);
    }
    dir.fails(
        dir.command(&["encrypt", "-i", "id", "plain", "id", "--force"]),
        73,
        &["key was read"],
    );
    std::os::unix::fs::symlink("id", dir.path("link")).unwrap();
    dir.fails(dir.command(&["encrypt", "-i", "id", "plain", "link", "-f"]), 73, &["key was read"]);
}

#[test]
fn wrong_key_files_are_named_with_their_line_and_no_secret() {
    let dir = Dir::new();
    let recipient = dir.keygen("id");
    dir.write("plain", "content");
    let secret = String::from_utf8(dir.read("id")).unwrap().lines().last().unwrap().to_owned();
    dir.write("typo", format!("# mine\n{}\n", &secret[..secret.len() - 1]));
    dir.write("mixed", format!("{recipient}\n{secret}\n"));
    dir.write("public", &recipient);
    dir.write("none", "# nothing\n");
    dir.write("binary", [0xff, 0xfe, 0x00]);
    for (args, code, words) in [
        (["encrypt", "plain", "-i", "typo"], 78, &["line 2", "check that typo is the right"][..]),
        (["encrypt", "plain", "-R", "mixed"], 78, &["line 2", "secret key", "keygen -y mixed"]),
        (["encrypt", "plain", "-R", "id"], 78, &["line 3", "secret key", "use -i id"]),
        (["encrypt", "plain", "-R", "binary"], 78, &["check that binary is the right"]),
        (["encrypt", "plain", "-i", "public"], 78, &["public", "line 1", "not an identity"]),
        (["encrypt", "plain", "-i", "none"], 78, &["none", "no identity", "keygen"]),
        (["encrypt", "plain", "-i", "binary"], 78, &["binary", "not text (UTF-8)"]),
        (["encrypt", "plain", "-i", "missing"], 66, &["missing", "no such file"]),
        (["encrypt", "plain", "-r", &secret], 64, &["secret key, not a recipient"]),
    ] {
        let done = dir.fails(dir.command(&args), code, words);
        assert!(!done.stderr_text().contains(&secret[..30]), "{done:?}");
        // There may be no other copy of the key.
        assert!(!done.stderr_text().contains("remove"), "{done:?}");
    }
    fs::File::create(dir.path("huge")).unwrap().set_len(1 << 30).unwrap();
    for args in [["encrypt", "plain", "-i", "huge"], ["encrypt", "plain", "-R", "huge"]] {
        let done = dir.run(&args);
        assert_eq!(done.code(), Some(78), "{done:?}");
        assert!(done.stderr_text().contains("larger than 16 MiB"), "{done:?}");
    }
    let done = dir.run(&["encrypt", "plain", "--passphrase-file", "huge"]);
    assert_eq!(done.code(), Some(64), "{done:?}");
    assert!(!dir.path("plain.enc").exists());
}

#[test]
fn closed_streams_do_no_harm() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.shell("$CS encrypt -i id plain <&- >&-").run().ok();
    dir.shell("$CS decrypt -i id plain.enc out 2>&-").run().ok();
    assert_eq!(dir.read("out"), b"content");
    assert_eq!(dir.shell("$CS decrypt -i id nothing out 2>&-").run().code(), Some(66));
}

/// Another program gives the input a second name or other permission bits while it is read, as `cp
/// -al` of a folder of backups does. Borg and GNU tar warn about that, because the time of the last
/// change (ctime) moves. The content is the same, so the copy is right. New content under the old
/// time is noticed.
#[test]
fn a_new_name_of_the_input_does_not_count_as_a_change() {
    let dir = Dir::new();
    dir.keygen("id");
    let content = test_bytes(3 << 20);
    let path = dir.write("f", &content);
    let changed_meanwhile = |change: &dyn Fn()| {
        let args = ["encrypt", "-i", "id", "f", "-", "--processes", "0"];
        let mut child = dir.command(&args).spawn();
        // The input is open by now; the rest does not fit into the pipe.
        let (mut stdout, mut encrypted) = (child.stdout.take().unwrap(), vec![0]);
        stdout.read_exact(&mut encrypted).unwrap();
        change();
        stdout.read_to_end(&mut encrypted).unwrap();
        (child.wait_with_output().unwrap().status.code(), encrypted)
    };
    let (code, encrypted) = changed_meanwhile(&|| {
        fs::hard_link(&path, dir.path("second")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert_eq!(code, Some(0));
    let decrypted = dir.command(&["decrypt", "-i", "id", "-", "-"]).input(&encrypted).run().ok();
    assert!(decrypted.stdout == content);
    let (code, _) = changed_meanwhile(&|| {
        let file = fs::File::options().write(true).open(&path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        (&file).write_all(b"other").unwrap();
        file.set_modified(time).unwrap();
    });
    assert_eq!(code, Some(75));
}

/// The input is at fault, and not damaged.
#[test]
fn an_input_that_is_too_long_for_the_format_is_refused() {
    let Some(dir) = Dir::new_in(std::path::Path::new("/dev/shm")) else { return };
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    let file = fs::File::create(dir.path("in/long")).unwrap();
    for (len, format, help) in [
        (5 << 50, "native", "encrypt it in parts, or with --format age\n"),
        (7 << 60, "native", "encrypt it in parts\n"),
        (17 << 50, "age", "encrypt it in parts\n"),
    ] {
        if file.set_len(len).is_err() {
            eprintln!("skipped: this test needs a file system for very long files");
            return;
        }
        for (input, output) in [("in/long", "out"), ("in", "copy")] {
            let run = dir.command(&["encrypt", "-i", "id", input, output, "--format", format]);
            let words = [&format!("in/long: {len} bytes are more than a file can hold"), help];
            dir.fails(run, 66, &words);
        }
    }
}
