//! A stanza as a range of the bytes of its header, so that it takes no memory of its own.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64Unpadded, Encoding};

use super::tag::{AGE_PAD, PAD};
use crate::key_wrap::WRAPPED_LEN;

/// Characters of base64 in a full line of a stanza's body.
pub(crate) const BODY_COLUMNS: usize = 64;

/// One stanza: a type, arguments and a body.
#[derive(Clone)]
pub struct Stanza {
    /// The header that contains the stanza, or the stanza alone.
    bytes: Arc<Vec<u8>>,
    /// The offset of the type. Type and arguments consist of bytes 0x21 to 0x7e, are separated by
    /// single spaces, and end with a line feed.
    args: u32,
    /// The offset of the body lines.
    body: u32,
    /// The end of the body lines.
    end: u32,
}

impl Stanza {
    /// A stanza of type `tag`; `None` if the type or an argument is empty or has characters outside
    /// 0x21 to 0x7e, or if the stanza is too large for any header.
    #[must_use]
    pub fn new(tag: &str, args: &[&str], body: Vec<u8>) -> Option<Self> {
        let is_valid = |arg: &str| {
            !arg.is_empty() && arg.bytes().all(|byte| byte != b' ' && is_argument_byte(byte))
        };
        let all: Vec<&str> = std::iter::once(tag).chain(args.iter().copied()).collect();
        let is_small = u32::try_from(all.iter().map(|arg| arg.len() + 1).sum::<usize>()).is_ok()
            && u32::try_from(body.len()).is_ok();
        (is_small && all.iter().all(|arg| is_valid(arg))).then(|| Self::encode(&all, &body))?
    }

    /// A stanza with arguments that this crate has made itself.
    pub(crate) fn from_parts(args: &[&str], body: &[u8]) -> Self {
        Self::encode(args, body).expect("stanzas of this crate are short")
    }

    fn encode(args: &[&str], body: &[u8]) -> Option<Self> {
        let mut bytes = args.join(" ").into_bytes();
        bytes.push(b'\n');
        let start = bytes.len();
        let text = Base64Unpadded::encode_string(body);
        for line in text.as_bytes().chunks(BODY_COLUMNS) {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        // The last line is always shorter than a full one.
        if text.len().is_multiple_of(BODY_COLUMNS) {
            bytes.push(b'\n');
        }
        let (body, end) = (u32::try_from(start).ok()?, u32::try_from(bytes.len()).ok()?);
        Some(Self { bytes: Arc::new(bytes), args: 0, body, end })
    }

    /// The stanza in a header with its type at `args` and its body from `body` to `end`. `None`
    /// unless these ranges are in the header and hold only arguments and body lines.
    pub(crate) fn in_header(bytes: &Arc<Vec<u8>>, args: u32, body: u32, end: u32) -> Option<Self> {
        let line = bytes.get(args as usize..body as usize)?;
        let (line_feed, line) = line.split_last()?;
        let lines = bytes.get(body as usize..end as usize)?;
        let is_sound = *line_feed == b'\n'
            && line.iter().copied().all(is_argument_byte)
            && lines.iter().copied().all(is_body_byte);
        is_sound.then(|| Self { bytes: Arc::clone(bytes), args, body, end })
    }

    /// The bytes of the stanza in a header, without the mark.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.args as usize..self.end as usize]
    }

    /// The text of the stanza.
    pub(crate) fn text(&self) -> StanzaText<'_> {
        let line = &self.bytes[self.args as usize..self.body as usize - 1];
        let body = &self.bytes[self.body as usize..self.end as usize];
        // The bytes were checked when the stanza was created.
        StanzaText { args: std::str::from_utf8(line).unwrap_or_default(), body }
    }

    /// Whether this is a padding stanza of one of the formats.
    #[must_use]
    pub fn is_padding(&self) -> bool {
        matches!(self.tag(), PAD | AGE_PAD)
    }

    /// The type.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.text().tag()
    }

    /// The type and the arguments.
    pub fn args(&self) -> impl Iterator<Item = &str> + Clone {
        self.text().args()
    }

    /// The arguments after the type, if there are exactly `N`.
    #[must_use]
    pub fn fields<const N: usize>(&self) -> Option<[&str; N]> {
        self.text().fields()
    }

    /// The body, decoded.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.text().body()
    }
}

impl PartialEq for Stanza {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Stanza {}

impl fmt::Debug for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stanza({:?})", String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The text of a stanza: the line with type and arguments, and the lines of the body.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StanzaText<'a> {
    args: &'a str,
    body: &'a [u8],
}

impl<'a> StanzaText<'a> {
    /// A stanza with this first line, without the line feed. `None` if the line has characters that
    /// arguments cannot have.
    pub(crate) fn new(line: &'a [u8], body: &'a [u8]) -> Option<Self> {
        let is_valid = line.iter().copied().all(is_argument_byte);
        let args = is_valid.then(|| std::str::from_utf8(line).ok())??;
        Some(Self { args, body })
    }

    /// Whether type and arguments are separated by single spaces.
    pub(crate) fn has_words(self) -> bool {
        self.args().all(|arg| !arg.is_empty())
    }

    pub(crate) fn tag(self) -> &'a str {
        self.args().next().unwrap_or_default()
    }

    pub(crate) fn args(self) -> impl Iterator<Item = &'a str> + Clone {
        self.args.split(' ')
    }

    pub(crate) fn fields<const N: usize>(self) -> Option<[&'a str; N]> {
        let mut args = self.args().skip(1);
        let mut fields = [""; N];
        for field in &mut fields {
            *field = args.next()?;
        }
        args.next().is_none().then_some(fields)
    }

    /// The body, decoded. (A parsed header has only valid base64; otherwise this is empty.)
    pub(crate) fn body(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body.len() / 4 * 3 + 3);
        for line in self.body.split(|byte| *byte == b'\n') {
            match decode_line(line, &mut [0; BODY_COLUMNS]) {
                Some(bytes) => body.extend_from_slice(bytes),
                None => return Vec::new(),
            }
        }
        body
    }

    /// The body as a wrapped file key; `None` if the length is wrong.
    pub(crate) fn wrapped_key(self) -> Option<[u8; WRAPPED_LEN]> {
        let line = self.body.strip_suffix(b"\n")?;
        std::str::from_utf8(line).ok().and_then(decode_arg)
    }
}

/// Decodes a line of a body without its line feed.
pub(crate) fn decode_line<'b>(line: &[u8], buffer: &'b mut [u8; BODY_COLUMNS]) -> Option<&'b [u8]> {
    if line.len() > BODY_COLUMNS {
        return None;
    }
    Base64Unpadded::decode(line, buffer).ok()
}

/// Decodes an argument of `N` bytes in canonical base64.
pub(super) fn decode_arg<const N: usize>(arg: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let len = Base64Unpadded::decode(arg, &mut bytes).ok()?.len();
    (len == N).then_some(bytes)
}

/// Whether a line of arguments may have this byte: printable ASCII and spaces.
fn is_argument_byte(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Whether the lines of a body may have this byte. The mark of a stanza has others, so a stanza
/// cannot be hidden in the body of the one before it.
fn is_body_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'\n')
}
