//! Packing a folder into an archive.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{CWD, Mode};

use super::{SPARSE_LEN, assert_same, is_root, readable_entries, set_mode, tree};
use crate::common::{Dir, test_bytes};

#[test]
fn a_folder_comes_back_as_it_was() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_entries(&dir, "in");
    for (flags, name) in [
        (&[][..], "in.tar.enc"),
        (&["--zstd"], "in.tar.zst.enc"),
        (&["--zstd=19", "--format", "age"], "in.tar.zst.age"),
        (&["--armor"], "in.tar.age"),
    ] {
        let args = [&["encrypt", "--archive", "in", "-i", "id"], flags].concat();
        dir.run(&args).ok_and_silent();
        let encrypted = fs::metadata(dir.path(name)).unwrap();
        assert_eq!(encrypted.mode() & 0o777, 0o640, "the bits of the folder, as far as for files");
        assert!(encrypted.len() < 2 << 20, "holes take no room");
        dir.run(&["decrypt", "--extract", name, "out", "-i", "id"]).ok_and_silent();
        assert_same(&root, &dir.path("out"));
        let blocks = fs::metadata(dir.path("out/sparse")).unwrap().blocks();
        assert!(blocks * 512 < SPARSE_LEN / 2, "{blocks}");
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
    // The same stream twice.
    let content = |name: &str| dir.run(&["decrypt", name, "-", "-i", "id"]).ok().stdout;
    let first = content("in.tar.enc");
    dir.run(&["encrypt", "--archive", "in", "-i", "id", "--force"]).ok();
    assert!(content("in.tar.enc") == first);
}

#[test]
fn pipes_and_default_names() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/large", test_bytes(20 << 20));
    let encrypted = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let unpack = ["decrypt", "--extract", "-", "out", "-i", "id"];
    dir.command(&unpack).input(&encrypted).run().ok_and_silent();
    assert_same(&dir.path("in"), &dir.path("out"));
    dir.command(&["decrypt", "--extract", "-", "-i", "id"]).input(&encrypted);
    dir.fails(
        dir.command(&["decrypt", "--extract", "-", "-i", "id"]).input(&encrypted),
        64,
        &["needs a folder"],
    );
    dir.run(&["encrypt", "--archive", "in", "-i", "id", "--processes", "2"]).ok();
    fs::rename(dir.path("in"), dir.path("was")).unwrap();
    let flags = ["decrypt", "--extract", "in.tar.enc", "-i", "id", "--processes", "2", "--json"];
    let done = dir.run(&flags).ok();
    let report = done.json(&done.stdout);
    assert_eq!((&report["entries"], &report["output"]), (&2.into(), &"in".into()));
    assert_same(&dir.path("was"), &dir.path("in"));
}

#[test]
fn rules_choose_and_special_files_are_named() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/cache")).unwrap();
    for name in ["in/a.jpg", "in/b.txt", "in/cache/c", "in/ignored"] {
        dir.write(name, name);
    }
    fs::copy(dir.path("id"), dir.path("in/key")).unwrap();
    dir.write("in/.gitignore", "ignored\n");
    rustix::fs::mkfifoat(CWD, dir.path("in/pipe"), Mode::RWXU).unwrap();
    let args = ["encrypt", "--archive", "in", "-i", "in/key", "--exclude", "cache/", "--gitignore"];
    let text = dir.run(&args).ok().stderr_text();
    assert!(text.contains("in/pipe: is not a file, folder or link; skipped"), "{text}");
    assert!(text.contains("in/key: is a key of this run; skipped"), "{text}");
    dir.run(&["decrypt", "--extract", "in.tar.enc", "out", "-i", "id"]).ok_and_silent();
    let names: Vec<_> = tree(&dir.path("out")).into_keys().collect();
    assert_eq!(names, ["", ".gitignore", "a.jpg", "b.txt"].map(PathBuf::from));
}

#[test]
fn what_cannot_be_packed_leaves_no_archive() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/file", "x");
    let encrypt = |args: &[&str]| dir.command(&[&["encrypt", "-i", "id"], args].concat());
    dir.fails(encrypt(&["--archive", "in", "in/out.enc"]), 64, &["is inside in"]);
    dir.fails(encrypt(&["--archive", "id"]), 64, &["is not a folder"]);
    dir.fails(encrypt(&["--archive", "missing"]), 66, &["missing"]);
    dir.fails(encrypt(&["--archive", "."]), 64, &["name the OUTPUT"]);
    dir.fails(encrypt(&["--archive", "in", "--zstd=23"]), 64, &["23"]);
    dir.fails(encrypt(&["--archive", "in", "--zstd=0"]), 64, &["0"]);
    dir.fails(encrypt(&["in", "--zstd"]), 64, &["--archive"]);
    dir.fails(encrypt(&["--archive", "in", "--remove-source"]), 64, &["--remove-source"]);
    // A redirection hides the name, but the file is recognized.
    let script = "$CS encrypt --archive in - -i id > in/out; echo $?";
    let done = dir.shell(script).run();
    assert_eq!(done.stdout_text().trim(), "64", "{done:?}");
    fs::remove_file(dir.path("in/out")).unwrap();
}

#[test]
fn every_unreadable_file_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/closed")).unwrap();
    dir.write("in/first", "x");
    dir.write("in/second", "x");
    dir.write("in/third", "x");
    for name in ["in/closed", "in/first", "in/third"] {
        set_mode(&dir.path(name), 0);
    }
    let args = ["encrypt", "--archive", "in", "in.tar.enc", "-i", "id"];
    let run = if is_root() {
        // Root can read everything, unless its capabilities are removed.
        let can_drop = Command::new("setpriv").arg("--version").output().is_ok();
        if !can_drop {
            eprintln!("skipped: there is no setpriv, and root can read everything");
            return;
        }
        let script = format!("setpriv --bounding-set=-all --inh-caps=-all $CS {}", args.join(" "));
        dir.shell(&script)
    } else {
        dir.command(&args)
    };
    let done = run.run();
    for name in ["in/closed", "in/first", "in/third"] {
        assert!(done.stderr_text().contains(&format!("{name}: ")), "{done:?}");
    }
    assert_eq!(done.code(), Some(66), "{done:?}");
    assert!(!done.stderr_text().contains("in/second"), "{done:?}");
    assert!(!dir.path("in.tar.enc").exists());
    set_mode(&dir.path("in/closed"), 0o700);
}

#[test]
fn a_file_that_changes_meanwhile_leaves_no_archive() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    let path = dir.write("in/log", test_bytes(64 << 20));
    // The archive's reader stalls, so that the packer is in the middle of the file.
    for change in ["grow", "shrink"] {
        let mut child = dir.command(&["encrypt", "--archive", "in", "-", "-i", "id"]).spawn();
        let mut stdout = child.stdout.take().unwrap();
        let mut encrypted = vec![0; 1 << 20];
        std::io::Read::read_exact(&mut stdout, &mut encrypted).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        match change {
            "grow" => file.write_all(b"more").unwrap(),
            _ => file.set_len(48 << 20).unwrap(),
        }
        std::io::Read::read_to_end(&mut stdout, &mut encrypted).unwrap();
        let done = crate::common::wait_status(&mut child);
        assert_eq!(done.code(), Some(75), "{change}");
        // What was already written is not mistaken for a complete archive.
        let decrypted = dir.command(&["decrypt", "-", "out", "-i", "id"]).input(&encrypted).run();
        assert_eq!(decrypted.code(), Some(65), "{change}: {decrypted:?}");
        assert!(!dir.path("out").exists());
    }
}

#[test]
fn what_unpacking_will_ask_for_is_said_when_packing() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    let disk = File::create(dir.path("in/disk")).unwrap();
    let size = (1 << 40) + (1 << 32);
    if let Err(error) = disk.set_len(size) {
        eprintln!("skipped: no file can have more than a TiB here: {error}");
        return;
    }
    let done = dir.run(&["encrypt", "--archive", "in", "-i", "id"]).ok();
    assert!(
        done.stderr_text().contains(&format!("unpacking it needs --max-size {size}")),
        "{done:?}"
    );
    let extract = ["decrypt", "--extract", "in.tar.enc", "out", "-i", "id"];
    dir.fails(dir.command(&extract), 65, &["larger than the archive, at disk", "--max-size"]);
    let size_flag = size.to_string();
    dir.run(&[&extract[..], &["--max-size", &size_flag]].concat()).ok_and_silent();
    assert_eq!(fs::metadata(dir.path("out/disk")).unwrap().len(), size);
    // The message names the limit, even if it is less than what would be allowed.
    let too_small = (size - 1).to_string();
    fs::remove_dir_all(dir.path("out")).unwrap();
    let args = [&extract[..], &["--max-size", &too_small]].concat();
    dir.fails(dir.command(&args), 65, &[&format!("larger than {too_small} bytes")]);

    disk.set_len(0).unwrap();
    disk.write_all_at(&vec![0; 70 << 20], 0).unwrap();
    let encrypt = ["encrypt", "--archive", "--zstd", "in", "-i", "id"];
    let text = dir.run(&encrypt).ok().stderr_text();
    let flag = text.split("--max-ratio ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let extract = ["decrypt", "--extract", "in.tar.zst.enc", "out", "-i", "id"];
    dir.fails(dir.command(&extract), 65, &["--max-ratio"]);
    dir.run(&[&extract[..], &["--max-ratio", flag.unwrap()]].concat()).ok_and_silent();
}

#[test]
fn a_name_that_hides_the_compression_is_reported() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    let done = dir.run(&["encrypt", "--archive", "--zstd", "in", "x.tar.enc", "-i", "id"]).ok();
    assert!(done.stderr_text().contains("decrypted to x.tar; x.tar.zst.enc would be"), "{done:?}");
    // It can be read all the same, by GNU tar too.
    let done = dir.run(&["decrypt", "x.tar.enc", "-i", "id"]).ok();
    assert!(done.stderr_text().contains("`mkdir NEW && tar --zstd -xf x.tar -C NEW`"), "{done:?}");
    assert_eq!(dir.read("x.tar")[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    dir.run(&["encrypt", "--archive", "--zstd", "in", "-i", "id"]).ok_and_silent();
    dir.run(&["decrypt", "in.tar.zst.enc", "-i", "id"]).ok_and_silent();
    dir.run(&["encrypt", "--archive", "in", "y.tar.enc", "-i", "id"]).ok_and_silent();
    dir.run(&["decrypt", "y.tar.enc", "-i", "id"]).ok_and_silent();
}
