//! Another user exchanges folders of the copy while they are being filled.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{CWD, Mode, RenameFlags, chown, mkdirat, renameat_with};
use rustix::process::{Uid, geteuid};

use crate::common::Dir;
use crate::exchange::{NOBODY, exchanging, repeating};
use crate::rounds;

const FILES: usize = 60;

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, Permissions::from_mode(bits)).unwrap();
}

/// A tree that anybody may write to, as its copy is in the end.
fn fixture() -> Option<Dir> {
    if !geteuid().is_root() {
        println!("skipped: only root can also be another user");
        return None;
    }
    let dir = Dir::new();
    dir.keygen("id");
    for folder in ["in/sub/deep", "public", "traps"] {
        fs::create_dir_all(dir.path(folder)).unwrap();
    }
    for number in 0..FILES {
        dir.write(format!("in/sub/deep/{number}"), "in the tree");
    }
    mode(dir.root(), 0o755);
    for folder in ["in", "in/sub", "in/sub/deep", "public", "traps"] {
        mode(&dir.path(folder), 0o777);
    }
    Some(dir)
}

/// The number of files in a folder.
fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn nobody_takes_a_folder_away_before_it_is_full() {
    let Some(dir) = fixture() else { return };
    let (trap, deep) = (dir.path("traps/trap"), dir.path("public/out/sub/deep"));
    for round in 0..rounds() {
        let _ = fs::remove_dir_all(dir.path("public/out"));
        let _ = fs::remove_dir_all(&trap);
        // How full it was when it was taken.
        let taken = AtomicUsize::new(FILES);
        let attack = || {
            let _ = mkdirat(CWD, &trap, Mode::RWXU | Mode::RWXG | Mode::RWXO);
            let is_done = renameat_with(CWD, &deep, CWD, &trap, RenameFlags::EXCHANGE).is_ok();
            // Not where their own folder came back.
            if is_done && fs::metadata(&trap).is_ok_and(|it| it.uid() != NOBODY) {
                taken.fetch_min(count(&trap), Ordering::Relaxed);
            }
            is_done
        };
        let run = || dir.run(&["encrypt", "-i", "id", "in", "public/out"]);
        let done = repeating(Some(NOBODY), attack, run, |_| ());
        assert!([0, 73, 75].contains(&done.code().unwrap()), "{done:?}");
        let taken = taken.into_inner();
        assert_eq!(taken, FILES, "round {round}: taken away with {taken} files in it");
    }
}

/// The owner of the folder above puts a folder of theirs in the place of one that was
/// made just now.
#[test]
fn what_was_made_is_what_is_filled() {
    let Some(dir) = fixture() else { return };
    let own = |path: &Path| chown(path, Some(Uid::from_raw(NOBODY)), None).unwrap();
    own(&dir.path("traps"));
    for round in 0..rounds() {
        for folder in ["public/out", "traps/trap"] {
            let _ = fs::remove_dir_all(dir.path(folder));
        }
        for folder in ["public/out", "traps/trap"] {
            fs::create_dir(dir.path(folder)).unwrap();
            own(&dir.path(folder));
            mode(&dir.path(folder), 0o755);
        }
        std::os::unix::fs::symlink("../elsewhere", dir.path("traps/trap/link")).unwrap();
        let _ = fs::create_dir(dir.path("elsewhere"));
        // A link in the place of the folder, whenever there is one.
        let (sub, link) = (dir.path("public/out/sub"), dir.path("traps/trap/link"));
        let run = || dir.run(&["encrypt", "-i", "id", "in", "public/out"]);
        let done = exchanging(&sub, &link, Some(NOBODY), run);
        assert!([0, 73, 75].contains(&done.code().unwrap()), "{done:?}");
        assert_eq!(count(&dir.path("elsewhere")), 0, "round {round}: written elsewhere");
    }
}

/// Folders of an interrupted run are finished by the next one.
#[test]
fn what_an_interrupted_run_has_left_is_finished() {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/sub")).unwrap();
    dir.write("in/sub/a", "in the tree");
    mode(&dir.path("in/sub"), 0o775);
    dir.run(&["encrypt", "-i", "id", "in", "out"]).ok_and_silent();
    let bits = || fs::metadata(dir.path("out/sub")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(bits(), 0o775);
    mode(&dir.path("out/sub"), 0o1700);
    dir.run(&["encrypt", "-i", "id", "in", "out"]).ok_and_silent();
    assert_eq!(bits(), 0o775, "it stays closed");
    // A folder that the user has named stays closed, and so does what was decrypted.
    mode(&dir.path("out"), 0o700);
    dir.run(&["encrypt", "-i", "id", "in", "out"]).ok_and_silent();
    let bits = |name: &str| fs::metadata(dir.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(bits("out"), 0o700);
    dir.run(&["decrypt", "-i", "id", "out", "back"]).ok_and_silent();
    mode(&dir.path("back/sub"), 0o700);
    dir.run(&["decrypt", "-i", "id", "out", "back"]).ok_and_silent();
    assert_eq!(bits("back/sub"), 0o700);
}
