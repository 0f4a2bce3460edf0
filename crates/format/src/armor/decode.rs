//! Decodes an armor.

use base64::{DecodeSliceError, Engine};

use super::{
    ArmorError, ArmorErrorKind, BASE64, BATCH, BEGIN, COLUMNS, END, LINE_BYTES, MARK,
    MAX_WHITESPACE, is_whitespace,
};

/// The longest valid line, with a CR.
const LINE_ROOM: usize = COLUMNS + 1;

/// Decodes an armor, which is passed in parts of any length.
///
/// The text is valid only if [`Decoder::finish`] succeeds. After an error the decoder cannot be
/// used any more.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of text decoded so far.
    offset: u64,
    /// The current line.
    line: [u8; LINE_ROOM],
    len: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the byte order mark, after this many bytes.
    Mark(usize),
    /// In the whitespace before the block, after this many bytes.
    Before(usize),
    /// In the first line.
    Begin,
    /// In a line of base64, or in the last line.
    Body,
    /// After a short line, which ends at this byte: only the last line may follow.
    End(u64),
    /// In the whitespace after the block, after this many bytes.
    After(usize),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of the text.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::Mark(0), offset: 0, line: [0; LINE_ROOM], len: 0 }
    }

    /// Decodes the next bytes of the text, and appends the result to `bytes`: at most three
    /// quarters of the length of `text`, plus a line.
    ///
    /// # Errors
    /// [`ArmorError`] says what is wrong with the text, and where.
    pub fn decode(&mut self, text: &[u8], bytes: &mut Vec<u8>) -> Result<(), ArmorError> {
        cryptstream_protection::parsing("armor");
        let mut rest = text;
        while let Some(byte) = rest.first() {
            if matches!(self.state, State::Body) && self.len == 0 {
                let taken = decode_lines(rest, bytes);
                if taken > 0 {
                    self.offset += taken as u64;
                    rest = &rest[taken..];
                    continue;
                }
            }
            self.take(*byte, bytes)?;
            self.offset += 1;
            rest = &rest[1..];
        }
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// If the block is not complete.
    pub fn finish(mut self) -> Result<(), ArmorError> {
        // The last line need not have a line ending.
        if matches!(self.state, State::Body | State::End(_))
            && without_cr(&self.line[..self.len]) == END
        {
            self.state = State::After(0);
        }
        match self.state {
            State::After(_) => Ok(()),
            State::Mark(_) | State::Before(_) => {
                Err(self.error(ArmorErrorKind::Begin, self.offset))
            }
            State::Begin | State::Body | State::End(_) => {
                Err(self.error(ArmorErrorKind::Cut, self.offset))
            }
        }
    }

    /// Decodes the byte at `offset`.
    fn take(&mut self, byte: u8, bytes: &mut Vec<u8>) -> Result<(), ArmorError> {
        if let State::Mark(count) = self.state {
            if MARK.get(count) == Some(&byte) {
                self.state = State::Mark(count + 1);
                return Ok(());
            }
            if count > 0 && count < MARK.len() {
                return Err(self.error(ArmorErrorKind::Begin, self.offset));
            }
            self.state = State::Before(0);
        }
        match &mut self.state {
            State::Before(count) | State::After(count) if is_whitespace(byte) => {
                *count += 1;
                if *count > MAX_WHITESPACE {
                    return Err(self.error(ArmorErrorKind::Whitespace, self.offset));
                }
                // Nonzero unless the next character begins a line.
                self.len = usize::from(byte != b'\n');
                return Ok(());
            }
            State::After(_) => return Err(self.error(ArmorErrorKind::Trailing, self.offset)),
            State::Before(_) if self.len > 0 => {
                return Err(self.error(ArmorErrorKind::Begin, self.offset));
            }
            State::Before(_) => self.state = State::Begin,
            State::Mark(_) | State::Begin | State::Body | State::End(_) => {}
        }
        if byte == b'\n' {
            let (line, len) = (self.line, std::mem::take(&mut self.len));
            return self.take_line(without_cr(&line[..len]), self.offset - len as u64, bytes);
        }
        if self.len == LINE_ROOM {
            let kind = match self.state {
                State::Begin => ArmorErrorKind::Begin,
                _ => ArmorErrorKind::LongLine,
            };
            return Err(self.error(kind, self.offset - self.len as u64));
        }
        self.line[self.len] = byte;
        self.len += 1;
        Ok(())
    }

    /// Decodes a line that begins at byte `start`.
    fn take_line(
        &mut self,
        line: &[u8],
        start: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ArmorError> {
        let end = start + line.len() as u64;
        let kind = match self.state {
            State::Begin if line == BEGIN => {
                self.state = State::Body;
                return Ok(());
            }
            State::Begin => ArmorErrorKind::Begin,
            _ if line == END => {
                self.state = State::After(0);
                return Ok(());
            }
            _ if line.starts_with(b"-----") => ArmorErrorKind::End,
            _ if line.is_empty() => ArmorErrorKind::EmptyLine,
            State::End(short) => return Err(self.error(ArmorErrorKind::ShortLine, short)),
            _ if line.len() > COLUMNS => ArmorErrorKind::LongLine,
            _ => {
                let mut decoded = [0; LINE_BYTES];
                let len = BASE64.decode_slice(line, &mut decoded).map_err(|error| {
                    let (kind, column) = classify(line, &error);
                    self.error(kind, start + column as u64)
                })?;
                bytes.extend_from_slice(&decoded[..len]);
                if len < LINE_BYTES {
                    self.state = State::End(end);
                }
                return Ok(());
            }
        };
        Err(self.error(kind, start))
    }

    fn error(&self, kind: ArmorErrorKind, offset: u64) -> ArmorError {
        ArmorError { offset, kind }
    }
}

/// Decodes the full lines at the start of `text`, up to the first that is not an ordinary one, and
/// returns how many bytes of text that was.
fn decode_lines(text: &[u8], bytes: &mut Vec<u8>) -> usize {
    let row = match text.get(COLUMNS..COLUMNS + 2) {
        Some([b'\n', _]) => COLUMNS + 1,
        Some([b'\r', b'\n']) => COLUMNS + 2,
        _ => return 0,
    };
    let line_end = &text[COLUMNS..row];
    let mut taken = 0;
    for batch in text.chunks(BATCH * row) {
        let mut characters = [0; BATCH * COLUMNS];
        let mut lines = 0;
        for (line, to) in batch.chunks_exact(row).zip(characters.chunks_exact_mut(COLUMNS)) {
            // A line with padding is the last one.
            if &line[COLUMNS..] != line_end || line[COLUMNS - 1] == b'=' {
                break;
            }
            to.copy_from_slice(&line[..COLUMNS]);
            lines += 1;
        }
        let len = bytes.len();
        bytes.resize(len + lines * LINE_BYTES, 0);
        // The error is found line by line later.
        if BASE64.decode_slice(&characters[..lines * COLUMNS], &mut bytes[len..]).is_err() {
            bytes.truncate(len);
            return taken;
        }
        taken += lines * row;
        if lines < BATCH {
            break;
        }
    }
    taken
}

/// Why a line is not valid base64, and in which column.
fn classify(line: &[u8], error: &DecodeSliceError) -> (ArmorErrorKind, usize) {
    let is_of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let content = line.iter().take_while(|byte| is_of_base64(byte)).count();
    let padding = line[content..].iter().take_while(|byte| **byte == b'=').count();
    let column = content + padding;
    match line.get(column) {
        Some(byte) if is_of_base64(byte) => (ArmorErrorKind::Padding, content),
        Some(_) => (ArmorErrorKind::Character, column),
        None if !line.len().is_multiple_of(4) || padding > 2 => (ArmorErrorKind::Padding, content),
        None => match error {
            DecodeSliceError::DecodeError(base64::DecodeError::InvalidLastSymbol(..)) => {
                (ArmorErrorKind::NotCanonical, content.saturating_sub(1))
            }
            _ => (ArmorErrorKind::Padding, content),
        },
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
