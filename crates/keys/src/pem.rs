//! PEM: the `-----BEGIN` blocks that keys are stored in (RFC 1421, RFC 7468).

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// A PEM block.
pub(crate) struct Pem<'a> {
    /// The label: the text between `-----BEGIN ` and the dashes.
    pub(crate) label: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

impl<'a> Pem<'a> {
    /// Whether text starts with a block, perhaps after comments.
    pub(crate) fn is_meant(text: &str) -> bool {
        begin(text).is_some()
    }

    /// Parses the block that text starts with; `None` if it is damaged. Text after the block
    /// and whitespace around lines are ignored.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (label, rest) = begin(text)?;
        let mut headers = Vec::new();
        // Allocated once, so that growing leaves no copy in memory.
        let mut digits = Zeroizing::new(String::with_capacity(rest.len()));
        for line in rest.lines().map(str::trim) {
            if let Some(end) = line.strip_prefix("-----END ") {
                let is_same = end.strip_suffix("-----") == Some(label);
                let content = is_same.then(|| Base64::decode_vec(&digits).ok()).flatten()?;
                return Some(Self { label, headers, content: Zeroizing::new(content) });
            }
            match line.split_once(':') {
                Some((name, value)) => headers.push((name.trim(), value.trim())),
                None => digits.push_str(line),
            }
        }
        None
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// The label of the first block, and the text after that line.
fn begin(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim();
        if let Some(label) = line.strip_prefix("-----BEGIN ") {
            return Some((label.strip_suffix("-----").unwrap_or(label), after));
        }
        if after.is_empty() || !(line.is_empty() || line.starts_with('#')) {
            return None;
        }
        rest = after;
    }
}

/// Formats a block as the crate `age` expects it.
pub(crate) fn write(label: &str, content: &[u8]) -> Zeroizing<String> {
    let digits = Zeroizing::new(Base64::encode_string(content));
    let mut text = Zeroizing::new(String::with_capacity(digits.len() * 65 / 64 + 200));
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
