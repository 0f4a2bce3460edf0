//! Tries what a sandboxed worker can do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// The exit code and the signal of a process that sandboxes itself (or not) and then tries `what`,
/// and its sandbox level.
fn attempt(mode: &str, what: &str) -> (Option<i32>, Option<i32>, String) {
    attempt_in("probe", mode, what)
}

/// The same; `sandbox` is `probe` or `probe-transport`.
fn attempt_in(sandbox: &str, mode: &str, what: &str) -> (Option<i32>, Option<i32>, String) {
    let mut command = Command::new(common::FAULTY_WORKER);
    command.args([sandbox, mode, what]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = common::wait(&mut child);
    let text = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    (status.code(), status.signal(), text.lines().next().unwrap_or_default().to_owned())
}

/// Whether this system has all that the sandbox needs.
fn is_full() -> bool {
    let (code, _, level) = attempt("require", "nothing");
    assert_eq!(code, Some(0));
    if level != "full" {
        println!("skipped: this system has no full sandbox, only: {level}");
    }
    level == "full"
}

const SIGSYS: i32 = 31;
const REFUSED: [&str; 5] = ["open", "create", "stat", "list", "io-uring"];
const DEADLY: [&str; 18] = [
    "remove",
    "rename",
    "mkdir",
    "chmod",
    "chdir",
    "udp",
    "tcp",
    "unix",
    "thread",
    "process",
    "kill-main",
    "pipe",
    "exec",
    "map-executable",
    "make-executable",
    "ptrace",
    "read-process",
    "limits",
];

#[test]
fn what_libraries_try_in_passing_is_refused() {
    if !is_full() {
        return;
    }
    for what in REFUSED {
        assert_eq!(attempt("require", what).0, Some(1), "{what}");
    }
}

#[test]
fn everything_else_kills() {
    if !is_full() {
        return;
    }
    for what in DEADLY.into_iter().chain(["bpf"]) {
        assert_eq!(attempt("require", what).1, Some(SIGSYS), "{what}");
    }
}

const REFUSED_TO_TRANSPORT: [&str; 9] = [
    "open",
    "create",
    "io-uring",
    "unix-connect",
    "netlink",
    "raw",
    "vsock",
    "signals-of-descriptors",
    "limits-of-main",
];
const DEADLY_TO_TRANSPORT: [&str; 14] = [
    "remove",
    "rename",
    "mkdir",
    "chmod",
    "chdir",
    "unix",
    "process",
    "kill-main",
    "pipe",
    "exec",
    "map-executable",
    "make-executable",
    "ptrace",
    "read-process",
];

/// The process that talks to the network can connect to other machines, and do little else.
#[test]
fn the_transport_reaches_other_machines_only() {
    if !is_full() {
        return;
    }
    let attempt = |mode, what| attempt_in("probe-transport", mode, what);
    for what in REFUSED_TO_TRANSPORT.into_iter().chain(["death-signal", "limits"]) {
        let (code, signal, _) = attempt("require", what);
        assert_eq!((code, signal), (Some(1), None), "{what}");
    }
    for what in DEADLY_TO_TRANSPORT {
        assert_eq!(attempt("require", what).1, Some(SIGSYS), "{what}");
    }
    for what in ["thread", "udp"] {
        assert_eq!(attempt("require", what).0, Some(0), "{what}");
    }
    // Nobody listens there, but that is what is found out.
    assert_eq!(attempt("require", "tcp").0, Some(2));
    for what in REFUSED_TO_TRANSPORT.into_iter().chain(DEADLY_TO_TRANSPORT) {
        let (code, signal, _) = attempt("off", what);
        assert_eq!(signal, None, "{what}");
        let may_be_refused = ["ptrace", "read-process", "io-uring", "rename", "remove", "raw"];
        let may_be_refused = [&may_be_refused[..], &["signals-of-descriptors"]].concat();
        assert!(code != Some(1) || may_be_refused.contains(&what), "{what}: {code:?}");
    }
}

#[test]
fn without_the_sandbox_they_get_through_or_are_told_why() {
    // Shows that the tests above can fail.
    for what in REFUSED.into_iter().chain(DEADLY) {
        let (code, signal, _) = attempt("off", what);
        assert_eq!(signal, None, "{what}");
        let may_be_refused = ["ptrace", "read-process", "io-uring", "limits", "rename", "remove"];
        assert!(code != Some(1) || may_be_refused.contains(&what), "{what}: {code:?}");
    }
}
