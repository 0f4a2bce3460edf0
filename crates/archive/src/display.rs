//! Names of files and members for messages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The name itself if it is safe to show on a terminal, otherwise in quotes and escaped.
#[must_use]
pub fn display_name(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() && !text.chars().any(is_deceptive) => text.to_owned(),
        _ => format!("{:?}", OsStr::from_bytes(name)),
    }
}

/// Whether a character could change the terminal or the order of the text, or is invisible:
/// controls, direction marks, zero-width characters, separators, tags.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Like [`display_name`], cut after 256 bytes. Names can be a million bytes long.
#[must_use]
pub fn short_name(name: &[u8]) -> String {
    const MOST: usize = 256;
    match name.get(..MOST) {
        Some(beginning) if name.len() > MOST => {
            let end = (MOST - 3..=MOST).rev().find(|end| name[*end] & 0xc0 != 0x80);
            format!("{}...", display_name(&beginning[..end.unwrap_or(MOST)]))
        }
        _ => display_name(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(short_name(&[b'x'; 256]), "x".repeat(256));
        assert_eq!(short_name(&[b'x'; 257]), "x".repeat(256) + "...");
        let long = "x".to_owned() + &"ä".repeat(200);
        assert_eq!(short_name(long.as_bytes()), "x".to_owned() + &"ä".repeat(127) + "...");
    }

    #[test]
    fn names_are_shown_unharmed() {
        assert_eq!(display_name("ä b".as_bytes()), "ä b");
        assert_eq!(display_name(b"a\nb\x1b\xff"), r#""a\nb\u{1b}\xFF""#);
        assert_eq!(display_name("a\u{202e}b".as_bytes()), r#""a\u{202e}b""#);
        assert_eq!(display_name(b""), "\"\"");
    }
}
