//! From bytes to text.

use base64::Engine;

use super::{BASE64, BATCH, BEGIN, COLUMNS, END, LINE_BYTES};

/// Takes bytes in any portions and gives the text of their armor: lines of 64
/// characters that end with LF, the last one too.
#[derive(Clone, Debug)]
pub struct Encoder {
    is_begun: bool,
    /// Bytes of the line that is not full yet.
    line: [u8; LINE_BYTES],
    len: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder at the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self { is_begun: false, line: [0; LINE_BYTES], len: 0 }
    }

    /// The most that [`Encoder::encode`] appends for `len` bytes, and
    /// [`Encoder::finish`] for none.
    #[must_use]
    pub const fn max_text_len(len: usize) -> usize {
        BEGIN.len() + END.len() + 2 + (len / LINE_BYTES + 2) * (COLUMNS + 1)
    }

    /// Takes the next bytes, and appends to `text` what is complete of it.
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

    /// Appends the end.
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

/// Appends lines of `bytes`, of which the last need not be full.
fn encode_lines(bytes: &[u8], text: &mut Vec<u8>) {
    for batch in bytes.chunks(BATCH * LINE_BYTES) {
        let mut characters = [0; BATCH * COLUMNS];
        let len = BASE64
            .encode_slice(batch, &mut characters)
            .expect("there is room for the characters of a whole batch");
        for line in characters[..len].chunks(COLUMNS) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
}
