//! Where the public test vectors of age are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the test vectors (CCTV) in the package `age` that the lock file
/// names: `key: value` lines, a blank line, a file of age, in each of its files.
///
/// # Panics
/// Without the package, which everything that is tested with them depends on.
#[must_use]
pub fn age_vectors() -> PathBuf {
    // Packages for other systems need not have been fetched; and where only some
    // of ours are tested, cargo fetches what the others need.
    let version = cargo(&["-vV"]);
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names the host");
    let metadata =
        cargo(&["metadata", "--format-version=1", "--locked", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("it is JSON");
    let packages = metadata["packages"].as_array().expect("it lists packages");
    let age = packages.iter().find(|package| package["name"] == "age").expect("age is there");
    let manifest = Path::new(age["manifest_path"].as_str().expect("it has a manifest"));
    manifest.with_file_name("tests/testdata/testkit")
}

fn cargo(args: &[&str]) -> String {
    // Whoever runs the tests says which.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let folder = env!("CARGO_MANIFEST_DIR");
    let done = Command::new(program).args(args).current_dir(folder).output();
    let done = done.expect("cargo can be run");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("it is text")
}
