//! Unpacking an archive to a folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;

use rustix::process::{Pid, Signal, kill_process};

use super::assert_same;
use crate::common::group::wait_until;
use crate::common::{Dir, test_bytes};

#[test]
fn existing_files_are_kept() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/new", "new");
    dir.run(&["encrypt", "--archive", "in", "-i", "id"]).ok();
    fs::create_dir(dir.path("out")).unwrap();
    let extract = ["decrypt", "--extract", "in.tar.enc", "out", "-i", "id"];
    dir.run(&extract).ok_and_silent();
    assert_eq!(dir.read("out/new"), b"new");
    dir.fails(dir.command(&extract), 73, &["out: already exists", "--force"]);
    dir.write("out/old", "old");
    let done = dir.run(&[&extract[..], &["--force"]].concat()).ok();
    assert!(done.stderr_text().contains("the folder that was out is now out.old"), "{done:?}");
    assert_eq!((dir.read("out.old/old"), dir.read("out/new")), (b"old".into(), b"new".into()));
    assert!(!dir.path("out/old").exists());
    // What was kept once is not lost the next time.
    let run = dir.command(&[&extract[..], &["--force"]].concat());
    let done =
        dir.fails(run, 73, &["out.old: already exists, and the folder", "rename it, or name"]);
    assert!(!done.stderr_text().contains("with --force"), "{done:?}");
    dir.fails(
        dir.command(&["decrypt", "--extract", "in.tar.enc", ".", "-i", "id"]),
        73,
        &["is the current folder"],
    );
    dir.fails(
        dir.command(&["decrypt", "--extract", "in.tar.enc", "id", "-i", "id"]),
        73,
        &["exists"],
    );
}

#[test]
fn an_interruption_leaves_no_folder() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    for number in 0..50 {
        dir.write(format!("in/{number:02}"), test_bytes(1 << 20));
    }
    let encrypted = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let is_begun = || {
        let names = dir.names();
        let staging = names.iter().find(|name| name.to_string_lossy().starts_with(".out."));
        staging.is_some_and(|name| dir.path(name).join("content/10").exists())
    };
    let before = dir.names();
    for kill in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut child = dir.command(&["decrypt", "--extract", "-", "out", "-i", "id"]).spawn();
        let mut stdin = child.stdin.take().unwrap();
        // Most of the archive; the rest will never come.
        stdin.write_all(&encrypted[..encrypted.len() - 1000]).unwrap();
        wait_until("unpacking", is_begun);
        kill_process(Pid::from_child(&child), kill).unwrap();
        let status = crate::common::wait_status(&mut child);
        assert_eq!(status.signal(), Some(kill.as_raw()));
        assert!(!dir.path("out").exists());
        if kill != Signal::KILL {
            assert_eq!(dir.names(), before);
        }
    }
    // What the killed run left is closed to others, and the next run removes it.
    let left: Vec<_> = dir.names().into_iter().filter(|name| !before.contains(name)).collect();
    let [left] = &left[..] else { panic!("{left:?}") };
    assert_eq!(fs::metadata(dir.path(left)).unwrap().mode() & 0o777, 0o700);
    let done =
        dir.command(&["decrypt", "--extract", "-", "out", "-i", "id"]).input(&encrypted).run();
    done.ok_and_silent();
    assert!(!dir.path(left).exists());
    assert_same(&dir.path("in"), &dir.path("out"));
}

#[test]
fn permission_bits_are_those_of_the_archive_minus_the_umask() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut archive = tar::Builder::new(Vec::new());
    let kinds = [("./", tar::EntryType::Directory), ("file", tar::EntryType::Regular)];
    for (name, kind) in kinds.into_iter().chain([("folder/", tar::EntryType::Directory)]) {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path(name).unwrap();
        header.set_mode(0o7777);
        header.set_size(0);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        archive.append(&header, &b""[..]).unwrap();
    }
    dir.write("a.enc", dir.encrypted(&archive.into_inner().unwrap()));
    for (umask, bits) in [("000", 0o777), ("027", 0o750), ("077", 0o700)] {
        let script = format!("umask {umask}; exec $CS decrypt --extract a.enc {umask} -i id");
        dir.shell(&script).run().ok_and_silent();
        for name in ["", "file", "folder"] {
            let mode = fs::metadata(dir.path(umask).join(name)).unwrap().mode();
            assert_eq!(mode & 0o7777, bits, "{umask} {name}");
        }
    }
}

/// The parser process of `main`.
fn parser_of(main: u32) -> Option<Pid> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let text = |pid: i32, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let parser = pids.find(|pid| {
        text(*pid, "cmdline").is_ok_and(|cmdline| cmdline == "cryptstream\0__unpack\0")
            && text(*pid, "status")
                .is_ok_and(|status| status.contains(&format!("\nPPid:\t{main}\n")))
    });
    Pid::from_raw(parser?)
}

#[test]
fn a_parser_process_that_dies_is_an_error_and_leaves_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/large", test_bytes(20 << 20));
    let encrypted = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let before = dir.names();
    for (args, signal, code, words) in [
        (
            &["decrypt", "--extract", "-", "out", "-i", "id"][..],
            Signal::KILL,
            75,
            "ended by signal 9",
        ),
        (&["decrypt", "--extract", "-", "out", "-i", "id"], Signal::SYS, 65, "its sandbox forbids"),
        (&["list", "-", "-i", "id"], Signal::KILL, 75, "ended by signal 9"),
    ] {
        let mut child = dir.command(args).spawn();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&encrypted[..10 << 20]).unwrap();
        let mut parser = None;
        wait_until("a parser process", || {
            parser = parser_of(child.id());
            parser.is_some()
        });
        kill_process(parser.unwrap(), signal).unwrap();
        // The process may already have exited.
        let _ = stdin.write_all(&encrypted[10 << 20..]);
        drop(stdin);
        let done = crate::common::wait(child);
        assert_eq!(done.code(), Some(code), "{done:?}");
        assert!(done.stderr_text().contains(words), "{done:?}");
        assert_eq!(dir.names(), before);
    }
}

#[test]
fn a_file_that_the_file_system_cannot_have_is_named() {
    let dir = Dir::new();
    let size = 1u64 << 60;
    if fs::File::create(dir.path("probe")).unwrap().set_len(size).is_ok() {
        eprintln!("skipped: files can be of any length here");
        return;
    }
    let mut map = b"1\n1152921504606846976\n0\n".to_vec();
    map.resize(512, 0);
    let mut archive = tar::Builder::new(Vec::new());
    let text = size.to_string();
    let records = [
        ("GNU.sparse.major", &b"1"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", text.as_bytes()),
        ("GNU.sparse.name", b"huge"),
    ];
    archive.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(map.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "x", &map[..]).unwrap();
    dir.write("a.enc", dir.encrypted(&archive.into_inner().unwrap()));
    let extract = ["decrypt", "--extract", "a.enc", "out", "-i", "id"];
    dir.fails(dir.command(&extract), 65, &["larger than the archive, at huge", "--max-size"]);
    let names = dir.names();
    let args = [&extract[..], &["--max-size", "2097152TiB"]].concat();
    dir.fails(dir.command(&args), 74, &["huge cannot be written", "allows files this large"]);
    assert_eq!(dir.names(), names);
}
