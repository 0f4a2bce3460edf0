//! What stays in the page cache, and that nothing else changes.

use std::fs::{self, File};
use std::process::Command;

use cryptstream_shm::descriptors::cached_len;

use crate::common::{Dir, test_bytes};

/// Enough for what is dropped behind the workers, which is 64 MiB and more.
const LEN: usize = 80 << 20;

/// A folder with an identity and a file of [`LEN`] bytes, on the device already.
fn prepared() -> Dir {
    let dir = Dir::new();
    dir.run(&["keygen", "-o", "me"]).ok();
    let path = dir.write("plain", test_bytes(1 << 20).repeat(LEN >> 20));
    File::open(path).unwrap().sync_all().unwrap();
    dir
}

/// How much of a file is in the page cache, in percent; `None` where the system does not tell, or
/// the page cache is all there is.
fn cached_percent(dir: &Dir, name: &str) -> Option<u64> {
    let file = File::open(dir.path(name)).unwrap();
    let is_tmpfs = rustix::fs::fstatfs(&file).unwrap().f_type == 0x0102_1994;
    let cached = cached_len(&file).ok().filter(|_| !is_tmpfs)?;
    Some(cached * 100 / file.metadata().unwrap().len())
}

#[test]
fn dropped_content_is_not_left_in_the_page_cache() {
    let dir = prepared();
    for workers in ["0", "2"] {
        let flags = ["--processes", workers, "--cache", "drop", "--sync", "--force", "-i", "me"];
        let run = |args: &[&str]| dir.run(&[args, &flags].concat()).ok_and_silent();
        run(&["encrypt", "plain", "sealed.enc"]);
        let after_encrypting = ["plain", "sealed.enc"].map(|name| cached_percent(&dir, name));
        run(&["decrypt", "sealed.enc", "back"]);
        let after_decrypting = ["sealed.enc", "back"].map(|name| cached_percent(&dir, name));
        assert!(fs::read(dir.path("back")).unwrap() == fs::read(dir.path("plain")).unwrap());
        for percent in after_encrypting.into_iter().chain(after_decrypting) {
            match percent {
                Some(percent) => assert!(percent <= 5, "{percent} % with {workers} workers"),
                None => eprintln!("skipped: what is cached here is not told"),
            }
        }
        let flags = ["--processes", workers, "--cache", "drop", "-i", "me"];
        dir.run(&[&["verify", "-q", "sealed.enc"], &flags[..]].concat()).ok_and_silent();
        assert!(cached_percent(&dir, "sealed.enc").is_none_or(|percent| percent <= 5));
    }
}

#[test]
fn archives_folders_and_rekeying_drop_what_they_read_and_write() {
    let dir = prepared();
    dir.run(&["keygen", "-o", "you"]).ok();
    fs::create_dir(dir.path("folder")).unwrap();
    fs::rename(dir.path("plain"), dir.path("folder/plain")).unwrap();
    let drop = ["--cache", "drop", "-i", "me"];
    let run = |args: &[&str]| dir.run(&[args, &drop[..]].concat()).ok();
    run(&["encrypt", "--archive", "folder", "all.tar.enc", "--sync"]);
    // Shorter than what is dropped behind the workers, and not made durable.
    dir.write("folder/short", test_bytes(9 << 20));
    run(&["encrypt", "folder", "copy"]);
    for name in ["folder/plain", "all.tar.enc", "copy/plain.enc", "copy/short.enc"] {
        assert!(cached_percent(&dir, name).is_none_or(|percent| percent <= 10), "{name}");
    }
    run(&["decrypt", "--extract", "all.tar.enc", "unpacked"]);
    assert!(dir.read("unpacked/plain") == dir.read("folder/plain"));
    fs::remove_dir_all(dir.path("unpacked")).unwrap();
    run(&["decrypt", "--extract", "all.tar.enc", "unpacked"]);
    assert!(cached_percent(&dir, "unpacked/plain").is_none_or(|percent| percent <= 5));
    run(&["rekey", "--reencrypt", "all.tar.enc", "--new-identity", "you"]);
    assert!(cached_percent(&dir, "all.tar.enc").is_none_or(|percent| percent <= 5));
    dir.run(&["verify", "-q", "all.tar.enc", "-i", "you"]).ok_and_silent();
}

#[test]
fn an_error_of_the_device_while_writing_early_is_an_error() {
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("skipped: making system calls fail needs the program `strace`");
    }
    let dir = prepared();
    // The sandbox would kill a worker for the call that strace puts in place of the one that fails.
    let encrypt = |error: &str, workers: &str| {
        let script = format!(
            "strace -f -qq -o /dev/null -e trace=sync_file_range \
             -e inject=sync_file_range:error={error} \
             $CS encrypt plain sealed.enc --sync -i me --force --processes {workers} --sandbox off"
        );
        dir.shell(&script).run()
    };
    for workers in ["0", "2"] {
        let done = encrypt("EIO", workers);
        assert_eq!(done.code(), Some(74), "{done:?}");
        assert!(done.stderr_text().contains("sealed.enc"), "{done:?}");
        assert!(!dir.path("sealed.enc").exists());
    }
    // File systems without it get everything at the end.
    for error in ["ENOSYS", "EOPNOTSUPP"] {
        encrypt(error, "0").ok_and_silent();
    }
    dir.run(&["verify", "-q", "sealed.enc", "-i", "me"]).ok_and_silent();
}

#[test]
fn nobody_waits_for_the_disk_unless_content_is_dropped_or_made_durable() {
    let dir = Dir::new();
    dir.run(&["keygen", "-o", "me"]).ok();
    dir.write("plain", test_bytes(9 << 20));
    for command in ["cat plain | strace", "strace"] {
        let input = if command == "strace" { "plain" } else { "-" };
        let script = format!(
            "{command} -f -qq -o calls -e trace=sync_file_range,fsync,fdatasync,syncfs \
             $CS encrypt -i me {input} sealed.enc"
        );
        if !dir.shell(&script).run().status.success() {
            return eprintln!("skipped: counting system calls needs the program `strace`");
        }
        let calls = String::from_utf8(dir.read("calls")).unwrap();
        assert!(!calls.contains("sync"), "{calls}");
        fs::remove_file(dir.path("sealed.enc")).unwrap();
    }
}
