//! Another user adds a recipient of their own to a file that decides over keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;

use crate::common::acl::{self, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ};
use crate::common::{CHEAP, Dir, Run, has_private_group};

const NOBODY: u32 = 65_534;

fn chmod(dir: &Dir, name: &str, mode: u32) {
    fs::set_permissions(dir.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn folder() -> Dir {
    let dir = Dir::new();
    let recipient = dir.keygen("id");
    dir.write("plain", "content");
    dir.write("recipients", format!("{recipient}\n"));
    dir.write("passphrase", "correct horse\n");
    dir.write("config.toml", format!("recipients = [\"{recipient}\"]\n"));
    for name in ["recipients", "passphrase", "config.toml"] {
        chmod(&dir, name, 0o600);
    }
    dir
}

/// Encrypts with each file that decides over keys, of which the first is named.
fn uses(dir: &Dir) -> [(&'static str, Run); 4] {
    let to = |args: &[&str]| dir.command(&[&["encrypt", "plain", "-"], args].concat());
    let config = to(&[]).env("CRYPTSTREAM_CONFIG", dir.path("config.toml"));
    [
        ("id", to(&["-i", "id"])),
        ("recipients", to(&["-R", "recipients"])),
        ("passphrase", to(&["--passphrase-file", "passphrase", CHEAP])),
        ("config.toml", config),
    ]
}

#[test]
fn what_others_may_write_is_refused() {
    let dir = folder();
    for (_, run) in uses(&dir) {
        run.run().ok();
    }
    let words = |name| [name, "other users can change", "chmod go-w"];
    for mode in [0o602, 0o666] {
        for (name, run) in uses(&dir) {
            chmod(&dir, name, mode);
            dir.fails(run, 78, &words(name));
            chmod(&dir, name, 0o600);
        }
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped in part: only root can give files to any group");
        return;
    }
    // One that others are in, and one that nobody knows.
    for group in [NOBODY, 54_321] {
        for (name, run) in uses(&dir) {
            chown(dir.path(name), None, Some(group)).unwrap();
            chmod(&dir, name, 0o664);
            dir.fails(run, 78, &words(name));
            chmod(&dir, name, 0o600);
        }
    }
    // Nor does another user's own group count.
    for (name, run) in uses(&dir).into_iter().filter(|(name, _)| *name != "config.toml") {
        chown(dir.path(name), Some(NOBODY), None).unwrap();
        chmod(&dir, name, 0o664);
        dir.fails(run, 78, &words(name));
    }
}

#[test]
fn the_private_group_of_the_user_may_write() {
    if !has_private_group() {
        println!("skipped: others may be in this user's group");
        return;
    }
    let dir = folder();
    for (name, run) in uses(&dir) {
        chmod(&dir, name, 0o660);
        assert_eq!(run.run().ok().stderr_text(), "", "{name}");
    }
    let script = "umask 002; $CS keygen -y id > me.pub; $CS encrypt plain encrypted -R me.pub";
    dir.shell(script).run().ok_and_silent();
    // Not where an access list names another user, to whom the group's bits then apply.
    let entries = [(USER_OBJ, 6), (USER, 6), (GROUP_OBJ, 6), (MASK, 6), (OTHER, 4)];
    let list = acl::list(NOBODY, &entries);
    if let Err(error) = setxattr(dir.path("me.pub"), acl::ACCESS, &list, XattrFlags::empty()) {
        assert_eq!(error, Errno::OPNOTSUPP);
        println!("skipped in part: the file system has no access lists");
        return;
    }
    let run = dir.command(&["encrypt", "plain", "-", "-R", "me.pub"]);
    dir.fails(run, 78, &["me.pub", "other users can change"]);
}

#[test]
fn what_another_user_has_written_is_not_used_unseen() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can act as another user");
        return;
    }
    let dir = folder();
    let attacker = dir.keygen("attacker");
    chmod(&dir, ".", 0o777);
    chmod(&dir, "recipients", 0o666);
    let add = format!("echo {attacker} >> recipients");
    let mut shell = Command::new("bash");
    let added = shell.args(["-c", &add]).current_dir(dir.root()).uid(NOBODY).status().unwrap();
    assert!(added.success());
    dir.fails(dir.command(&["encrypt", "plain", "-", "-R", "recipients"]), 78, &["recipients"]);

    // The folder lets them exchange the file; then it is theirs.
    fs::remove_file(dir.path("recipients")).unwrap();
    let add = format!("umask 022; echo {attacker} > recipients");
    let mut shell = Command::new("bash");
    let added = shell.args(["-c", &add]).current_dir(dir.root()).uid(NOBODY).status().unwrap();
    assert!(added.success());
    for name in ["id", "passphrase", "config.toml"] {
        chown(dir.path(name), Some(NOBODY), None).unwrap();
    }
    for (name, run) in uses(&dir) {
        if name == "config.toml" {
            dir.fails(run, 78, &[name, "belongs to another user"]);
            continue;
        }
        // They may well be a colleague's who is meant.
        let said = run.run().ok().stderr_text();
        let warning = format!("{name}: belongs to another user (id {NOBODY}), who could ");
        assert!(said.contains(&warning) && said.lines().count() == 1, "{said}");
    }
    dir.run(&["encrypt", "-q", "plain", "encrypted", "-R", "recipients", "-i", "id"])
        .ok_and_silent();
    // Who has the key can do nothing more to one who decrypts with it.
    dir.run(&["decrypt", "encrypted", "decrypted", "-i", "id"]).ok_and_silent();
}

#[test]
fn descriptors_and_pipes_are_the_callers_choice() {
    let dir = folder();
    for name in ["id", "recipients", "passphrase"] {
        chmod(&dir, name, 0o666);
    }
    for script in [
        "$CS encrypt -i /dev/fd/3 plain - 3< id > /dev/null",
        "$CS encrypt -R <(cat recipients) plain - > /dev/null",
        "$CS encrypt -R - plain - < recipients > /dev/null",
        "$CS encrypt --passphrase-fd 3 --argon2id=64MiB plain - 3< passphrase > /dev/null",
        "mkfifo -m 600 p; cat recipients > p & $CS encrypt -R p plain - > /dev/null",
    ] {
        let done = dir.shell(script).run();
        assert!(done.status.success(), "{script}: {done:?}");
    }
}

/// In a folder such as `/tmp`, somebody puts a program beside this one that would get the store's
/// credentials.
#[test]
fn a_planted_transport_is_not_started() {
    let dir = folder();
    let installed = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = |name: &str| installed.path().join(name);
    fs::hard_link(env!("CARGO_BIN_EXE_cryptstream"), at("cryptstream")).unwrap();
    let planted = at("cryptstream-transport");
    fs::write(&planted, format!("#!/bin/sh\ntouch {}\n", dir.path("started").display())).unwrap();
    let script = format!("{} encrypt -i id plain s3://b/k", at("cryptstream").display());
    let run = || dir.shell(&script).env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    for (mode, owner) in [(0o757, None), (0o755, Some(NOBODY))] {
        if owner.is_some() && !rustix::process::geteuid().is_root() {
            println!("skipped in part: only root can act as another user");
            continue;
        }
        fs::set_permissions(&planted, fs::Permissions::from_mode(mode)).unwrap();
        chown(&planted, owner, None).unwrap();
        dir.fails(run(), 78, &["cryptstream-transport", "can be changed by another user"]);
        assert!(!dir.path("started").exists());
    }
}
