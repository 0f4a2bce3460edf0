//! Text at first, and then what a terminal obeys.

use crate::common::Dir;
use crate::common::pty::Terminal;

/// Pieces that are written in one go.
const PIECE: usize = 256 << 10;

/// Decrypts to a terminal. The exit status, and what the terminal has shown.
fn shown(content: &[u8]) -> (i32, Vec<u8>) {
    let dir = Dir::new();
    let encrypted = dir.encrypted(content);
    dir.write("encrypted", encrypted);
    Terminal::start(&dir, "$CS decrypt -i id < encrypted").end_in_bytes()
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
        let (code, bytes) = shown(&content);
        assert!(!contains(&bytes, order), "the terminal was told {order:?}");
        assert_eq!(code, 64);
        assert!(contains(&bytes, b"is no longer text"));
    }
}

#[test]
fn no_order_is_cut_between_two_pieces() {
    // Its first byte is the last of the first piece.
    let content = [text(PIECE - 1), "\u{9b}2Jtaken".as_bytes().to_vec()].concat();
    let (code, bytes) = shown(&content);
    assert!(!contains(&bytes, "\u{9b}".as_bytes()));
    assert_eq!(code, 64);
    // A letter may be cut there.
    let content = [text(PIECE - 1), "ü and so on".as_bytes().to_vec()].concat();
    let (code, bytes) = shown(&content);
    assert!(contains(&bytes, "ü and so on".as_bytes()));
    assert_eq!(code, 0);
}
