//! Another process of the same user reads the program's memory while it holds keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::common::{Dir, test_bytes};
use crate::memory::wait_until_idle;

const NOBODY: u32 = 65_534;

/// A folder in which a user without rights can work.
fn open_dir() -> Dir {
    let dir = Dir::new();
    fs::set_permissions(dir.root(), fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// Runs a program as the user that [`Dir::unprivileged`] is.
fn as_neighbour(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY);
    }
    command.status().unwrap().success()
}

#[test]
fn a_process_of_the_same_user_cannot_read_the_memory() {
    let dir = open_dir();
    let word = dir.write("word", "horse");
    fs::set_permissions(word, fs::Permissions::from_mode(0o644)).unwrap();
    let run = dir.unprivileged(&["decrypt", "--passphrase-file", "word", "-", "-"]);
    let mut child = run.spawn();
    wait_until_idle(child.id());
    // Opening it takes the right to trace the process, as attaching a debugger does.
    for file in ["mem", "environ"] {
        let open = format!("exec 3< /proc/{}/{file}", child.id());
        assert!(!as_neighbour("sh", &["-c", &open]), "{file} can be opened");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A process that is not dumpable does not own its own /proc/self, so everything that
/// goes by it is tried as a user whom that matters to.
#[test]
fn an_unprivileged_user_can_do_everything() {
    let dir = open_dir();
    let plain = dir.write("plain", test_bytes(40 << 20));
    fs::set_permissions(plain, fs::Permissions::from_mode(0o644)).unwrap();
    dir.unprivileged(&["keygen", "-o", "id"]).run().ok();
    // Workers, an unnamed temporary that is linked by its descriptor.
    let args = ["encrypt", "--json", "--processes", "2", "-i", "id", "plain", "encrypted"];
    let done = dir.unprivileged(&args).run().ok();
    assert!(done.stdout_text().contains("\"workers\":2"), "{done:?}");
    assert!(!done.stdout_text().contains("\"sandbox\":\"none\""), "{done:?}");
    dir.unprivileged(&["decrypt", "-i", "id", "encrypted", "decrypted"]).run().ok();
    assert!(dir.read("decrypted") == test_bytes(40 << 20));
    // The passphrase in the arguments is blanked.
    let args = ["decrypt", "-", "-", "--key", "visible-word"];
    let mut child = dir.unprivileged(&args).spawn();
    wait_until_idle(child.id());
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&shown).contains("visible-word"));
    child.kill().unwrap();
    child.wait().unwrap();
    // Outputs and inputs that are descriptors.
    let program = dir.program();
    let script = format!(
        "set -o pipefail; CS={}; \
         $CS decrypt -i id encrypted /dev/stdout | cmp - plain && \
         $CS decrypt -i /dev/fd/8 /dev/stdin - 8< id < encrypted | cmp - plain && \
         $CS decrypt -i <(cat id) <(cat encrypted) >(cat > copied)",
        program.display()
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(dir.root());
    if rustix::process::geteuid().is_root() {
        bash.uid(NOBODY);
    } else {
        println!("not root: only this user was tried");
    }
    crate::common::clear_defaults(&mut bash);
    assert!(bash.status().unwrap().success());
    crate::memory::wait_until(|| {
        fs::metadata(dir.path("copied")).is_ok_and(|copied| copied.len() == 40 << 20)
    });
}
