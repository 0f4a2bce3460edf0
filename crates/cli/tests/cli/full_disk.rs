//! Folders that do not fit on the disk of their copy.

use std::fs;

use crate::common::failing_calls::can;
use crate::common::{Dir, Done, test_bytes};

/// Mounts a file system of this size at `disk` for the rest of the script, where nobody else sees
/// it.
fn with_disk(size: &str, script: &str) -> String {
    format!("unshare --mount bash -c 'mount -t tmpfs -o size={size} none disk || exit 1; {script}'")
}

/// A folder with an identity and an empty folder `disk`; `None` if nothing can be mounted there.
fn folder() -> Option<Dir> {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    fs::create_dir(dir.path("disk")).unwrap();
    let trial = format!("cd {}; {}", dir.root().display(), with_disk("1M", "true"));
    can(&trial, "the right to mount (root, `unshare`)").then_some(dir)
}

/// Encrypts `in`, and then lists the names on the disk.
fn encrypt(dir: &Dir, size: &str, more: &str) -> Done {
    let script = format!("$CS encrypt -i id in {more}; s=$?; ls -A disk disk/out; exit $s");
    dir.shell(&with_disk(size, &script)).run()
}

#[test]
fn what_fits_is_encrypted_beside_what_does_not() {
    let Some(dir) = folder() else { return };
    dir.write("in/large", test_bytes(24 << 20));
    for number in 0..100 {
        dir.write(format!("in/{number}"), test_bytes(70_000));
        dir.write(format!("in/small-{number}"), test_bytes(40_000));
    }
    // While the large file fills the disk, others find no room.
    for processes in [0, 1, 2, 4] {
        let done = encrypt(&dir, "22M", &format!("disk/out --processes {processes}"));
        let text = done.stderr_text();
        assert_eq!(done.code(), Some(74), "{text}");
        assert!(text.contains("disk/out/large.enc: "), "--processes {processes}: {text}");
        assert!(text.contains(", 1 failed"), "--processes {processes}: {text}");
    }
}

#[test]
fn all_that_failed_can_be_named_and_an_empty_copy_is_removed() {
    let Some(dir) = folder() else { return };
    for name in ["a", "b", "c"] {
        dir.write(format!("in/{name}"), test_bytes(3 << 20));
    }
    let all = ["out/a.enc: ", "out/b.enc: ", "out/c.enc: "];
    let args = "disk/out --processes 2";
    let done = encrypt(&dir, "1M", args);
    let text = done.stderr_text();
    assert_eq!(all.iter().filter(|name| text.contains(**name)).count(), 1, "{text}");
    assert!(text.contains("2 more failed for the same reason; -v or --json names them"), "{text}");
    // `ls` finds neither the folder nor anything in it.
    assert_eq!((done.code(), done.stdout_text()), (Some(74), "disk:\n".to_owned()), "{text}");

    let text = encrypt(&dir, "1M", &format!("{args} -v")).stderr_text();
    assert!(all.iter().all(|name| text.contains(name)) && !text.contains("more failed"), "{text}");
    let text = encrypt(&dir, "1M", &format!("{args} --json")).stdout_text();
    assert!(all.iter().all(|name| text.contains(&name[..9])), "{text}");

    // A folder that existed stays, and so does one with something in it.
    let script = "mkdir disk/out; $CS encrypt -i id in disk/out; ls disk";
    assert_eq!(dir.shell(&with_disk("1M", script)).run().stdout_text(), "out\n");
    dir.write("in/d", "small");
    assert_eq!(encrypt(&dir, "1M", args).stdout_text(), "disk:\nout\n\ndisk/out:\nd.enc\n");
}
