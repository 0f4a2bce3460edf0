//! What happens on a terminal: questions, progress, refusals. The terminal is
//! the one that `script` (util-linux) makes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::group::wait_until;
use common::{CHEAP, Dir, Done, paint};
use rustix::fs::{Mode, OFlags};
use rustix::termios::LocalModes;

/// Runs a shell script on a terminal of its own and types `keys`, each after
/// the text that it waits for has appeared. Gives what the terminal showed,
/// or `None` when there is no `script` to make one.
fn on_terminal(dir: &Dir, script: &str, dialogue: &[(&str, &str)]) -> Option<(i32, String)> {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: this test needs the program `script` (util-linux)");
        return None;
    }
    let shown = dir.path("shown");
    let command = format!("{script}; echo \"[$?]\"");
    let mut run = dir.shell(r#"exec script -q -e -f -c "$SCRIPT" shown"#);
    run = run
        .env("SCRIPT", command)
        .env("SHELL", "/bin/bash")
        .env("CHEAP", CHEAP)
        .env("TERM", "xterm");
    let mut child = run.spawn();
    let mut stdin = child.stdin.take().unwrap();
    let drain = child.stdout.take().unwrap();
    let drain = thread::spawn(move || std::io::copy(&mut { drain }, &mut std::io::sink()));
    let mut seen = 0;
    for (prompt, keys) in dialogue {
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(&shown).unwrap_or_default();
            if let Some(at) = text.get(seen..).and_then(|new| new.find(prompt)) {
                seen += at + prompt.len();
                break;
            }
            assert!(start.elapsed() < common::PATIENCE, "no {prompt:?} in {text:?}");
            thread::sleep(Duration::from_millis(5));
        }
        if !keys.is_empty() {
            // The prompt is written before the echo is turned off.
            wait_until("the echo is off", || is_hidden(child.id()));
        }
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }
    common::wait_status(&mut child);
    drop(stdin);
    let _ = drain.join();
    let text = std::fs::read_to_string(&shown).unwrap();
    std::fs::remove_file(&shown).unwrap();
    let code = text.rsplit_once('[')?.1.split_once(']')?.0.parse().ok()?;
    Some((code, text))
}

/// Whether the terminal that `script` has made does not show what is typed, and
/// gives every key at once: what rpassword asks for while it reads.
fn is_hidden(script: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
    let Ok(shell) = children.unwrap_or_default().trim().parse::<u32>() else { return false };
    // Opening it through the link would make it the test's own terminal.
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(format!("/proc/{shell}/fd/0"), flags, Mode::empty());
    let modes = terminal.and_then(rustix::termios::tcgetattr);
    modes.is_ok_and(|modes| !modes.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON))
}

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "pass word\r"), ("once more", "pass word\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue) else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("pass word"), "{text}");
    let done: Done = dir.run(&["decrypt", "plain.enc", "-", "--key", "pass word"]);
    assert_eq!(done.ok().stdout, b"content");

    let dialogue = [("Passphrase", "pass word\r")];
    let (code, text) = on_terminal(&dir, "$CS decrypt -p plain.enc out", &dialogue).unwrap();
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.read("out"), b"content");
}

#[test]
fn protected_keys_ask_for_their_passphrase_once() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    dir.write("ssh", std::fs::read(data.join("ssh_protected")).unwrap());
    dir.shell("chmod 600 ssh; $CS encrypt -i ssh plain sealed.age").run().ok();
    dir.keygen("id");
    dir.shell("$CS encrypt -i id plain; $CS encrypt id --key house --argon2id=64MiB").run().ok();
    dir.shell("$CS encrypt id --key house --scrypt=16 --format age; rm id").run().ok();
    for (script, prompt, word) in [
        ("$CS decrypt -i ssh sealed.age out", "the SSH key in ssh:", "horse\r"),
        ("$CS decrypt -i id.enc plain.enc out", "the identity file id.enc:", "house\r"),
        ("$CS decrypt -i id.age plain.enc out", "the identity file id.age:", "house\r"),
        ("$CS encrypt -i id.age plain out", "the identity file id.age:", "house\r"),
    ] {
        let Some((code, text)) = on_terminal(&dir, script, &[(prompt, word)]) else { return };
        assert_eq!(code, 0, "{text}");
        assert_eq!(text.matches("Passphrase").count(), 1, "{text}");
        std::fs::remove_file(dir.path("out")).unwrap();
        let (code, text) = on_terminal(&dir, script, &[(prompt, "wrong\r")]).unwrap();
        assert_eq!(code, 77, "{text}");
        assert!(text.contains("another passphrase") && !dir.path("out").exists(), "{text}");
    }
}

#[test]
fn two_different_answers_seal_nothing() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "one\r"), ("once more", "two\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain", &dialogue) else { return };
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("not the same"), "{text}");
    assert_eq!(dir.snapshot().len(), 1);
}

#[test]
fn an_empty_answer_has_a_passphrase_made_and_shown() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "\r")];
    let Some((code, text)) = on_terminal(&dir, "$CS encrypt -p plain $CHEAP", &dialogue) else {
        return;
    };
    assert_eq!(code, 0, "{text}");
    let made = text.split("The passphrase is: ").nth(1).unwrap().lines().next().unwrap().trim();
    assert_eq!(dir.run(&["decrypt", "plain.enc", "-", "--key", made]).ok().stdout, b"content");
    // It is shown even where nothing else is.
    let script = "$CS encrypt -p -q plain again $CHEAP 2> /dev/null";
    let (_, text) = on_terminal(&dir, script, &dialogue).unwrap();
    assert!(text.contains("The passphrase is: "), "{text}");
}

#[test]
fn ctrl_c_at_the_prompt_ends_it_and_leaves_the_terminal_usable() {
    let dir = Dir::new();
    dir.write("plain", "content");
    let dialogue = [("New passphrase", "abc\u{3}"), ("ended", "")];
    let script = "$CS encrypt -p plain; echo ended $?; stty -a | grep -ow -e '-\\?echo'";
    let Some((_, text)) = on_terminal(&dir, script, &dialogue) else { return };
    assert!(text.contains("ended 130"), "{text}");
    assert!(text.lines().any(|line| line.trim() == "echo"), "{text}");
    assert_eq!(dir.snapshot().len(), 1);
}

#[test]
fn binary_does_not_go_to_a_terminal_unless_it_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "readable\n");
    dir.write("binary", [0x1b, b'[', b'2', b'J', 0]);
    for name in ["plain", "binary"] {
        dir.run(&["encrypt", name, "-i", "id"]).ok();
    }
    let Some((code, text)) = on_terminal(&dir, "cat plain | $CS encrypt -i id", &[]) else {
        return;
    };
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("terminal") && !text.contains("cryptstream/v1"), "{text}");
    let run = |script| on_terminal(&dir, script, &[]).unwrap();
    let (code, text) = run("cat plain | $CS encrypt -i id - - | head -c 14");
    assert!(code == 0 && text.contains("cryptstream/v1"), "{text}");
    let (code, text) = run("cat plain.enc | $CS decrypt -i id");
    assert!(code == 0 && text.contains("readable"), "{text}");
    let (code, text) = run("cat binary.enc | $CS decrypt -i id");
    assert!(code == 64 && text.contains("binary"), "{text}");
    let (code, text) = run("$CS encrypt -i id");
    assert!(code == 64 && text.contains("no input"), "{text}");
    let (code, text) = run("cat plain | $CS encrypt -i id --armor");
    assert!(code == 0 && text.contains("-----END AGE ENCRYPTED FILE-----"), "{text}");
}

#[test]
fn progress_appears_on_a_terminal_after_a_while_and_goes_again() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", paint(3 << 20));
    let slow =
        "(head -c 2M plain; sleep 0.8; head -c 2M plain; sleep 0.2) | $CS encrypt -i id - out";
    let Some((code, text)) = on_terminal(&dir, slow, &[]) else { return };
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("MiB") && text.contains("/s"), "{text}");
    let (_, text) = on_terminal(&dir, &format!("{slow}2 --progress never"), &[]).unwrap();
    assert!(!text.contains("MiB"), "{text}");
    // A quick run shows none; on a busy machine it may take a few to be quick.
    wait_until("a run is quick", || {
        let start = Instant::now();
        let (_, text) = on_terminal(&dir, "$CS encrypt -i id plain --force", &[]).unwrap();
        let is_quick = start.elapsed() < Duration::from_millis(500);
        assert!(!is_quick || !text.contains("MiB"), "{text}");
        is_quick
    });
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let dir = Dir::new();
    let Some((_, text)) = on_terminal(&dir, "$CS decrypt x.enc --key x", &[]) else { return };
    assert!(text.contains("\x1b[1;31merror:"), "{text}");
    for script in ["NO_COLOR=1 $CS decrypt x.enc --key x", "$CS decrypt x.enc --key x --no-color"] {
        let (_, text) = on_terminal(&dir, script, &[]).unwrap();
        assert!(text.contains("error:") && !text.contains("\x1b[1;31m"), "{text}");
    }
}
