//! Makes a damaged header readable.

use super::error::{HeaderError, HeaderErrorKind};
use super::mac;
use super::offsets::STANZA_MARK;
use super::write::{encode, padding_stanza};
use crate::Format;
use crate::stanza::tag;

impl HeaderError {
    /// Replaces the stanza that this error is about by padding of the same length, in the `header`
    /// that could not be parsed, which may be followed by other bytes. The other stanzas can then
    /// be read, and [`Header::unlock_altered`](super::Header::unlock_altered) tries them. A MAC
    /// that is no base64 is replaced, too. Returns whether anything was changed.
    pub fn replace_damaged_part(&self, header: &mut [u8]) -> bool {
        let is_format = |format: &Format| header.starts_with(format.version_line());
        let Some(format) = Format::ALL.into_iter().find(is_format) else { return false };
        let line = self.offset.min(header.len());
        let is_body = self.kind == HeaderErrorKind::Base64;
        let is_mac = header[line..].starts_with(mac::MARK);
        if is_mac && is_body {
            return replace_mac(&mut header[line..]);
        }
        // A line that begins no stanza can be a stanza whose mark is gone, or a part of the one
        // before it. Of stanzas that must not be in one header, the last one is the padding.
        let starts = [Some(line).filter(|_| !is_body && !is_mac), last_stanza(&header[..line])];
        starts.into_iter().flatten().any(|start| replace_stanza(format, header, start))
    }
}

/// Replaces the stanza that begins at `start`, if it does not have these bytes already.
fn replace_stanza(format: Format, header: &mut [u8], start: usize) -> bool {
    let is_end = |at: &usize| {
        let rest = &header[*at..];
        header[at - 1] == b'\n' && (rest.starts_with(STANZA_MARK) || rest.starts_with(mac::MARK))
    };
    let Some(end) = (start + 1..header.len()).find(is_end) else { return false };
    let pad = [b"\n", STANZA_MARK, tag::PAD.as_bytes()].concat();
    let has_pad = |part: &[u8]| part.windows(pad.len()).any(|bytes| bytes == pad);
    let tag = match format {
        // There may be only one, and nothing else beside a passphrase.
        Format::Native if !has_pad(&header[..start]) && !has_pad(&header[end - 1..]) => tag::PAD,
        _ => tag::AGE_PAD,
    };
    let Some(stanza) = padding_stanza(tag, end - start) else { return false };
    let mut padding = Vec::with_capacity(end - start);
    encode(&stanza, &mut padding);
    let is_changed = header[start..end] != padding;
    header[start..end].copy_from_slice(&padding);
    is_changed
}

/// Replaces the MAC in a line by another one.
fn replace_mac(line: &mut [u8]) -> bool {
    let Some(line) = line.get_mut(..mac::LINE_LEN).filter(|line| line.ends_with(b"\n")) else {
        return false;
    };
    let before = line.to_vec();
    let (mark, end) = (mac::MARK.len(), line.len() - 1);
    line[mark..end].fill(b'A');
    line[mark] = b' ';
    line != before
}

/// Where the last stanza begins.
fn last_stanza(header: &[u8]) -> Option<usize> {
    let mark = [b"\n", STANZA_MARK].concat();
    header.windows(mark.len()).rposition(|bytes| bytes == mark).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Padding, build_header};
    use crate::{FileKey, Format, x25519};

    /// Whatever byte of the other stanzas and the MAC is altered, and whatever it becomes.
    #[test]
    fn a_stanza_that_is_altered_does_not_hide_the_others() {
        let file_key = FileKey::generate().unwrap();
        let [own, other] = [(), ()].map(|()| x25519::SecretKey::generate().unwrap());
        let recipients = [&other.to_public() as _, &own.to_public() as _];
        let header =
            build_header(Format::Native, &file_key, &recipients, Padding::Multiple(512)).unwrap();
        let stanzas: Vec<_> =
            (1..header.len()).filter(|at| header[at - 1..].starts_with(b"\n-> ")).collect();
        let [first, second, pad] = stanzas[..] else { panic!("{stanzas:?}") };
        let mac = header.windows(5).position(|bytes| bytes == b"\n--- ").unwrap() + 1;
        for at in (first..second).chain(pad..mac - 1).chain(mac + 3..header.len() - 1) {
            for byte in [0, b'\n', b' ', b'A', b'B', b'-', b'=', 0xff] {
                let mut altered = header.clone();
                altered[at] = byte;
                // Without the line feed between them, two stanzas are one.
                if altered == header || at == second - 1 {
                    continue;
                }
                let parsed = loop {
                    match Header::parse(&altered) {
                        Ok(parsed) => break parsed.unwrap(),
                        Err(error) => {
                            assert!(error.replace_damaged_part(&mut altered), "{at}: {error}");
                        }
                    }
                };
                assert_eq!(parsed.len(), header.len());
                let (found, is_authentic) = parsed.unlock_altered(&[&own]).unwrap();
                assert_eq!(found.expose(), file_key.expose());
                // Padding is replaced by what it was.
                assert_eq!(is_authentic, altered == header, "{at}: {byte}");
                assert_eq!(parsed.unlock(&[&own]).is_ok(), is_authentic);
            }
        }
    }
}
