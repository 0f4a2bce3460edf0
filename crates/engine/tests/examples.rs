//! The examples run, do what they say, and are short.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use cryptstream_engine::{Engine, Inspect};

const EXAMPLES: [&str; 6] = [
    "encrypt_file",
    "encrypt_stream",
    "encrypt_tree",
    "decrypt_range",
    "own_recipient",
    "with_workers",
];

/// The folder of the examples. Cargo has not built them if it was asked for this test alone.
fn examples() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let tests = std::env::current_exe().unwrap();
        let built = tests.ancestors().nth(2).unwrap();
        let folder = built.join("examples");
        if !EXAMPLES.iter().all(|name| is_fresh(&folder.join(name)).unwrap_or_default()) {
            build(built);
        }
        folder
    });
    &FOLDER
}

/// Whether a program is newer than its sources, which cargo lists in a file beside it.
fn is_fresh(program: &Path) -> io::Result<bool> {
    let built = fs::metadata(program)?.modified()?;
    let list = fs::read_to_string(program.with_extension("d"))?;
    for source in list.split_whitespace().skip(1) {
        if fs::metadata(source)?.modified()? > built {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Builds the examples into `built`, the folder that this test was built into.
fn build(built: &Path) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--package", env!("CARGO_PKG_NAME")]);
    cargo.arg("--target-dir").arg(target);
    // A target triple, if one was given, and the profile.
    let mut parts: Vec<_> = built.strip_prefix(target).unwrap().iter().collect();
    let profile = parts.pop().unwrap();
    cargo.arg("--profile").arg(if profile == "debug" { OsStr::new("dev") } else { profile });
    for triple in parts {
        cargo.arg("--target").arg(triple);
    }
    assert!(cargo.status().unwrap().success());
}

/// Runs an example in `folder`.
fn run(name: &str, folder: &Path, input: Stdio) -> Output {
    let example = examples().join(name);
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
    for name in EXAMPLES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
        let text = fs::read_to_string(path).unwrap();
        let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        assert!(text.lines().filter(code).count() <= 15, "{name}");
    }
}
