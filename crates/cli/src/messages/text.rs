//! Text that cannot deceive its reader on a terminal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cryptstream_archive::{display_name, is_deceptive};
use cryptstream_remote::without_secrets;
use serde_json::Value;

use crate::file_type;

/// A file name that is safe to show: as it is, or escaped and in quotes; a URL without secrets.
pub(crate) fn quoted(path: &Path) -> String {
    display_name(without_secrets(path.as_os_str()).as_bytes())
}

/// JSON in one line, with deceptive characters escaped. They occur only in strings, and JSON itself
/// leaves some of them as they are.
pub(crate) fn escaped_json(object: &Value) -> String {
    let mut text = String::new();
    for c in object.to_string().chars() {
        if is_deceptive(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// What a file that begins with `head` seems to be, as the end of a sentence.
pub(super) fn guess(head: &[u8]) -> String {
    match file_type::looks_like(head) {
        Some(name) => format!("it looks like {name}"),
        None if head.is_empty() => "it is empty".to_owned(),
        None => "its type is unknown".to_owned(),
    }
}

/// Text without what could deceive its reader.
pub(super) fn harmless(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_deceives_a_terminal_is_escaped() {
        let name = "a\u{9b}31m\u{7f}\u{202e}\u{200b}\u{e0041}ä😀\n";
        let text = escaped_json(&json!({ "file": name }));
        assert!(!text.chars().any(is_deceptive), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["file"], name);
        assert!(!quoted(Path::new(name)).chars().any(is_deceptive));
        assert_eq!(quoted(Path::new("ä 😀")), "ä 😀");
    }
}
