//! What outputs inherit from the folder that they are created in, and from the umask.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::common::{Dir, Run, test_bytes};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn with_files() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    fs::create_dir_all(dir.path("in/sub/deep")).unwrap();
    for (name, len) in [("in/a", 10), ("in/sub/b", 2 << 20), ("in/sub/deep/c", 0)] {
        dir.write(name, test_bytes(len));
        set_mode(&dir.path(name), 0o644);
    }
    for name in ["in", "in/sub", "in/sub/deep"] {
        set_mode(&dir.path(name), 0o755);
    }
    dir
}

/// A missing folder above the output may be a disk that is not mounted. As with cp(1) and rsync(1),
/// only the named folder itself is created.
#[test]
fn a_folder_is_not_created_where_there_is_no_folder_for_it() {
    let dir = with_files();
    dir.run(&["encrypt", "-i", "id", "in", "copy"]).ok();
    let before = dir.names();
    for args in [
        &["encrypt", "-i", "id", "in", "mnt/daily/in"][..],
        &["encrypt", "-i", "id", "in", "mnt/daily/in", "--dry-run"],
        &["encrypt", "-i", "id", "in", "mnt/in", "--newer", "--delete"],
        &["encrypt", "-i", "id", "in", "in/a", "--output-dir", "mnt/daily"],
        &["encrypt", "-i", "id", "in/a", "--output-dir", "mnt/daily", "--dry-run"],
        &["decrypt", "-i", "id", "copy", "mnt/daily/in"],
        &["encrypt", "-i", "id", "--archive", "in", "mnt/in.tar.enc"],
        &["encrypt", "-i", "id", "in/a", "mnt/a.enc"],
    ] {
        let done = dir.run(args);
        assert_eq!(done.code(), Some(73), "{args:?}: {done:?}");
        assert!(done.stderr_text().contains("mnt"), "{args:?}: {done:?}");
        assert_eq!(dir.names(), before, "{args:?}");
    }
    let done = dir.run(&["encrypt", "-i", "id", "in", "mnt/daily/in"]);
    assert!(done.stderr_text().contains("the folder mnt/daily does not exist"), "{done:?}");
    dir.run(&["encrypt", "-i", "id", "in/a", "in/sub/b", "--output-dir", "new"]).ok();
    assert!(dir.path("new/a.enc").exists() && dir.path("new/b.enc").exists());
}

/// The command under this umask, as a user whom permission bits restrict.
fn under(dir: &Dir, umask: &str, command: &str) -> Run {
    let mut run = dir.shell(&format!("umask {umask}; exec $CS {command}"));
    if rustix::process::geteuid().is_root() {
        run.command.env("CS", dir.path("cs")).uid(65_534);
    }
    run
}

/// A umask may withhold bits from the owner too. That causes no failure halfway, and outputs are as
/// cp(1) and tar(1) create them: single files get what the umask leaves, files and folders in
/// copied trees what their originals have.
#[test]
fn a_umask_that_withholds_bits_from_the_owner_breaks_nothing() {
    let dir = with_files();
    set_mode(&dir.path("id"), 0o644);
    dir.program();
    dir.run(&["encrypt", "-i", "id", "in", "copy"]).ok();
    dir.run(&["encrypt", "-i", "id", "--archive", "in", "archive.enc"]).ok();
    dir.run(&["encrypt", "-i", "id", "in/a", "single.enc"]).ok();
    for umask in ["0777", "0277"] {
        let mask = u32::from_str_radix(umask, 8).unwrap();
        let place = dir.path("place");
        fs::create_dir(&place).unwrap();
        set_mode(&place, 0o777);
        for command in [
            "encrypt -i id in place/tree",
            "decrypt -i id copy place/back",
            "decrypt -i id --extract archive.enc place/unpacked",
            "encrypt -i id --archive in place/in.tar.enc",
            "encrypt -i id in/a in/sub/b --output-dir place/several",
            "encrypt -i id in/sub/b place/b.enc",
            "encrypt -i id in/sub/b place/workers.enc --processes 1",
            "decrypt -i id single.enc place/a",
            "keygen -o place/key",
        ] {
            let done = under(&dir, umask, command).run();
            assert!(done.status.success(), "{umask}: {command}: {done:?}");
        }
        let of = |name: &str| mode(&place.join(name));
        for name in ["tree", "back", "tree/sub", "back/sub/deep"] {
            assert_eq!(of(name), 0o755, "{umask}: {name}");
        }
        for name in ["tree/sub/deep/c.enc", "back/sub/b"] {
            assert_eq!(of(name), 0o644, "{umask}: {name}");
        }
        for name in ["in.tar.enc", "b.enc", "workers.enc", "a", "several/a.enc"] {
            // In a folder with other files, bits are kept as in a tree.
            let wanted = if name.starts_with("several") { 0o644 } else { 0o644 & !mask };
            assert_eq!(of(name), wanted, "{umask}: {name}");
        }
        assert_eq!(of("unpacked"), 0o755 & !mask, "{umask}");
        assert_eq!(of("key"), 0o600, "{umask}");
        // Like the folders that `mkdir -p` creates above.
        assert_eq!(of("several"), 0o777 & !mask | 0o700, "{umask}");
        set_mode(&place.join("unpacked"), 0o700);
        set_mode(&place.join("unpacked/sub"), 0o700);
        if rustix::process::geteuid().is_root() {
            assert_eq!(
                fs::read(place.join("unpacked/sub/b")).unwrap(),
                test_bytes(2 << 20),
                "{umask}"
            );
        }
        assert_eq!(fs::read_dir(&place).unwrap().count(), 9, "{umask}: something was left");
        fs::remove_dir_all(place).unwrap();
    }
}

/// In a folder with the set-group-ID bit, new entries belong to the folder's group, and new folders
/// have the bit too, as with mkdir(1) and `cp -r`.
#[test]
fn new_folders_take_the_set_group_id_bit_from_the_one_above() {
    let dir = with_files();
    dir.run(&["encrypt", "-i", "id", "in", "copy"]).ok();
    dir.run(&["encrypt", "-i", "id", "--archive", "in", "archive.enc"]).ok();
    // The group is not copied from the original, which belongs to another one.
    set_mode(&dir.path("in/sub/deep"), 0o2755);
    dir.run(&["encrypt", "-i", "id", "in", "plain"]).ok();
    assert_eq!(mode(&dir.path("plain/sub/deep")), 0o755);

    fs::create_dir(dir.path("shared")).unwrap();
    set_mode(&dir.path("shared"), 0o2755);
    for args in [
        &["encrypt", "-i", "id", "in", "shared/tree"][..],
        // Again, with existing outputs.
        &["encrypt", "-i", "id", "in", "shared/tree"],
        &["decrypt", "-i", "id", "copy", "shared/back"],
        &["decrypt", "-i", "id", "--extract", "archive.enc", "shared/unpacked"],
        &["encrypt", "-i", "id", "in", "--output-dir", "shared/several"],
    ] {
        dir.run(args).ok();
    }
    for name in ["tree", "tree/sub/deep", "back", "back/sub/deep", "unpacked", "several"] {
        let found = mode(&dir.path("shared").join(name));
        assert_eq!(found & 0o7700, 0o2700, "{name}: {found:o}");
    }
    for name in ["unpacked/sub", "unpacked/sub/deep", "several/in/sub"] {
        let found = mode(&dir.path("shared").join(name));
        assert_eq!(found & 0o7700, 0o2700, "{name}: {found:o}");
    }
}

/// With an access control list, the group bits are the most that the list may grant. In an archive,
/// which has no lists, they are the group's own permissions: tar(1) without --acls records the
/// former, and unpacking grants them to the group.
#[test]
fn an_access_control_list_grants_no_access_to_an_archive_member() {
    let dir = with_files();
    for (name, bits, list) in [
        ("in/a", 0o600, "g::---,u:1:rw"),
        ("in/sub/b", 0o600, "g::r--,u:1:rw"),
        ("in/sub", 0o700, "g::---,u:1:rwx"),
        ("in", 0o700, "g::---,u:1:rwx"),
    ] {
        set_mode(&dir.path(name), bits);
        let set = Command::new("setfacl").args(["-m", list]).arg(dir.path(name)).status();
        if !set.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no setfacl, or no access control lists here");
            return;
        }
    }
    assert_eq!((mode(&dir.path("in/a")), mode(&dir.path("in/sub"))), (0o660, 0o770));
    fs::hard_link(dir.path("in/a"), dir.path("in/second")).unwrap();
    let done = dir.run(&["encrypt", "-i", "id", "--archive", "in", "archive.enc"]).ok();
    let text = done.stderr_text();
    assert_eq!(text.matches("access control lists").count(), 1, "{text}");
    dir.run(&["decrypt", "-i", "id", "--extract", "archive.enc", "out"]).ok();
    for (name, bits) in [("out", 0o700), ("out/sub", 0o700), ("out/a", 0o600), ("out/sub/b", 0o640)]
    {
        assert_eq!(mode(&dir.path(name)), bits, "{name}");
    }
    assert_eq!(mode(&dir.path("out/sub/deep")), 0o755);
}

/// As in /tmp: everybody may create files there, and only owners may replace or remove them.
#[test]
fn what_the_sticky_bit_leaves_to_another_user_is_refused_before_the_work() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: this test needs root, to write files of another user");
    }
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir in tmp out").run().ok();
    dir.write("in/plain", "content");
    dir.write("tmp/plain.enc", "old");
    for (name, mode) in [(".", 0o755), ("id", 0o644), ("tmp", 0o1777), ("out", 0o777)] {
        set_mode(&dir.path(name), mode);
    }
    let words = ["tmp/plain.enc: belongs to another user (id 0)", "nothing was written"];
    // The first asks for no key, which would fail.
    for args in [
        &["encrypt", "-p", "in/plain", "tmp/plain.enc", "-f"][..],
        &["encrypt", "-i", "id", "in", "tmp", "-f"],
        &["encrypt", "-i", "id", "in/plain", "--output-dir", "tmp", "-f"],
    ] {
        dir.fails(dir.unprivileged(args), 73, &words);
    }
    dir.shell("mkdir tmp/d; $CS encrypt -i id --archive in a.tar.enc; chmod a+r a.tar.enc")
        .run()
        .ok();
    let args = ["decrypt", "-i", "id", "--extract", "a.tar.enc", "tmp/d"];
    dir.fails(dir.unprivileged(&args), 73, &["tmp/d: belongs to another user (id 0)"]);
    let args = ["encrypt", "-i", "id", "tmp/plain.enc", "out/x", "--remove-source"];
    let words = ["tmp/plain.enc: belongs to another user (id 0)", "leave --remove-source out"];
    dir.fails(dir.unprivileged(&args), 73, &words);
    assert_eq!(dir.read("tmp/plain.enc"), b"old");
    dir.run(&["encrypt", "-i", "id", "in/plain", "tmp/plain.enc", "-f"]).ok();
}

/// It is not reported as one that cannot be created.
#[test]
fn a_folder_for_outputs_that_cannot_be_opened() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: this test needs root, to make folders of another user");
    }
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir -p in shut/u; echo x > in/x; chmod 755 . in; chmod 644 id; chmod 700 shut")
        .run()
        .ok();
    let run = dir.unprivileged(&["encrypt", "-i", "id", "in", "shut/u/o"]);
    dir.fails(run, 73, &["shut/u: the folder cannot be opened: permission denied"]);
}
