//! Names of members for messages.

/// The name itself if it is printable, otherwise in quotes and escaped.
#[must_use]
pub fn display_name(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("\"{}\"", name.escape_ascii()),
    }
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
        assert_eq!(display_name(b"a\nb\x1b\xff"), r#""a\nb\x1b\xff""#);
        assert_eq!(display_name(b""), "\"\"");
    }
}
