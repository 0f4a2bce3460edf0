//! The examples run, do what they say, and are short.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cryptstream_engine::{Engine, Inspect};

/// Runs an example that cargo has built, in `folder`.
fn run(name: &str, folder: &Path, input: Stdio) -> Output {
    let tests = std::env::current_exe().unwrap();
    let example = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(example.exists(), "{} is built by `cargo test --workspace`", example.display());
    let output = Command::new(example).current_dir(folder).stdin(input).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    output
}

fn is_encrypted(path: PathBuf) -> bool {
    Engine::builder().build().inspect(Inspect::file(path)).is_ok()
}

#[test]
fn a_file_is_encrypted_and_decrypted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "some text").unwrap();
    run("encrypt_file", folder.path(), Stdio::null());
    assert!(is_encrypted(folder.path().join("a.enc")));
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"some text");
}

#[test]
fn a_stream_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "some text").unwrap();
    let input = File::open(folder.path().join("a")).unwrap();
    let output = run("encrypt_stream", folder.path(), input.into());
    fs::write(folder.path().join("a.enc"), output.stdout).unwrap();
    assert!(is_encrypted(folder.path().join("a.enc")));
}

#[test]
fn a_tree_is_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("tree/sub")).unwrap();
    fs::write(folder.path().join("tree/a"), "some text").unwrap();
    fs::write(folder.path().join("tree/sub/b"), "more").unwrap();
    let output = run("encrypt_tree", folder.path(), Stdio::null());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("files: 2, failed: 0"), "{said}");
    assert!(is_encrypted(folder.path().join("tree.enc/a")));
    assert!(is_encrypted(folder.path().join("tree.enc/sub/b")));
}

#[test]
fn a_range_is_decrypted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "0123456789abcdefghijklmnopqrstuv").unwrap();
    let output = run("decrypt_range", folder.path(), Stdio::null());
    assert_eq!(output.stdout, b"ghijklmnopqrstuv");
}

#[test]
fn a_recipient_may_be_of_the_callers_own_type() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "some text").unwrap();
    let output = run("own_recipient", folder.path(), Stdio::null());
    assert!(output.stdout.starts_with(b"wrapping a file key to age1"), "{output:?}");
    assert!(is_encrypted(folder.path().join("a.enc")));
}

#[test]
fn a_program_brings_its_workers() {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("a")).unwrap().set_len(16 << 20).unwrap();
    let output = run("with_workers", folder.path(), Stdio::null());
    // On a single core there are no workers.
    let is_single = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    assert_eq!(output.stdout == b"0 workers\n", is_single, "{output:?}");
    assert!(is_encrypted(folder.path().join("a.enc")));
}

#[test]
fn examples_are_short() {
    for name in [
        "encrypt_file",
        "encrypt_stream",
        "encrypt_tree",
        "decrypt_range",
        "own_recipient",
        "with_workers",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
        let text = fs::read_to_string(path).unwrap();
        let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        assert!(text.lines().filter(code).count() <= 15, "{name}");
    }
}
