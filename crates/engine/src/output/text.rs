//! Whether a terminal can show what it is sent.

use cryptstream_protection::Protection;

/// Looks at the pieces of a text one after the other. A character may be cut by the
/// end of a piece; nothing else may be.
#[derive(Default)]
pub(super) struct TextCheck {
    /// The beginning of a character that the last piece ended in.
    cut: Vec<u8>,
    has_begun: bool,
}

impl TextCheck {
    /// Whether the next piece is text: UTF-8 without control characters other than
    /// white space. Without the escape character, and without those of ISO 6429 that
    /// UTF-8 writes with two bytes (C1), no piece begins or continues a sequence that a
    /// terminal would obey.
    pub(super) fn admits(&mut self, piece: &[u8]) -> bool {
        if std::mem::replace(&mut self.has_begun, true) && !Protection::TerminalText.is_on() {
            return true;
        }
        let joined;
        let bytes = match self.cut.is_empty() {
            true => piece,
            false => {
                joined = [std::mem::take(&mut self.cut).as_slice(), piece].concat();
                &joined
            }
        };
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                let (whole, cut) = bytes.split_at(error.valid_up_to());
                self.cut = cut.to_vec();
                std::str::from_utf8(whole).unwrap_or_default()
            }
            Err(_) => return false,
        };
        text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(pieces: &[&[u8]]) -> bool {
        let mut check = TextCheck::default();
        pieces.iter().all(|piece| check.admits(piece))
    }

    #[test]
    fn text_is_told_from_binary() {
        assert!(admits(&[b"one\n\ttwo\r\n"]));
        assert!(admits(&["Grüße".as_bytes()]));
        assert!(admits(&[&"Grüße".as_bytes()[..3]]), "cut within a character");
        assert!(!admits(&[b"\x1b[2J"]));
        assert!(!admits(&[b"a\0b"]));
        assert!(!admits(&[b"\xff\xfe"]));
    }

    #[test]
    fn every_piece_is_looked_at() {
        let text = "Grüße, 漢字 🦀".as_bytes();
        for cut in 0..=text.len() {
            assert!(admits(&[&text[..cut], &text[cut..]]), "{cut}");
        }
        assert!(admits(&text.chunks(1).collect::<Vec<_>>()));
        assert!(!admits(&[b"text", b"\x1b[2J"]));
        // A control sequence introducer, cut in its middle.
        assert!(!admits(&[b"text\xc2", b"\x9b2J"]));
        assert!(!admits(&["\u{9b}2J".as_bytes()]));
        assert!(!admits(&[b"text\xc3", b"text"]));
    }
}
