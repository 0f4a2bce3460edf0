//! The ASCII armor of age: a file as text, for mail and chat. It is a strict form of PEM (C2SP
//! `age.md`): one block with the label `AGE ENCRYPTED FILE`, in lines of 64 characters of padded
//! base64, of which only the last may be shorter.
//!
//! ```text
//! -----BEGIN AGE ENCRYPTED FILE-----
//! <64 base64 characters>
//! <1 to 64 base64 characters>
//! -----END AGE ENCRYPTED FILE-----
//! ```
//!
//! Lines end with LF or CRLF. As in age, there may be up to [`MAX_WHITESPACE`] bytes of whitespace
//! before and after the block; before it only whole lines. A UTF-8 byte order mark may come first.
//! Everything else is refused, so nothing can be hidden in the text.

mod decode;
mod encode;

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
pub use decode::Decoder;
pub use encode::Encoder;

/// The first line, without the line ending.
pub const BEGIN: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// The last line, without the line ending.
pub const END: &[u8] = b"-----END AGE ENCRYPTED FILE-----";
/// The most bytes of whitespace before the block, and after it.
pub const MAX_WHITESPACE: usize = 1024;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Characters of a full line.
const COLUMNS: usize = 64;
/// Bytes in a full line.
const LINE_BYTES: usize = COLUMNS / 4 * 3;
/// Lines that are encoded or decoded together, which is twice as fast as one by one.
const BATCH: usize = 64;

/// Canonical base64, with padding. The encrypted bytes are not secret, so constant time is not
/// needed.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PAD);

/// An error in an armor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, at byte {offset}")]
pub struct ArmorError {
    /// The offset in the text, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub kind: ArmorErrorKind,
}

/// What is wrong with an armor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmorErrorKind {
    /// The first line is not [`BEGIN`].
    #[error("the first line is not -----BEGIN AGE ENCRYPTED FILE-----")]
    Begin,
    /// A line that begins with dashes is not [`END`].
    #[error("the last line is not -----END AGE ENCRYPTED FILE-----")]
    End,
    /// The text ends before the block does.
    #[error("the text ends without -----END AGE ENCRYPTED FILE-----")]
    Cut,
    /// A line is empty.
    #[error("an empty line")]
    EmptyLine,
    /// A line before the last one is shorter than 64 characters.
    #[error("a line before the last one has fewer than 64 characters")]
    ShortLine,
    /// A line is longer than 64 characters.
    #[error("a line has more than 64 characters")]
    LongLine,
    /// A character is not base64, such as a space.
    #[error("a character that is not base64")]
    Character,
    /// The padding of the base64 is missing or in the wrong place.
    #[error("base64 with the wrong padding")]
    Padding,
    /// The base64 is not canonical.
    #[error("base64 that is not canonical")]
    NotCanonical,
    /// There is text after the block.
    #[error("there is text after -----END AGE ENCRYPTED FILE-----")]
    Trailing,
    /// There are more than [`MAX_WHITESPACE`] bytes of whitespace.
    #[error("more than 1024 bytes of whitespace around the armor")]
    Whitespace,
}

/// All variants, in the order of their codes.
const KINDS: [ArmorErrorKind; 11] = [
    ArmorErrorKind::Begin,
    ArmorErrorKind::End,
    ArmorErrorKind::Cut,
    ArmorErrorKind::EmptyLine,
    ArmorErrorKind::ShortLine,
    ArmorErrorKind::LongLine,
    ArmorErrorKind::Character,
    ArmorErrorKind::Padding,
    ArmorErrorKind::NotCanonical,
    ArmorErrorKind::Trailing,
    ArmorErrorKind::Whitespace,
];

impl ArmorError {
    /// The error as bytes, for another process: what, and where.
    #[must_use]
    pub fn encode(&self) -> [u8; 9] {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(0);
        let mut bytes = [kind as u8; 9];
        bytes[1..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    /// Decodes the result of [`ArmorError::encode`]; `None` if it is invalid.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, offset) = bytes.split_first()?;
        let offset = u64::from_le_bytes(offset.try_into().ok()?);
        KINDS.get(usize::from(*kind)).map(|kind| Self { offset, kind: *kind })
    }
}

/// Whether a file that begins with `head` is armored: [`BEGIN`] comes first, perhaps after
/// whitespace. The rest of the line may still be wrong.
///
/// To recognize every armored file, `head` must have [`MAX_WHITESPACE`] bytes more than [`BEGIN`]
/// and a byte order mark.
#[must_use]
pub fn is_armored(head: &[u8]) -> bool {
    let head = head.strip_prefix(MARK).unwrap_or(head);
    let blank = head.iter().take_while(|byte| is_whitespace(**byte)).count();
    // Without the trailing dashes, so that a damaged armor is recognized too.
    head[blank..].starts_with(&BEGIN[..BEGIN.len() - 5])
}

/// The length of the text for `len` bytes, as [`Encoder`] writes it, in bytes.
#[must_use]
pub fn armored_len(len: u64) -> u64 {
    let (lines, rest) = (len / LINE_BYTES as u64, len % LINE_BYTES as u64);
    let short = if rest == 0 { 0 } else { rest.div_ceil(3) * 4 + 1 };
    let labels = (BEGIN.len() + END.len() + 2) as u64;
    lines.saturating_mul(COLUMNS as u64 + 1).saturating_add(short + labels)
}

/// The length of the content of an armored text of `len` bytes, computed from its beginning and
/// end. `head` has its first bytes and `tail` its last ones, up to 1 KiB each.
///
/// The result is right for every text that [`Decoder`] accepts and whose lines all have the same
/// ending. The text in between is not checked. `None` if the first or last line is not found, or if
/// the length is impossible.
#[must_use]
pub fn content_len(len: u64, head: &[u8], tail: &[u8]) -> Option<u64> {
    let (mark, head) = match head.strip_prefix(MARK) {
        Some(rest) => (MARK.len(), rest),
        None => (0, head),
    };
    let blank = head.iter().take_while(|byte| is_whitespace(**byte)).count();
    if blank > 0 && head[blank - 1] != b'\n' {
        return None;
    }
    let line_end: &[u8] = match head[blank..].strip_prefix(BEGIN)? {
        [b'\n', ..] => b"\n",
        [b'\r', b'\n', ..] => b"\r\n",
        _ => return None,
    };
    let begin = (mark + blank + BEGIN.len() + line_end.len()) as u64;
    let blank = tail.iter().rev().take_while(|byte| is_whitespace(**byte)).count();
    let before = tail[..tail.len() - blank].strip_suffix(END)?;
    let end = len.checked_sub((tail.len() - before.len()) as u64)?;
    let last_line = before.strip_suffix(line_end)?;
    let (body, row) = (end.checked_sub(begin)?, (COLUMNS + line_end.len()) as u64);
    if body == 0 {
        return Some(0);
    }
    let characters = match body % row {
        0 => COLUMNS as u64,
        rest => rest.checked_sub(line_end.len() as u64).filter(|count| count % 4 == 0)?,
    };
    let padding = last_line.iter().rev().take(2).take_while(|byte| **byte == b'=').count() as u64;
    let lines_before = (body - 1) / row;
    (lines_before * LINE_BYTES as u64 + characters / 4 * 3).checked_sub(padding)
}

/// Whitespace as in the grammar of PEM (RFC 7468).
fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
