//! Parses a header into [`HeaderOffsets`].

use super::error::{HeaderError, HeaderErrorKind};
use super::mac;
use super::offsets::{HeaderOffsets, STANZA_MARK, StanzaOffsets};
use crate::Format;
use crate::stanza::{self, BODY_COLUMNS, StanzaText, decode_line};

impl HeaderOffsets {
    /// Parses the header at the start of `input`; `Ok(None)` if more bytes are needed.
    ///
    /// # Errors
    /// Those of [`Header::parse`](super::Header::parse).
    pub fn parse(input: &[u8]) -> Result<Option<Self>, HeaderError> {
        cryptstream_protection::parsing("a header");
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
            Ok(offsets) => Ok(Some(offsets)),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Incomplete) => Ok(None),
        }
    }
}

/// Everything after the version line.
fn parse_stanzas(format: Format, lines: &mut Lines<'_>) -> Result<HeaderOffsets, Stop> {
    let mut offsets = HeaderOffsets { format, len: 0, mac: 0, stanzas: Vec::new() };
    loop {
        let (start, line) = lines.next()?;
        if let Some(rest) = line.strip_prefix(mac::MARK) {
            if offsets.stanzas.is_empty() {
                return Err(error(start, HeaderErrorKind::NoStanza));
            }
            offsets.mac = offset(start);
            stanza::check_together(format, offsets.texts(lines.input))
                .map_err(|kind| error(start, HeaderErrorKind::Stanza(kind)))?;
            mac::decode(rest).ok_or(error(start, HeaderErrorKind::Base64))?;
            offsets.len = offset(lines.offset);
            return Ok(offsets);
        }
        let args = line.strip_prefix(STANZA_MARK).ok_or(error(start, HeaderErrorKind::Line))?;
        let limit = format.max_stanzas();
        if offsets.stanzas.len() == limit {
            return Err(error(start, HeaderErrorKind::TooManyStanzas(limit)));
        }
        if !StanzaText::new(args, &[]).is_some_and(StanzaText::has_words) {
            return Err(error(start, HeaderErrorKind::Arguments));
        }
        let body_start = lines.offset;
        let body = parse_body(lines)?;
        let text = StanzaText::new(args, body).ok_or(error(start, HeaderErrorKind::Arguments))?;
        stanza::check(format, text).map_err(|kind| error(start, HeaderErrorKind::Stanza(kind)))?;
        let args_start = offset(start + STANZA_MARK.len());
        offsets.stanzas.push(StanzaOffsets { args: args_start, body: offset(body_start) });
    }
}

/// Body lines: full ones, then a shorter one, which may be empty.
fn parse_body<'a>(lines: &mut Lines<'a>) -> Result<&'a [u8], Stop> {
    let body_start = lines.offset;
    loop {
        let (start, line) = lines.next()?;
        if decode_line(line, &mut [0; BODY_COLUMNS]).is_none() {
            return Err(error(start, HeaderErrorKind::Base64));
        }
        if line.len() < BODY_COLUMNS {
            return Ok(&lines.input[body_start..lines.offset]);
        }
    }
}

/// An offset in a header as 32 bits: headers are far shorter than 4 GiB.
fn offset(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Why parsing stopped before the end of the header.
enum Stop {
    Incomplete,
    Error(HeaderError),
}

fn error(offset: usize, kind: HeaderErrorKind) -> Stop {
    Stop::Error(HeaderError { offset, kind })
}

/// The lines of `input`, from `offset` on.
struct Lines<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Lines<'a> {
    /// The offset of the next line, and the line without its line feed.
    fn next(&mut self) -> Result<(usize, &'a [u8]), Stop> {
        let start = self.offset;
        let rest = &self.input[start..];
        let len = rest.iter().position(|byte| *byte == b'\n').ok_or(Stop::Incomplete)?;
        self.offset = start + len + 1;
        Ok((start, &rest[..len]))
    }

    /// The format that the first line names. A file of another type is refused at the first byte
    /// that differs, since it may have no line feed at all.
    fn version(&mut self) -> Result<Format, Stop> {
        let differs = |format: Format| {
            let line = format.version_line().iter().chain(b"\n");
            line.zip(self.input).position(|(expected, got)| expected != got)
        };
        let format =
            Format::ALL.into_iter().max_by_key(|format| differs(*format).unwrap_or(usize::MAX));
        let format = format.expect("there is at least one format");
        if let Some(offset) = differs(format) {
            return Err(error(offset, HeaderErrorKind::Version));
        }
        self.next().map(|_| format)
    }
}
