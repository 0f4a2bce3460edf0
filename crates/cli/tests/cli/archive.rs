//! Folders as one sealed archive, there and back, and between programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::group::wait_until;
use crate::common::{Dir, paint};
use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};
use rustix::process::{Pid, Signal, kill_process};

const SPARSE_LEN: u64 = 40 << 20;

/// What matters of a file: kind and bits, time, number of names, content or target.
type State = (u32, i64, i64, u64, Vec<u8>);

/// Everything in a folder, itself too.
fn tree(root: &Path) -> BTreeMap<PathBuf, State> {
    let mut tree = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_vec()
        } else if metadata.is_file() {
            fs::read(&path).unwrap()
        } else {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        };
        let names = if metadata.is_dir() { 0 } else { metadata.nlink() };
        let state = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), names, content);
        tree.insert(path.strip_prefix(root).unwrap().to_owned(), state);
    }
    tree
}

/// The permission bits that new files do not get here.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(umask.trim(), 8).unwrap()
}

/// The same but for bits that the umask forbids: of those, see
/// `bits_are_those_of_the_archive_less_the_umask`.
#[track_caller]
fn assert_same(one: &Path, other: &Path) {
    let (mut one, mut other) = (tree(one), tree(other));
    let umask = umask();
    for (mode, ..) in one.values_mut().chain(other.values_mut()) {
        *mode &= !umask;
    }
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (path, state) in &one {
        // Not the content: it may be long.
        let of = |state: &State| (state.0, state.1, state.2, state.3);
        assert_eq!(of(state), of(&other[path]), "{path:?}");
        assert!(state.4 == other[path].4, "{path:?}");
    }
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A folder with everything that a folder can have, as far as it is kept.
fn oddities(dir: &Dir, name: &str) -> PathBuf {
    let root = dir.path(name);
    let at = |name: &[u8]| root.join(OsString::from_vec(name.to_vec()));
    fs::create_dir_all(root.join("deep/er")).unwrap();
    fs::create_dir(root.join("empty folder")).unwrap();
    fs::write(root.join("file"), paint(300_000)).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    for name in [&b"new\nline"[..], b"not UTF-8 \xff\xfe", b"\x1b[31m", "ä ö".as_bytes(), b"-rf"]
    {
        fs::write(at(name), name).unwrap();
    }
    fs::write(at(&[b'n'; 255]), "long").unwrap();
    let long = vec!["d".repeat(80); 5].join("/");
    fs::create_dir_all(root.join(&long)).unwrap();
    for name in [&b"file"[..], b"new\nline", b"\xff"] {
        fs::write(at(&[long.as_bytes(), b"/", name].concat()), name).unwrap();
    }
    std::os::unix::fs::symlink(format!("{long}/file"), root.join("long link")).unwrap();
    std::os::unix::fs::symlink("../file", root.join("deep/up")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    fs::hard_link(root.join("file"), root.join("deep/er/same")).unwrap();
    fs::hard_link(at(&[long.as_bytes(), b"/file"].concat()), root.join("second name")).unwrap();

    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(&paint(5000), 3 << 20).unwrap();
    sparse.write_all_at(b"x", 20 << 20).unwrap();
    sparse.set_len(SPARSE_LEN).unwrap();
    File::create(root.join("hole")).unwrap().set_len(1 << 20).unwrap();

    set_mode(&root.join("file"), 0o640);
    set_mode(&root.join("empty"), 0o000);
    set_mode(&root.join("-rf"), 0o777);
    set_mode(&root.join("deep/er"), 0o500);
    set_time(&root.join("file"), 1_234_567_890, 123_456_789);
    set_time(&root.join("empty"), -2, 500_000_000);
    set_time(&root.join("dangling"), 1_000_000_000, 7);
    set_time(&root.join("deep/er"), 0, 0);
    set_mode(&root, 0o750);
    set_time(&root, 1_700_000_000, 1);
    root
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The folder, with what a user may not read made readable.
fn readable_oddities(dir: &Dir, name: &str) -> PathBuf {
    let root = oddities(dir, name);
    if !is_root() {
        set_mode(&root.join("empty"), 0o400);
    }
    root
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_oddities(&dir, "in");
    for (flags, name) in [
        (&[][..], "in.tar.enc"),
        (&["--zstd"], "in.tar.zst.enc"),
        (&["--zstd=19", "--format", "age"], "in.tar.zst.age"),
        (&["--armor"], "in.tar.age"),
    ] {
        let args = [&["encrypt", "--archive", "in", "-i", "id"], flags].concat();
        dir.run(&args).ok_and_silent();
        let sealed = fs::metadata(dir.path(name)).unwrap();
        assert_eq!(sealed.mode() & 0o777, 0o640, "the bits of the folder, as far as for files");
        assert!(sealed.len() < 2 << 20, "holes take no room");
        dir.run(&["decrypt", "--extract", name, "out", "-i", "id"]).ok_and_silent();
        assert_same(&root, &dir.path("out"));
        let blocks = fs::metadata(dir.path("out/sparse")).unwrap().blocks();
        assert!(blocks * 512 < SPARSE_LEN / 2, "{blocks}");
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
    // Twice the same stream.
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
    dir.write("in/large", paint(20 << 20));
    let sealed = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let unpack = ["decrypt", "--extract", "-", "out", "-i", "id"];
    dir.command(&unpack).input(&sealed).run().ok_and_silent();
    assert_same(&dir.path("in"), &dir.path("out"));
    dir.command(&["decrypt", "--extract", "-", "-i", "id"]).input(&sealed);
    dir.fails(
        dir.command(&["decrypt", "--extract", "-", "-i", "id"]).input(&sealed),
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
    assert!(text.contains("in/pipe: is neither file nor folder nor link; skipped"), "{text}");
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
    dir.fails(encrypt(&["--archive", "in", "in/out.enc"]), 64, &["lies in in"]);
    dir.fails(encrypt(&["--archive", "id"]), 64, &["is no folder"]);
    dir.fails(encrypt(&["--archive", "missing"]), 66, &["missing"]);
    dir.fails(encrypt(&["--archive", "."]), 64, &["name the OUTPUT"]);
    dir.fails(encrypt(&["--archive", "in", "--zstd=23"]), 64, &["23"]);
    dir.fails(encrypt(&["--archive", "in", "--zstd=0"]), 64, &["0"]);
    dir.fails(encrypt(&["in", "--zstd"]), 64, &["--archive"]);
    dir.fails(encrypt(&["--archive", "in", "--remove-source"]), 64, &["--remove-source"]);
    // Through a redirection its name is not known, the file is.
    let script = "$CS encrypt --archive in - -i id > in/out; echo $?";
    let done = dir.shell(script).run();
    assert_eq!(done.stdout_text().trim(), "64", "{done:?}");
    fs::remove_file(dir.path("in/out")).unwrap();
}

#[test]
fn all_that_cannot_be_read_is_named() {
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
        // Root can read everything, unless its rights are taken.
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
    let path = dir.write("in/log", paint(64 << 20));
    // The archive's reader stalls, so that the packer is in the middle of it.
    for change in ["grow", "shrink"] {
        let mut child = dir.command(&["encrypt", "--archive", "in", "-", "-i", "id"]).spawn();
        let mut stdout = child.stdout.take().unwrap();
        let mut sealed = vec![0; 1 << 20];
        std::io::Read::read_exact(&mut stdout, &mut sealed).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        match change {
            "grow" => file.write_all(b"more").unwrap(),
            _ => file.set_len(48 << 20).unwrap(),
        }
        std::io::Read::read_to_end(&mut stdout, &mut sealed).unwrap();
        let done = crate::common::wait_status(&mut child);
        assert_eq!(done.code(), Some(75), "{change}");
        // What has left already is not taken for a whole.
        let opened = dir.command(&["decrypt", "-", "out", "-i", "id"]).input(&sealed).run();
        assert_eq!(opened.code(), Some(65), "{change}: {opened:?}");
        assert!(!dir.path("out").exists());
    }
}

fn tar(dir: &Dir, args: &[&str]) -> bool {
    let done = Command::new("tar").args(args).current_dir(dir.root()).output();
    match done {
        Ok(done) => {
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            true
        }
        Err(_) => {
            eprintln!("skipped: there is no tar");
            false
        }
    }
}

#[test]
fn gnu_tar_reads_what_was_packed() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_oddities(&dir, "in");
    for (flag, name) in [(&[][..], "in.tar"), (&["--zstd"], "in.tar.zst")] {
        dir.run(&[&["encrypt", "--archive", "in", "-i", "id"], flag].concat()).ok();
        dir.run(&["decrypt", "-i", "id", &format!("{name}.enc")]).ok();
        fs::create_dir(dir.path("out")).unwrap();
        let unzstd = if name.ends_with("zst") { "--zstd" } else { "--no-auto-compress" };
        if unzstd == "--zstd" && Command::new("zstd").arg("-V").output().is_err() {
            eprintln!("skipped: there is no zstd for tar");
            return;
        }
        if !tar(&dir, &["-x", "-p", unzstd, "-f", name, "-C", "out"]) {
            return;
        }
        assert_same(&root, &dir.path("out"));
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
}

#[test]
fn what_gnu_tar_has_packed_is_unpacked() {
    let dir = Dir::new();
    dir.keygen("id");
    let root = readable_oddities(&dir, "in");
    for flags in [
        &["--format=posix"][..],
        &["--format=posix", "-S"],
        &["--format=posix", "-S", "--sparse-version=0.1"],
        &["--format=posix", "-S", "--sparse-version=0.0"],
        &["--format=gnu"],
        &["--format=gnu", "-S"],
        &["--format=posix", "-b", "1"],
    ] {
        if !tar(&dir, &[&["-c", "-f", "a.tar"], flags, &["-C", "in", "."]].concat()) {
            return;
        }
        dir.run(&["encrypt", "-i", "id", "a.tar", "--force"]).ok();
        dir.run(&["decrypt", "--extract", "a.tar.enc", "out", "-i", "id"]).ok_and_silent();
        if flags[0] == "--format=posix" {
            assert_same(&root, &dir.path("out"));
        } else {
            // There are no fractions of seconds.
            let content = |tree: BTreeMap<PathBuf, State>| -> Vec<_> {
                tree.into_iter().map(|(path, it)| (path, it.0 & !umask(), it.3, it.4)).collect()
            };
            assert!(content(tree(&root)) == content(tree(&dir.path("out"))), "{flags:?}");
        }
        fs::remove_dir_all(dir.path("out")).unwrap();
    }
    // Short names only; folders with a prefix, whose attributes do not come.
    dir.write("in/short", "ustar");
    let args = ["-c", "-f", "b.tar", "--format=ustar", "in/short", "in/deep/er"];
    if tar(&dir, &args) {
        dir.run(&["encrypt", "-i", "id", "b.tar"]).ok();
        dir.run(&["decrypt", "--extract", "b.tar.enc", "-i", "id"]).ok_and_silent();
        assert_eq!(dir.read("b/in/short"), b"ustar");
        assert_eq!(dir.read("b/in/deep/er/same"), paint(300_000));
    }
}

#[test]
fn the_list_shows_everything_and_writes_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    readable_oddities(&dir, "in");
    dir.run(&["encrypt", "--archive", "--zstd", "in", "-i", "id"]).ok();
    let before = dir.names();
    let done = dir.run(&["list", "in.tar.zst.enc", "-i", "id"]).ok_and_silent();
    let text = done.stdout_text();
    for line in [
        "-rw-r-----       300000 2009-02-13T23:31:30Z deep/er/same\n",
        "hrw-r-----            0 2009-02-13T23:31:30Z file link to deep/er/same\n",
        "drwxr-x---            0 2023-11-14T22:13:20Z ./\n",
        "lrwxrwxrwx            0 2001-09-09T01:46:40Z dangling -> nowhere\n",
        "    41943040 ",
        " \"new\\nline\"\n",
        " \"not UTF-8 \\xff\\xfe\"\n",
        " \"\\x1b[31m\"\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let done = dir.run(&["list", "--json", "in.tar.zst.enc", "-i", "id"]).ok_and_silent();
    let report = done.json(&done.stdout);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), tree(&dir.path("in")).len());
    let link = entries.iter().find(|entry| entry["name"] == "deep/up").unwrap();
    assert_eq!((&link["type"], &link["target"]), (&"symlink".into(), &"../file".into()));
    assert_eq!(dir.names(), before);
}

#[test]
fn what_stands_there_is_kept() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/new", "new");
    dir.run(&["encrypt", "--archive", "in", "-i", "id"]).ok();
    fs::create_dir(dir.path("out")).unwrap();
    let extract = ["decrypt", "--extract", "in.tar.enc", "out", "-i", "id"];
    dir.run(&extract).ok_and_silent();
    assert_eq!(dir.read("out/new"), b"new");
    dir.fails(dir.command(&extract), 73, &["out: exists already", "--force"]);
    dir.write("out/old", "old");
    let done = dir.run(&[&extract[..], &["--force"]].concat()).ok();
    assert!(done.stderr_text().contains("the folder that was out is now out.old"), "{done:?}");
    assert_eq!((dir.read("out.old/old"), dir.read("out/new")), (b"old".into(), b"new".into()));
    assert!(!dir.path("out/old").exists());
    // What was kept is not lost the next time.
    dir.fails(dir.command(&[&extract[..], &["--force"]].concat()), 73, &["out.old"]);
    dir.fails(
        dir.command(&["decrypt", "--extract", "in.tar.enc", ".", "-i", "id"]),
        73,
        &["the folder that you are in"],
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
        dir.write(format!("in/{number:02}"), paint(1 << 20));
    }
    let sealed = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
    let is_begun = || {
        let names = dir.names();
        let staging = names.iter().find(|name| name.to_string_lossy().starts_with(".out."));
        staging.is_some_and(|name| dir.path(name).join("content/10").exists())
    };
    let before = dir.names();
    for kill in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut child = dir.command(&["decrypt", "--extract", "-", "out", "-i", "id"]).spawn();
        let mut stdin = child.stdin.take().unwrap();
        // Most of it; what is missing will never come.
        stdin.write_all(&sealed[..sealed.len() - 1000]).unwrap();
        wait_until("unpacking", is_begun);
        kill_process(Pid::from_child(&child), kill).unwrap();
        let status = crate::common::wait_status(&mut child);
        assert_eq!(status.signal(), Some(kill.as_raw()));
        assert!(!dir.path("out").exists());
        if kill != Signal::KILL {
            assert_eq!(dir.names(), before);
        }
    }
    // What is left of the killed one is closed to others, and the next run removes it.
    let left: Vec<_> = dir.names().into_iter().filter(|name| !before.contains(name)).collect();
    let [left] = &left[..] else { panic!("{left:?}") };
    assert_eq!(fs::metadata(dir.path(left)).unwrap().mode() & 0o777, 0o700);
    let done = dir.command(&["decrypt", "--extract", "-", "out", "-i", "id"]).input(&sealed).run();
    done.ok_and_silent();
    assert!(!dir.path(left).exists());
    assert_same(&dir.path("in"), &dir.path("out"));
}

#[test]
fn bits_are_those_of_the_archive_less_the_umask() {
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
    dir.write("a.enc", dir.sealed(&archive.into_inner().unwrap()));
    for (umask, bits) in [("000", 0o777), ("027", 0o750), ("077", 0o700)] {
        let script = format!("umask {umask}; exec $CS decrypt --extract a.enc {umask} -i id");
        dir.shell(&script).run().ok_and_silent();
        for name in ["", "file", "folder"] {
            let mode = fs::metadata(dir.path(umask).join(name)).unwrap().mode();
            assert_eq!(mode & 0o7777, bits, "{umask} {name}");
        }
    }
}

/// The process that reads an archive for this one.
fn reader_of(main: u32) -> Option<Pid> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let text = |pid: i32, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let reader = pids.find(|pid| {
        text(*pid, "cmdline").is_ok_and(|cmdline| cmdline == "cryptstream\0__unpack\0")
            && text(*pid, "status")
                .is_ok_and(|status| status.contains(&format!("\nPPid:\t{main}\n")))
    });
    Pid::from_raw(reader?)
}

#[test]
fn the_end_of_the_reading_process_is_an_error_and_leaves_nothing() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir(dir.path("in")).unwrap();
    dir.write("in/large", paint(20 << 20));
    let sealed = dir.run(&["encrypt", "--archive", "in", "-", "-i", "id"]).ok().stdout;
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
        stdin.write_all(&sealed[..10 << 20]).unwrap();
        let mut reader = None;
        wait_until("a reading process", || {
            reader = reader_of(child.id());
            reader.is_some()
        });
        kill_process(reader.unwrap(), signal).unwrap();
        // Nobody may be reading any more.
        let _ = stdin.write_all(&sealed[10 << 20..]);
        drop(stdin);
        let done = crate::common::wait(child);
        assert_eq!(done.code(), Some(code), "{done:?}");
        assert!(done.stderr_text().contains(words), "{done:?}");
        assert_eq!(dir.names(), before);
    }
}
