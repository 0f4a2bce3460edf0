//! What was closed to others is readable for them as an output: by the umask that was
//! not asked, by an access control list that was read as permission bits, or by the one
//! that the folder gives its files.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{XattrFlags, fgetxattr, setxattr};

use crate::common::Dir;
use crate::common::acl::{self, ACCESS, DEFAULT, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ};

/// Who is given access.
const FRIEND: u32 = 1234;

/// Gives a file or a folder a list, where the file system has some.
fn set(dir: &Dir, name: &str, kind: &str, entries: &[(u16, u16)]) -> bool {
    let is_set =
        setxattr(dir.path(name), kind, &acl::list(FRIEND, entries), XattrFlags::empty()).is_ok();
    if !is_set {
        println!("skipped: this file system has no access control lists");
    }
    is_set
}

fn mode(dir: &Dir, name: &str) -> u32 {
    fs::metadata(dir.path(name)).unwrap().mode() & 0o777
}

fn has_list(dir: &Dir, name: &str) -> bool {
    let file = File::open(dir.path(name)).unwrap();
    fgetxattr(&file, ACCESS, &mut [0; 256][..]).is_ok()
}

fn folder(plain: u32) -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    fs::set_permissions(dir.path("plain"), PermissionsExt::from_mode(plain)).unwrap();
    fs::create_dir(dir.path("out")).unwrap();
    dir
}

/// Encrypts and decrypts under a umask, and returns the bits of both outputs.
fn through(dir: &Dir, umask: u32) -> [u32; 2] {
    let script = format!(
        "umask {umask:03o}; $CS encrypt -i id plain out/s && $CS decrypt -i id out/s out/p"
    );
    dir.shell(&script).run().ok();
    ["out/s", "out/p"].map(|name| mode(dir, name))
}

#[test]
fn the_umask_holds_for_outputs() {
    for (plain, umask) in [(0o644, 0o077), (0o664, 0o022), (0o755, 0o027), (0o644, 0o022)] {
        let dir = folder(plain);
        assert_eq!(through(&dir, umask), [plain & !umask; 2], "{plain:o} {umask:o}");
    }
    // A key is its owner's, whatever the umask says.
    let dir = folder(0o644);
    dir.shell("umask 0; $CS keygen -o a; umask 0777; $CS keygen -o b").run().ok();
    assert_eq!([mode(&dir, "a"), mode(&dir, "b")], [0o600; 2]);
}

#[test]
fn the_group_gets_no_more_than_the_list_gave_it() {
    let dir = folder(0o600);
    let entries = [(USER_OBJ, 6), (USER, 6), (GROUP_OBJ, 4), (MASK, 6), (OTHER, 0)];
    if !set(&dir, "plain", ACCESS, &entries) {
        return;
    }
    // The bits of the group are the mask now.
    assert_eq!(mode(&dir, "plain"), 0o660);
    assert_eq!(through(&dir, 0), [0o640; 2]);
}

#[test]
fn the_list_of_the_folder_opens_nothing_that_was_closed() {
    let dir = folder(0o600);
    let entries = [(USER_OBJ, 7), (USER, 7), (GROUP_OBJ, 5), (MASK, 7), (OTHER, 5)];
    if !set(&dir, "out", DEFAULT, &entries) {
        return;
    }
    // The mask is empty, so the friend gets nothing.
    assert_eq!(through(&dir, 0), [0o600; 2]);
    dir.run(&["keygen", "-o", "out/key"]).ok();
    assert_eq!(mode(&dir, "out/key"), 0o600);

    // Nor does the list of a folder that another user owns open what the umask closes.
    if rustix::process::geteuid().is_root() {
        let dir = folder(0o644);
        let entries = [(USER_OBJ, 7), (USER, 7), (GROUP_OBJ, 7), (MASK, 7), (OTHER, 7)];
        assert!(set(&dir, "out", DEFAULT, &entries));
        std::os::unix::fs::chown(dir.path("out"), Some(FRIEND), None).unwrap();
        assert_eq!(through(&dir, 0o077), [0o600; 2]);
        let script = "umask 077; $CS encrypt -i id - out/piped < plain";
        dir.shell(script).run().ok();
        assert_eq!(mode(&dir, "out/piped"), 0o600);
    } else {
        println!("skipped: only root can give a folder away");
    }

    // As cp gives it: no more than the list and the input's bits together.
    let dir = folder(0o664);
    let entries = [(USER_OBJ, 7), (USER, 7), (GROUP_OBJ, 5), (MASK, 5), (OTHER, 0)];
    assert!(set(&dir, "out", DEFAULT, &entries));
    let got = through(&dir, 0);
    dir.shell("umask 0; cp plain out/c").run().ok();
    assert_eq!(got, [mode(&dir, "out/c"); 2]);

    // A file that has no list gets none when its header is exchanged.
    fs::write(dir.path("out/x"), dir.read("out/s")).unwrap();
    rustix::fs::removexattr(dir.path("out/x"), ACCESS).unwrap();
    fs::set_permissions(dir.path("out/x"), PermissionsExt::from_mode(0o640)).unwrap();
    let recipient = dir.keygen("new");
    dir.run(&["rekey", "-i", "id", "--new-recipient", &recipient, "out/x"]).ok();
    assert!(!has_list(&dir, "out/x"));
    assert_eq!(mode(&dir, "out/x"), 0o640);
}

#[test]
fn trees_keep_their_bits() {
    let dir = folder(0o664);
    fs::create_dir(dir.path("tree")).unwrap();
    fs::rename(dir.path("plain"), dir.path("tree/plain")).unwrap();
    dir.shell("umask 077; $CS encrypt -i id tree encrypted").run().ok();
    assert_eq!(mode(&dir, "encrypted/plain.enc"), 0o664);
}
