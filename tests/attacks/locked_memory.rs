//! Secrets that are swapped out stay on a disk; secrets that are not wiped can be read
//! by a flaw that comes later.

use std::io::Read;
use std::process::Child;

use crate::common::{CHEAP, Dir, Run, test_bytes};
use crate::memory::{find, status, wait_until_idle};
use crate::ssh_low_order::put_key;

const MARKER: &str = "marker-of-a-passphrase-9f2c";

/// Runs it until it waits for its input, or has written something and waits for the
/// reader; `None` where the memory of other processes cannot be read.
#[track_caller]
fn stopped(run: Run, writes: bool, wanted: &[u8]) -> (Child, Option<Vec<(u64, bool)>>) {
    let mut child = run.spawn();
    if writes {
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    }
    wait_until_idle(child.id());
    let found = find(child.id(), wanted);
    if found.is_none() {
        println!("skipped: only root may read the memory of the program");
    }
    (child, found)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn keys_in_use_lie_in_locked_memory_only() {
    let dir = Dir::new();
    dir.write("word", MARKER);
    put_key(&dir, "ssh_ed25519");
    // The first waits for its input, with the passphrase at hand.
    let run = dir.command(&["decrypt", "--passphrase-file", "word", "-", "-"]);
    let (child, found) = stopped(run, false, MARKER.as_bytes());
    assert!(status(child.id(), "VmLck") > 0, "no memory is locked");
    if let Some(found) = found {
        assert!(!found.is_empty(), "the passphrase is still needed");
        assert!(found.iter().all(|(_, is_locked)| *is_locked), "{found:x?}");
    }
    end(child);
    let run = dir.command(&["decrypt", "-", "-", "--key", MARKER]);
    let (child, found) = stopped(run, false, MARKER.as_bytes());
    let found = found.unwrap_or_default();
    assert!(found.iter().all(|(_, is_locked)| *is_locked), "{found:x?}");
    end(child);
}

#[test]
fn a_passphrase_is_nowhere_once_the_key_is_derived() {
    let dir = Dir::new();
    dir.write("word", MARKER);
    dir.write("plain", test_bytes(8 << 20));
    let base = ["encrypt", "plain", "-", CHEAP];
    let runs = [
        dir.command(&[&base[..], &["--key", MARKER]].concat()),
        dir.command(&[&base[..], &[&format!("--key={MARKER}")]].concat()),
        dir.command(&[&base[..], &["--passphrase-file", "word"]].concat()),
        dir.command(&base).env("CRYPTSTREAM_PASSPHRASE", MARKER),
    ];
    for (number, run) in runs.into_iter().enumerate() {
        // Nobody reads on, so it waits with everything in memory.
        let (child, found) = stopped(run, true, MARKER.as_bytes());
        assert_eq!(found.unwrap_or_default(), [], "run {number}");
        for file in ["cmdline", "environ"] {
            let shown = std::fs::read(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
            let shown = String::from_utf8_lossy(&shown);
            assert!(!shown.contains(MARKER), "run {number}: {file}: {shown}");
        }
        end(child);
    }
}

#[test]
fn the_text_of_a_key_is_nowhere_once_it_is_parsed() {
    let dir = Dir::new();
    dir.keygen("id");
    let identity = String::from_utf8(dir.read("id")).unwrap();
    let identity = identity.lines().last().unwrap().to_owned();
    for name in ["ssh_ed25519", "ssh_rsa"] {
        put_key(&dir, name);
    }
    let line = |name: &str| {
        let text = String::from_utf8(dir.read(name)).unwrap();
        text.lines().nth(4).unwrap()[8..48].to_owned()
    };
    for (name, text) in [
        ("ssh_ed25519", line("ssh_ed25519")),
        ("ssh_rsa", line("ssh_rsa")),
        ("id", identity[20..60].to_owned()),
    ] {
        let (child, found) =
            stopped(dir.command(&["decrypt", "-i", name, "-", "-"]), false, text.as_bytes());
        assert_eq!(found.unwrap_or_default(), [], "{name}");
        end(child);
    }
}

#[test]
fn without_a_limit_on_locked_memory_it_works_and_says_so() {
    let dir = Dir::new();
    dir.write("plain", "secret");
    dir.keygen("id");
    for (verbosity, is_said) in [("-v", true), ("-q", false)] {
        // A user without rights, for whom the limit holds.
        let script = format!(
            "ulimit -l 0; exec setpriv --reuid 65534 --clear-groups --bounding-set=-all \
             $CS encrypt {verbosity} -i id plain - >/dev/null"
        );
        if !rustix::process::geteuid().is_root() {
            println!("skipped: not root");
            return;
        }
        open_to_others(&dir);
        let done = dir.shell(&script.replace("$CS", &dir.program().display().to_string())).run();
        let done = done.ok();
        assert_eq!(done.stderr_text().contains("memory cannot be locked"), is_said, "{done:?}");
    }
}

/// Lets a user without rights read what is in the folder.
fn open_to_others(dir: &Dir) {
    use std::os::unix::fs::PermissionsExt;
    for (name, mode) in [(".", 0o755), ("id", 0o644)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(dir.root().join(name), mode).unwrap();
    }
}
