//! The text of key files.

/// A line of a file that is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError<E> {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: E,
}

/// The byte order mark that some editors begin a file with.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file without the mark.
pub(crate) fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(MARK).unwrap_or(content)
}

/// Bytes that are not text of UTF-8.
pub(crate) enum NotText {
    /// They are text of UTF-16, as Windows' PowerShell writes it.
    Utf16,
    /// In this line.
    Line(usize),
}

/// The text of a file, without the mark.
pub(crate) fn text_of(content: &[u8]) -> Result<&str, NotText> {
    let content = without_mark(content);
    if is_utf16(content) {
        return Err(NotText::Utf16);
    }
    std::str::from_utf8(content).map_err(|error| {
        let before = &content[..error.valid_up_to()];
        NotText::Line(1 + before.iter().filter(|byte| **byte == b'\n').count())
    })
}

/// Whether bytes are text of UTF-16: they have its mark, or every second one is zero.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = |first| bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let is_even = bytes.len() >= 2 && bytes.len().is_multiple_of(2);
    is_even && (has_mark || (zeros(0) != zeros(1)))
}

/// The lines that carry something: neither blank nor a comment, without the
/// white space around them, each with its number.
pub(crate) fn content_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
