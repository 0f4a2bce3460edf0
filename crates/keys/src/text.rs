//! Reads the text of key files.

/// An error in one line of a key file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct LineError<E> {
    /// The line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub error: E,
}

/// The byte order mark of UTF-8, which some editors write at the start of a file.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";

/// The content after the byte order mark, if there is one.
pub(crate) fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(MARK).unwrap_or(content)
}

/// Why a file is not UTF-8 text.
pub(crate) enum NotText {
    /// It is UTF-16, as Windows PowerShell writes it.
    Utf16,
    /// This line has invalid bytes.
    Line(usize),
}

/// The text of a file, without the byte order mark.
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

/// Whether bytes look like UTF-16: they start with its byte order mark, or every second
/// byte is zero.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    let zeros = |first| bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let is_even = bytes.len() >= 2 && bytes.len().is_multiple_of(2);
    is_even && (has_mark || (zeros(0) != zeros(1)))
}

/// The trimmed lines that are neither blank nor comments, with their numbers.
pub(crate) fn content_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines().map(str::trim))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
