//! Runs the recipes of docs/guide.md as they are written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{Dir, has_private_group};
use crate::objects::with_store;
use cryptstream_s3_test_server::{Options, Server};

/// The shell blocks of the guide, with their first lines.
fn recipes(guide: &str) -> Vec<(usize, String)> {
    let mut recipes: Vec<(usize, String)> = Vec::new();
    let mut is_inside = false;
    for (number, line) in guide.lines().enumerate() {
        match line {
            "```sh" => {
                is_inside = true;
                recipes.push((number + 2, String::new()));
            }
            "```" => is_inside = false,
            _ if is_inside => {
                let (_, text) = recipes.last_mut().unwrap();
                *text += line;
                text.push('\n');
            }
            _ => {}
        }
    }
    recipes
}

#[test]
fn every_recipe_does_what_it_says() {
    for tool in ["python3", "tar", "dd", "find", "ssh-keygen"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("skipped: the guide's recipes need the program `{tool}`");
            return;
        }
    }
    let dir = Dir::new();
    for folder in ["home", "bin", "work"] {
        fs::create_dir(dir.path(folder)).unwrap();
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cryptstream"), dir.path("bin/cryptstream"))
        .unwrap();

    // In place of PostgreSQL's.
    let pg_dump = dir.write("bin/pg_dump", "#!/bin/sh\nseq 1 200000\n");
    fs::set_permissions(pg_dump, fs::Permissions::from_mode(0o755)).unwrap();

    let server = Server::start(Options::default());
    server.create_bucket("my-backups");
    server.create_bucket("other-bucket");

    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide.md"));
    let recipes = recipes(&guide.unwrap());
    assert!(recipes.len() > 12, "{} recipes were found", recipes.len());
    let path = format!("{}:{}", dir.path("bin").display(), std::env::var("PATH").unwrap());
    // As on Debian and Fedora, where every user has a private group.
    let umask = if has_private_group() { "umask 002; " } else { "" };
    for (line, recipe) in recipes {
        let script = format!("set -eu -o pipefail; {umask}cd work; {recipe}");
        let run = dir.shell(&script).env("HOME", dir.path("home")).env("PATH", &path);
        let mut run = with_store(run, &server.endpoint());
        // The recipes have their own configuration.
        run.command.env_remove("CRYPTSTREAM_CONFIG").env_remove("XDG_CONFIG_HOME");
        let done = run.run();
        assert!(done.status.success(), "docs/guide.md:{line}: {done:?}\n{recipe}");
    }
    let work = |name: &str| fs::read(dir.path("work").join(name)).unwrap();
    assert!(work("beach-at-kims.raw") == work("photos/beach.raw"));
    assert!(work("from-store.raw") == work("photos/beach.raw"));
    assert!(work("app.sql").ends_with(b"\n200000\n"));
    assert_eq!(work("hundred-bytes"), work("photos/beach.raw")[1000..1100]);
    assert_eq!((work("first-block").len(), work("end").len()), (512, 1024));
    assert!(!dir.path("work/some/2026").exists());
    assert!(dir.path("work/nightly/2026").exists());
    assert!(!dir.path("work/backup/2026/copy.raw.enc").exists());
}
