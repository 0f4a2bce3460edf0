//! Another user puts a pipe or a link where the output is to be: what is decrypted
//! would go to them, or over another file.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};

use crate::common::Dir;
use crate::rounds;

const NOBODY: u32 = 65_534;

/// A folder with an encrypted file, and one in it that everybody may write to.
fn folder(mode: u32) -> Option<Dir> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can act as another user");
        return None;
    }
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"a secret");
    dir.write("encrypted", encrypted);
    fs::create_dir(dir.path("shared")).unwrap();
    fs::set_permissions(dir.path("shared"), PermissionsExt::from_mode(mode)).unwrap();
    Some(dir)
}

fn make_pipe(dir: &Dir, name: &str, owner: u32) -> fs::File {
    let path = dir.path(name);
    rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o622), 0)
        .unwrap();
    chown(&path, Some(owner), None).unwrap();
    // Open for both, so that nobody waits for it.
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    rustix::fs::open(&path, flags, Mode::empty()).unwrap().into()
}

fn taken_from(mut pipe: &fs::File) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    let len = pipe.read(&mut bytes).unwrap_or(0);
    bytes[..len].to_vec()
}

#[test]
fn a_pipe_of_another_user_gets_nothing() {
    for (mode, owner) in [(0o777, 0), (0o1777, 0), (0o775, 0), (0o755, NOBODY)] {
        let Some(dir) = folder(mode) else { return };
        chown(dir.path("shared"), Some(owner), None).unwrap();
        let pipe = make_pipe(&dir, "shared/out", NOBODY);
        for force in [&[][..], &["--force"]] {
            let args = [&["decrypt", "-i", "id", "encrypted", "shared/out"], force].concat();
            dir.fails(dir.command(&args), 73, &["another user", "use - as OUTPUT"]);
        }
        assert_eq!(taken_from(&pipe), b"");
    }
}

/// What is there is read first, since it may be the same.
#[test]
fn a_pipe_in_place_of_a_page_of_the_manual_is_not_waited_for() {
    let Some(dir) = folder(0o777) else { return };
    // Nobody else has it open.
    drop(make_pipe(&dir, "shared/cryptstream.1", NOBODY));
    dir.fails(dir.command(&["man", "shared"]), 73, &["cryptstream.1", "another user"]);
}

#[test]
fn a_link_of_another_user_is_not_followed() {
    let Some(dir) = folder(0o777) else { return };
    dir.write("victim", "content");
    symlink("../victim", dir.path("shared/out")).unwrap();
    lchown(dir.path("shared/out"), Some(NOBODY), None).unwrap();
    let args = ["decrypt", "-i", "id", "encrypted", "shared/out", "--force"];
    dir.fails(dir.command(&args), 73, &["another user"]);
    // The user's own link is followed, so that the file is replaced.
    lchown(dir.path("shared/out"), Some(0), None).unwrap();
    dir.run(&args).ok();
    assert_eq!(dir.read("victim"), b"a secret");
    assert!(fs::symlink_metadata(dir.path("shared/out")).unwrap().is_symlink());
}

/// Of a folder's copy, of `--output-dir`, and of folders that are to be made.
#[test]
fn a_link_of_another_user_in_place_of_a_folder_is_not_followed() {
    for mode in [0o777, 0o1777] {
        let Some(dir) = folder(mode) else { return };
        fs::create_dir_all(dir.path("in/sub")).unwrap();
        for name in ["in/a.enc", "in/sub/b.enc"] {
            fs::copy(dir.path("encrypted"), dir.path(name)).unwrap();
        }
        fs::create_dir(dir.path("victim")).unwrap();
        fs::set_permissions(dir.path("victim"), PermissionsExt::from_mode(0o700)).unwrap();
        symlink("../victim", dir.path("shared/out")).unwrap();
        lchown(dir.path("shared/out"), Some(NOBODY), None).unwrap();
        for args in [
            &["in", "shared/out"][..],
            &["in", "shared/out/new"],
            &["in/a.enc", "--output-dir", "shared/out"],
            &["in/a.enc", "--output-dir", "shared/out/"],
            &["in/a.enc", "--output-dir", "shared/out/new"],
            &["in", "in/a.enc", "--output-dir", "shared/out"],
        ] {
            for force in [&[][..], &["--force"]] {
                let args = [&["decrypt", "-i", "id"], args, force].concat();
                dir.fails(dir.command(&args), 73, &["shared/out", "another user"]);
                assert_eq!(fs::read_dir(dir.path("victim")).unwrap().count(), 0, "{args:?}");
            }
        }
        // The user's own link is followed.
        lchown(dir.path("shared/out"), Some(0), None).unwrap();
        dir.run(&["decrypt", "-i", "id", "in", "shared/out"]).ok();
        assert_eq!(dir.read("victim/sub/b"), b"a secret");
    }
}

#[test]
fn folders_without_a_name_of_their_own_work() {
    let dir = Dir::new();
    fs::create_dir_all(dir.path("here/in")).unwrap();
    fs::create_dir(dir.path("here/out")).unwrap();
    let encrypted = dir.encrypted(b"a secret");
    dir.write("here/in/a.enc", encrypted);
    symlink("..", dir.path("here/up")).unwrap();
    for (folder, output) in [
        (".", "here/a"),
        ("..", "a"),
        ("up", "a"),
        ("out/..", "here/a"),
        ("/proc/self/cwd", "here/a"),
        ("/proc/self/fd/7", "here/out/a"),
        ("/dev/fd/7", "here/out/a"),
        ("new", "here/new/a"),
    ] {
        let script = format!(
            "cd here && exec 7< out && $CS decrypt -i ../id in/a.enc --output-dir {folder}"
        );
        dir.shell(&script.replace("$CS", "\"$CS\"")).run().ok();
        assert_eq!(dir.read(output), b"a secret", "{folder}");
        fs::remove_file(dir.path(output)).unwrap();
    }
}

#[test]
fn what_is_exchanged_for_a_link_writes_over_nothing() {
    let Some(dir) = folder(0o777) else { return };
    dir.write("victim", "content");
    let _pipe = make_pipe(&dir, "shared/out", 0);
    symlink("../victim", dir.path("shared/link")).unwrap();
    let (one, two) = (dir.path("shared/out"), dir.path("shared/link"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..rounds() {
            let done = dir.run(&["decrypt", "-i", "id", "encrypted", "shared/out"]);
            assert!(matches!(done.code(), Some(0 | 73)), "{done:?}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(dir.read("victim"), b"content");
}

#[test]
fn the_users_own_pipes_and_devices_work() {
    let dir = Dir::new();
    let encrypted = dir.encrypted(b"a secret");
    dir.write("encrypted", encrypted);
    for script in [
        "$CS decrypt -i id encrypted /dev/null",
        "[[ $($CS decrypt -i id encrypted /dev/stdout) == 'a secret' ]]",
        "[[ $($CS decrypt -i id encrypted /dev/fd/5 5>&1) == 'a secret' ]]",
        "mkfifo p; $CS decrypt -i id encrypted p & [[ $(cat p) == 'a secret' ]]",
        "ln -s p link; $CS decrypt -i id encrypted link & [[ $(cat p) == 'a secret' ]]",
        "[[ $($CS decrypt -i id encrypted >(cat); sleep 0.3) == 'a secret' ]]",
    ] {
        let done = dir.shell(script).run();
        assert!(done.status.success(), "{script}: {done:?}");
    }
}
