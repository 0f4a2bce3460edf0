//! Another user adds a recipient of their own to a file that decides over keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{CHEAP, Dir, Run};

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
    for mode in [0o620, 0o602, 0o666, 0o664] {
        for (name, run) in uses(&dir) {
            chmod(&dir, name, mode);
            dir.fails(run, 78, &[name, "others may change", "chmod go-w"]);
            chmod(&dir, name, 0o600);
        }
    }
}

#[test]
fn what_another_user_has_written_is_not_used() {
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
    let run = || dir.command(&["encrypt", "plain", "-", "-R", "recipients"]);
    dir.fails(run(), 78, &["recipients", "belongs to another user"]);
    chown(dir.path("recipients"), Some(0), None).unwrap();
    run().run().ok();
    for name in ["id", "passphrase", "config.toml"] {
        chown(dir.path(name), Some(NOBODY), None).unwrap();
    }
    for (name, run) in uses(&dir).into_iter().filter(|(name, _)| *name != "recipients") {
        dir.fails(run, 78, &[name, "belongs to another user"]);
    }
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
