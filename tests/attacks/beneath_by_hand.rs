//! The same where openat2(2) is missing, as in old kernels, or refused, as by filters
//! of system calls.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Dir, Done, clear_defaults, wait};
use crate::exchange::exchanging;
use crate::rounds;

/// More folders than a run keeps open, so that they are decrypted again, by several names
/// in one go.
const FOLDERS: usize = 150;

/// Runs the program without openat2; `None` where there is no strace.
fn without_openat2(dir: &Dir, errno: &str, args: &[&str]) -> Option<Done> {
    let mut command = Command::new("strace");
    let inject = format!("inject=openat2:error={errno}");
    command.args(["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=openat2", "-e"]);
    command.arg(inject).arg(env!("CARGO_BIN_EXE_cryptstream"));
    command.args(args).args(["-i", "id", "--processes", "2"]).current_dir(dir.root());
    clear_defaults(&mut command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: strace: {error}");
            return None;
        }
    };
    let done = wait(child);
    assert!([0, 65, 66, 73, 75].contains(&done.code().unwrap()), "{done:?}");
    assert!(!done.stderr_text().contains("panicked"), "{done:?}");
    Some(done)
}

fn folders(root: &Path, content: Option<&str>) {
    for number in 0..FOLDERS {
        let folder = root.join(number.to_string());
        fs::create_dir_all(&folder).unwrap();
        if let Some(content) = content {
            fs::write(folder.join("x"), content).unwrap();
        }
    }
}

fn fixture() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    folders(&dir.path("in/a"), Some("in the tree"));
    fs::create_dir(dir.path("beside")).unwrap();
    symlink("../elsewhere", dir.path("beside/link")).unwrap();
    dir
}

#[test]
fn a_folder_of_the_input_becomes_a_link() {
    let dir = fixture();
    folders(&dir.path("elsewhere"), Some("secret"));
    let (a, link) = (dir.path("in/a"), dir.path("beside/link"));
    for round in 0..rounds() {
        let errno = ["ENOSYS", "EPERM"][round % 2];
        for folder in ["out", "back"] {
            let _ = fs::remove_dir_all(dir.path(folder));
        }
        let run = || without_openat2(&dir, errno, &["encrypt", "in", "out"]);
        if exchanging(&a, &link, None, run).is_none() {
            return;
        }
        let decrypted = dir.run(&["decrypt", "-i", "id", "out", "back"]);
        for number in 0..FOLDERS {
            let file = dir.path("back/a").join(number.to_string()).join("x");
            // In the copy it may be a link by now, as it was in the tree.
            let is_link = fs::symlink_metadata(dir.path("back/a")).is_ok_and(|it| it.is_symlink());
            let text = fs::read(file).unwrap_or_default();
            assert!(is_link || text != b"secret", "round {round}: {decrypted:?}");
        }
    }
}

#[test]
fn a_folder_of_the_output_becomes_a_link() {
    let dir = fixture();
    folders(&dir.path("elsewhere"), None);
    let link = dir.path("beside/link");
    for round in 0..rounds() {
        let errno = ["ENOSYS", "EPERM"][round % 2];
        let _ = fs::remove_dir_all(dir.path("out"));
        folders(&dir.path("out/a"), None);
        let run = || without_openat2(&dir, errno, &["encrypt", "in", "out"]);
        if exchanging(&dir.path("out/a"), &link, None, run).is_none() {
            return;
        }
        for number in 0..FOLDERS {
            let folder = dir.path("elsewhere").join(number.to_string());
            let written = fs::read_dir(folder).unwrap().count();
            assert_eq!(written, 0, "round {round}: written elsewhere");
        }
    }
}
