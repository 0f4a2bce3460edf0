//! Standard streams that are closed or full: nothing is lost silently.

use crate::common::{CHEAP, Dir};

/// Commands that write data or a report to standard output.
const COMMANDS: [&str; 18] = [
    "encrypt -i id plain -",
    "encrypt -i id -a plain -",
    "encrypt -i id - - < plain",
    "encrypt -i id --json plain again --force",
    "encrypt -i id --json in in2",
    "encrypt -i id --dry-run in in3",
    "decrypt -i id plain.enc -",
    "decrypt -i id --range 0-2 plain.enc",
    "decrypt --key x word.enc -",
    "decrypt -i id --json plain.enc back --force",
    "inspect plain.enc",
    "inspect --json plain.enc",
    "verify -i id plain.enc",
    "verify -i id --json plain.enc",
    "keygen",
    "keygen -y id",
    "config",
    "--help",
];

fn fixture() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    dir.shell("mkdir in; echo 1 > in/1").run().ok();
    dir.run(&["encrypt", "-i", "id", "plain"]).ok();
    dir.run(&["encrypt", "--key", "x", CHEAP, "plain", "word.enc"]).ok();
    dir
}

#[test]
fn writing_to_a_closed_output_fails() {
    let dir = fixture();
    for command in COMMANDS {
        let done = dir.shell(&format!("$CS {command} >&-")).run();
        assert_eq!(done.code(), Some(74), "{command}: {done:?}");
        let text = done.stderr_text();
        if command.contains("--json") {
            let event = done.json(&done.stderr);
            assert_eq!(
                (&event["event"], &event["file"]),
                (&"error".into(), &"standard output".into())
            );
            assert!(
                event["message"].as_str().unwrap().starts_with("is closed"),
                "{command}: {text}"
            );
        } else {
            assert!(text.contains("standard output: is closed"), "{command}: {text}");
        }
    }
    // It does not matter if nothing is written there.
    dir.shell("$CS encrypt -i id plain other >&-").run().ok_and_silent();
}

#[test]
fn writing_to_a_full_output_fails() {
    let dir = fixture();
    for command in COMMANDS {
        let done = dir.shell(&format!("$CS {command} > /dev/full")).run();
        assert_eq!(done.code(), Some(74), "{command}: {done:?}");
        assert!(done.stderr_text().contains("standard output"), "{command}: {done:?}");
    }
}

#[test]
fn a_discarded_output_succeeds() {
    let dir = fixture();
    for command in COMMANDS {
        // Opened for reading and writing, like Python's subprocess.DEVNULL.
        dir.shell(&format!("$CS {command} 1<> /dev/null")).run().ok();
    }
}

#[test]
fn a_closed_input_is_not_an_empty_input() {
    let dir = fixture();
    for command in ["encrypt -i id - out", "decrypt -i id - out", "inspect -", "verify -i id -"] {
        let done = dir.shell(&format!("$CS {command} <&-")).run();
        assert_eq!(done.code(), Some(66), "{command}: {done:?}");
        assert!(done.stderr_text().contains("closed"), "{command}: {done:?}");
    }
    assert!(!dir.path("out").exists());
}
