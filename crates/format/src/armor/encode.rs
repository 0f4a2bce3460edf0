//! Encodes an armor.

use base64::Engine;

use super::{BASE64, BATCH, BEGIN, COLUMNS, END, LINE_BYTES};

/// Encodes bytes, which are passed in parts of any length, as an armor. All lines end with LF.
#[derive(Clone, Debug)]
pub struct Encoder {
    is_begun: bool,
    /// The bytes of the current line.
    line: [u8; LINE_BYTES],
    len: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder at the start of the file.
    #[must_use]
    pub fn new() -> Self {
        Self { is_begun: false, line: [0; LINE_BYTES], len: 0 }
    }

    /// The most bytes that [`Encoder::encode`] appends for `len` bytes, and [`Encoder::finish`] for
    /// 0.
    #[must_use]
    pub const fn max_text_len(len: usize) -> usize {
        BEGIN.len() + END.len() + 2 + (len / LINE_BYTES + 2) * (COLUMNS + 1)
    }

    /// Encodes the next bytes, and appends all complete lines to `text`.
    pub fn encode(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        self.begin(text);
        let mut rest = bytes;
        if self.len > 0 {
            let more = rest.len().min(LINE_BYTES - self.len);
            self.line[self.len..self.len + more].copy_from_slice(&rest[..more]);
            self.len += more;
            rest = &rest[more..];
            if self.len < LINE_BYTES {
                return;
            }
            encode_lines(&self.line, text);
            self.len = 0;
        }
        let full = rest.len() - rest.len() % LINE_BYTES;
        encode_lines(&rest[..full], text);
        self.len = rest.len() - full;
        self.line[..self.len].copy_from_slice(&rest[full..]);
    }

    /// Appends the rest and the last line to `text`.
    pub fn finish(mut self, text: &mut Vec<u8>) {
        self.begin(text);
        encode_lines(&self.line[..self.len], text);
        text.extend_from_slice(END);
        text.push(b'\n');
    }

    fn begin(&mut self, text: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            text.extend_from_slice(BEGIN);
            text.push(b'\n');
        }
    }
}

/// Appends `bytes` as lines, of which the last may be shorter.
fn encode_lines(bytes: &[u8], text: &mut Vec<u8>) {
    for batch in bytes.chunks(BATCH * LINE_BYTES) {
        let mut characters = [0; BATCH * COLUMNS];
        let len = BASE64
            .encode_slice(batch, &mut characters)
            .expect("the buffer has room for a whole batch");
        for line in characters[..len].chunks(COLUMNS) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
}
