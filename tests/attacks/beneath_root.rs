//! Whoever owns a tree exchanges what is in it while it is read or written.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::common::Dir;
use crate::common::tree::described;
use crate::exchange::exchanging;
use crate::rounds;

const FILES: usize = 60;

/// A folder `in` with files and the folder `sub`; beside it `elsewhere`, which is not to
/// be read or written, and in `beside` the link `link` to it.
fn fixture() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    for folder in ["in", "elsewhere", "beside"] {
        fs::create_dir(dir.path(folder)).unwrap();
    }
    for number in 0..FILES {
        dir.write(format!("in/{number}"), "in the tree");
        if number == FILES / 2 {
            // In the middle, whether a listing begins with the first or the last.
            fs::create_dir(dir.path("in/sub")).unwrap();
        }
    }
    for number in 0..FILES {
        dir.write(format!("in/sub/{number}"), "in the tree");
    }
    symlink("../elsewhere", dir.path("beside/link")).unwrap();
    dir
}

fn run(dir: &Dir, args: &[&str]) {
    let _ = fs::remove_dir_all(dir.path("out"));
    ends(dir, args);
}

fn ends(dir: &Dir, args: &[&str]) {
    let done = dir.run(&[args, &["-i", "id"]].concat());
    // Done, or noticed.
    assert!([0, 65, 66, 73, 75].contains(&done.code().unwrap()), "{done:?}");
    assert!(!done.stderr_text().contains("panicked"), "{done:?}");
}

#[test]
fn a_folder_of_the_input_becomes_a_link() {
    let dir = fixture();
    dir.write("elsewhere/secret", "secret");
    let before = described(&dir.path("elsewhere"));
    let (sub, link) = (dir.path("in/sub"), dir.path("beside/link"));
    for round in 0..rounds() {
        exchanging(&sub, &link, None, || run(&dir, &["encrypt", "in", "out"]));
        let names = described(&dir.path("out"));
        let is_secret = |name: &&std::path::PathBuf| name.ends_with("secret.enc");
        assert!(!names.keys().any(|name| is_secret(&name)), "round {round}: read elsewhere");
        assert!(described(&dir.path("elsewhere")) == before, "round {round}: wrote elsewhere");
    }
}

#[test]
fn a_folder_of_the_output_becomes_a_link() {
    let dir = fixture();
    let link = dir.path("beside/link");
    run(&dir, &["encrypt", "in", "encrypted"]);
    for round in 0..rounds() {
        for (command, input) in [("encrypt", "in"), ("decrypt", "encrypted")] {
            let _ = fs::remove_dir_all(dir.path("out"));
            fs::create_dir_all(dir.path("out/sub")).unwrap();
            let sub = dir.path("out/sub");
            exchanging(&sub, &link, None, || ends(&dir, &[command, input, "out"]));
            let written = fs::read_dir(dir.path("elsewhere")).unwrap().count();
            assert_eq!(written, 0, "round {round}: written elsewhere");
        }
    }
}

#[test]
fn a_file_becomes_something_else() {
    let dir = fixture();
    dir.write("elsewhere/secret", "secret");
    let other = dir.path("beside/other");
    let kinds: [(&str, &dyn Fn()); 5] = [
        ("link", &|| symlink("../elsewhere/secret", &other).unwrap()),
        ("folder", &|| fs::create_dir(&other).unwrap()),
        ("pipe", &|| mknodat(CWD, &other, FileType::Fifo, Mode::RWXU, 0).unwrap()),
        ("hard link", &|| fs::hard_link(dir.path("in/1"), &other).unwrap()),
        ("device", &|| {
            let null = makedev(1, 3);
            let made = mknodat(CWD, &other, FileType::CharacterDevice, Mode::RWXU, null);
            if made.is_err() {
                println!("no device can be made here: a file instead");
                fs::write(&other, "").unwrap();
            }
        }),
    ];
    for (kind, make) in kinds {
        make();
        for _ in 0..rounds().div_ceil(5) {
            exchanging(&dir.path("in/sub/50"), &other, None, || {
                run(&dir, &["encrypt", "in", "out"]);
            });
            // What was encrypted is what stood in the tree.
            let _ = fs::remove_dir_all(dir.path("back"));
            ends(&dir, &["decrypt", "out", "back"]);
            let decrypted = fs::read(dir.path("back/sub/50")).unwrap_or_default();
            assert_ne!(decrypted, b"secret", "{kind}");
        }
        let _ = fs::remove_dir(&other).or_else(|_| fs::remove_file(&other));
    }
}

#[test]
fn a_folder_leaves_the_tree() {
    let dir = fixture();
    fs::create_dir(dir.path("beside/empty")).unwrap();
    for _ in 0..rounds() {
        let (sub, empty) = (dir.path("in/sub"), dir.path("beside/empty"));
        exchanging(&sub, &empty, None, || run(&dir, &["encrypt", "in", "out"]));
        assert_eq!(fs::read_dir(dir.path("out")).unwrap().count(), FILES + 1);
    }
}
