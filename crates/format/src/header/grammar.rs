//! Reading a header: the grammar, and the shape of what is known.

use base64ct::{Base64Unpadded, Encoding};

use super::{Header, MAC_LEN, MAC_MARK};
use crate::Format;
use crate::stanza::{self, Stanza, StanzaError};

/// Characters of base64 in a full line of a stanza's body.
pub(super) const BODY_COLUMNS: usize = 64;
/// What a stanza begins with.
pub(super) const STANZA_MARK: &[u8] = b"-> ";

/// A header that does not follow the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (at byte {offset})")]
pub struct HeaderError {
    /// Where, counted from the first byte of the file.
    pub offset: usize,
    /// What.
    pub kind: HeaderErrorKind,
}

/// What is wrong with a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderErrorKind {
    /// The first line is not the version line of any format.
    #[error("the file begins neither with `cryptstream/v1` nor with `age-encryption.org/v1`")]
    Version,
    /// A line is neither a stanza nor the MAC.
    #[error("a line is neither a stanza nor the header's end")]
    Line,
    /// A stanza's arguments are not single words of printable ASCII.
    #[error("a stanza's first line is malformed")]
    Arguments,
    /// A body or the MAC is not canonical base64, or has the wrong length.
    #[error("malformed base64")]
    Base64,
    /// There is no stanza at all.
    #[error("the header has no stanza")]
    NoStanza,
    /// More than the format allows.
    #[error("the header has more than {0} stanzas")]
    TooManyStanzas(usize),
    /// Longer than the format allows.
    #[error("the header is longer than {} MiB", .0 >> 20)]
    TooLong(usize),
    /// A stanza of a known type has another shape than it must have.
    #[error(transparent)]
    Stanza(StanzaError),
}

/// Parses the header at the start of `input`; `None` if it is not all there.
pub(super) fn parse(input: &[u8]) -> Result<Option<Header>, HeaderError> {
    let mut lines = Lines { input, offset: 0 };
    let parsed = lines.version().and_then(|format| {
        let limit = format.max_header_len();
        lines.input = &input[..input.len().min(limit)];
        match parse_stanzas(format, &mut lines) {
            Err(Stop::Incomplete) if input.len() >= limit => {
                Err(error(limit, HeaderErrorKind::TooLong(limit)))
            }
            result => result,
        }
    });
    match parsed {
        Ok(header) => Ok(Some(header)),
        Err(Stop::Error(error)) => Err(error),
        Err(Stop::Incomplete) => Ok(None),
    }
}

/// Everything after the version line.
fn parse_stanzas(format: Format, lines: &mut Lines<'_>) -> Result<Header, Stop> {
    let mut stanzas = Vec::new();
    loop {
        let (start, line) = lines.next()?;
        if let Some(mac) = line.strip_prefix(MAC_MARK) {
            if stanzas.is_empty() {
                return Err(error(start, HeaderErrorKind::NoStanza));
            }
            stanza::check_together(format, &stanzas)
                .map_err(|kind| error(start, HeaderErrorKind::Stanza(kind)))?;
            let mac = decode_mac(mac).ok_or(error(start, HeaderErrorKind::Base64))?;
            let authenticated = lines.input[..start + MAC_MARK.len()].to_vec();
            return Ok(Header { format, stanzas, mac, authenticated, len: lines.offset });
        }
        let args = line.strip_prefix(STANZA_MARK).ok_or(error(start, HeaderErrorKind::Line))?;
        let limit = format.max_stanzas();
        if stanzas.len() == limit {
            return Err(error(start, HeaderErrorKind::TooManyStanzas(limit)));
        }
        let args = parse_args(args).ok_or(error(start, HeaderErrorKind::Arguments))?;
        let stanza = Stanza::from_parts(args, parse_body(lines)?);
        stanza::check(format, &stanza)
            .map_err(|kind| error(start, HeaderErrorKind::Stanza(kind)))?;
        stanzas.push(stanza);
    }
}

fn parse_args(line: &[u8]) -> Option<Vec<String>> {
    line.split(|byte| *byte == b' ')
        .map(|arg| {
            let arg = std::str::from_utf8(arg).ok()?;
            Stanza::is_valid_arg(arg).then(|| arg.to_owned())
        })
        .collect()
}

/// Body lines: full ones, then one that is shorter, possibly empty.
fn parse_body(lines: &mut Lines<'_>) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    loop {
        let (start, line) = lines.next()?;
        let base64_error = error(start, HeaderErrorKind::Base64);
        if line.len() > BODY_COLUMNS {
            return Err(base64_error);
        }
        let mut buffer = [0; BODY_COLUMNS];
        match Base64Unpadded::decode(line, &mut buffer) {
            Ok(bytes) => body.extend_from_slice(bytes),
            Err(_) => return Err(base64_error),
        }
        if line.len() < BODY_COLUMNS {
            return Ok(body);
        }
    }
}

fn decode_mac(rest_of_line: &[u8]) -> Option<[u8; MAC_LEN]> {
    let text = rest_of_line.strip_prefix(b" ")?;
    let mut mac = [0; MAC_LEN];
    let decoded = Base64Unpadded::decode(text, &mut mac).ok()?.len();
    (decoded == MAC_LEN).then_some(mac)
}

/// Why parsing stopped before the header's end.
enum Stop {
    Incomplete,
    Error(HeaderError),
}

fn error(offset: usize, kind: HeaderErrorKind) -> Stop {
    Stop::Error(HeaderError { offset, kind })
}

/// The lines of `input` from `offset` on.
struct Lines<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its line feed, and where it begins.
    fn next(&mut self) -> Result<(usize, &'a [u8]), Stop> {
        let start = self.offset;
        let rest = &self.input[start..];
        let len = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Incomplete)?;
        self.offset = start + len + 1;
        Ok((start, &rest[..len]))
    }

    /// The format that the first line tells. Another file is refused at the
    /// first byte that differs from all formats, before its first line is
    /// complete: it may have no line feed at all.
    fn version(&mut self) -> Result<Format, Stop> {
        let differs = |format: Format| {
            let line = format.version_line().iter().chain(b"\n");
            line.zip(self.input).position(|(expected, got)| expected != got)
        };
        let format =
            Format::ALL.into_iter().max_by_key(|format| differs(*format).unwrap_or(usize::MAX));
        let format = format.expect("there are formats");
        if let Some(offset) = differs(format) {
            return Err(error(offset, HeaderErrorKind::Version));
        }
        self.next().map(|_| format)
    }
}
