//! Text at first, and then what a terminal obeys.

use std::fs;
use std::process::Command;

use crate::common::Dir;

/// Pieces that are written in one go.
const PIECE: usize = 256 << 10;

/// Decrypts to a terminal. What it has shown, or nothing where there is no `script`.
fn shown(content: &[u8]) -> Option<(Vec<u8>, i32)> {
    if Command::new("script").arg("--version").output().is_err() {
        println!("skipped: this test needs the program `script` (util-linux)");
        return None;
    }
    let dir = Dir::new();
    let sealed = dir.sealed(content);
    dir.write("sealed", sealed);
    let script = "exec script -q -e -f -c '$CS decrypt -i id < sealed' shown";
    let done = dir.shell(script).env("SHELL", "/bin/bash").env("TERM", "xterm").run();
    Some((fs::read(dir.path("shown")).unwrap(), done.code().unwrap_or(-1)))
}

fn text(len: usize) -> Vec<u8> {
    b"nothing to see in this line of 40 bytes\n".iter().copied().cycle().take(len).collect()
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[test]
fn no_later_piece_gives_a_terminal_orders() {
    let orders: [&[u8]; 3] = [b"\x1b]0;taken\x07", "\u{9d}0;taken\u{9c}".as_bytes(), b"\x9b2J"];
    for order in orders {
        let content = [text(PIECE + 1000), order.to_vec(), text(100)].concat();
        let Some((bytes, code)) = shown(&content) else { return };
        assert!(!contains(&bytes, order), "the terminal was told {order:?}");
        assert_eq!(code, 64);
        assert!(contains(&bytes, b"is no longer text"));
    }
}

#[test]
fn no_order_is_cut_between_two_pieces() {
    // Its first byte is the last of the first piece.
    let content = [text(PIECE - 1), "\u{9b}2Jtaken".as_bytes().to_vec()].concat();
    let Some((bytes, code)) = shown(&content) else { return };
    assert!(!contains(&bytes, "\u{9b}".as_bytes()));
    assert_eq!(code, 64);
    // A letter may be cut there.
    let content = [text(PIECE - 1), "ü and so on".as_bytes().to_vec()].concat();
    let Some((bytes, code)) = shown(&content) else { return };
    assert!(contains(&bytes, "ü and so on".as_bytes()));
    assert_eq!(code, 0);
}
