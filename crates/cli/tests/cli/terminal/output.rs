//! Output on a terminal: results, errors and colours.

use std::thread;
use std::time::Duration;

use crate::common::Dir;
use crate::common::pty::{Terminal, shown};

#[test]
fn binary_does_not_go_to_a_terminal_unless_it_is_named() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "readable\n");
    dir.write("binary", [0x1b, b'[', b'2', b'J', 0]);
    for name in ["plain", "binary"] {
        dir.run(&["encrypt", name, "-i", "id"]).ok();
    }
    let (code, text) = shown(&dir, "cat plain | $CS encrypt -i id");
    assert_eq!(code, 64, "{text}");
    assert!(text.contains("terminal") && !text.contains("cryptstream/v1"), "{text}");
    let run = |script| shown(&dir, script);
    let (code, text) = run("cat plain | $CS encrypt -i id - - | head -c 14");
    assert!(code == 0 && text.contains("cryptstream/v1"), "{text}");
    let (code, text) = run("cat plain.enc | $CS decrypt -i id");
    assert!(code == 0 && text.contains("readable"), "{text}");
    let (code, text) = run("cat binary.enc | $CS decrypt -i id");
    assert!(code == 64 && text.contains("binary"), "{text}");
    let (code, text) = run("$CS encrypt -i id");
    assert!(code == 64 && text.contains("no INPUT was given"), "{text}");
    let (code, text) = run("cat plain | $CS encrypt -i id --armor");
    assert!(code == 0 && text.contains("-----END AGE ENCRYPTED FILE-----"), "{text}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let dir = Dir::new();
    let (_, text) = shown(&dir, "$CS decrypt x.enc --key x");
    assert!(text.contains("\x1b[1;31merror:"), "{text}");
    for script in ["NO_COLOR=1 $CS decrypt x.enc --key x", "$CS decrypt x.enc --key x --no-color"] {
        let (_, text) = shown(&dir, script);
        assert!(text.contains("error:") && !text.contains("\x1b[1;31m"), "{text}");
    }
}

#[test]
fn typed_input_ends_once_and_does_not_mix_with_what_comes_out() {
    let dir = Dir::new();
    dir.keygen("id");
    let mut terminal = Terminal::start(&dir, "echo ready; $CS encrypt -i id - out");
    terminal.wait_for("ready");
    terminal.press("one\rtwo\r\x04");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert_eq!(dir.run(&["decrypt", "-i", "id", "out", "-"]).ok().stdout, b"one\ntwo\n");

    let mut terminal = Terminal::start(&dir, "echo ready; $CS encrypt -i id -a - -");
    terminal.wait_for("ready");
    terminal.press("one\r");
    // Long enough for progress to appear.
    thread::sleep(Duration::from_millis(700));
    terminal.press("two\r\x04");
    let (code, text) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let begin = text.find("-----BEGIN AGE").unwrap();
    assert!(text.find("two").unwrap() < begin && !text.contains("for "), "{text}");
    let end = "-----END AGE ENCRYPTED FILE-----";
    let armor = &text[begin..text.find(end).unwrap() + end.len()];
    dir.write("armor", armor.replace('\r', ""));
    assert_eq!(dir.run(&["decrypt", "-i", "id", "armor", "-"]).ok().stdout, b"one\ntwo\n");
}

#[test]
fn an_intact_folder_is_verified_with_one_line() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.shell("mkdir in; for i in $(seq 20); do echo $i > in/$i; done").run().ok();
    dir.run(&["encrypt", "-i", "id", "in", "encrypted"]).ok();
    let (code, text) = shown(&dir, "$CS verify -i id encrypted");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("20 files intact, 51 B") && !text.contains(".enc"), "{text}");
    let (_, text) = shown(&dir, "$CS verify -v -i id encrypted");
    assert_eq!(text.matches(": intact").count(), 20, "{text}");
    // One line each for programs, as with sha256sum -c.
    let lines = dir.run(&["verify", "-i", "id", "encrypted"]).ok().stdout_text();
    assert_eq!(lines.matches(": intact").count(), 20, "{lines}");
    dir.shell("truncate -s -1 encrypted/7.enc").run().ok();
    let (code, text) = shown(&dir, "$CS verify -i id encrypted");
    assert_eq!(code, 65, "{text}");
    assert!(text.contains("7.enc: damaged") && text.contains("19 files intact"), "{text}");
    assert!(text.contains("1 damaged"), "{text}");
}

#[test]
fn each_finished_file_has_a_line() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", "content");
    let (_, text) = shown(&dir, "$CS encrypt -i id plain");
    assert!(text.contains("plain -> plain.enc: 7 B -> "), "{text}");
    let (_, text) = shown(&dir, "$CS encrypt -q -i id plain b");
    assert!(!text.contains("->"), "{text}");
    // Not if the output goes to the terminal.
    let (_, text) = shown(&dir, "$CS decrypt -i id plain.enc -");
    assert!(text.contains("content") && !text.contains("->"), "{text}");
}
