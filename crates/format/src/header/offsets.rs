//! The result of parsing a header: a flat table of offsets.
//!
//! A sandboxed process can parse a header and send this table. [`Header::new`](super::Header::new)
//! then checks it against the bytes of the header, without parsing them.

use std::sync::Arc;

use super::mac;
use crate::Format;
use crate::stanza::{self, Stanza, StanzaText};

/// The bytes that begin a stanza.
pub(super) const STANZA_MARK: &[u8] = b"-> ";

/// The offsets of the parts of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderOffsets {
    pub(super) format: Format,
    /// The length of the header in bytes.
    pub(super) len: u32,
    /// The offset of the line with the MAC, where the last stanza ends.
    pub(super) mac: u32,
    pub(super) stanzas: Vec<StanzaOffsets>,
}

/// The offsets of a stanza, which ends where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StanzaOffsets {
    /// Its type, after the mark.
    pub(super) args: u32,
    /// The first line of its body.
    pub(super) body: u32,
}

impl HeaderOffsets {
    /// The length of the header in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Encodes the table: the format (1 byte), then numbers of 4 bytes, little-endian: the length,
    /// the offset of the MAC, and two offsets for each stanza.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9 + 8 * self.stanzas.len());
        bytes.push(u8::from(self.format == Format::Age));
        let places = self.stanzas.iter().flat_map(|place| [place.args, place.body]);
        for number in [self.len, self.mac].into_iter().chain(places) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Decodes the result of [`HeaderOffsets::encode`]; `None` if its length or format is invalid.
    /// The numbers are not checked.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, numbers) = bytes.split_first()?;
        let format = match format {
            0 => Format::Native,
            1 => Format::Age,
            _ => return None,
        };
        let (numbers, rest) = numbers.as_chunks::<4>();
        let (head, places) = numbers.split_first_chunk::<2>()?;
        let (places, odd) = places.as_chunks::<2>();
        if !rest.is_empty() || !odd.is_empty() || places.len() > format.max_stanzas() {
            return None;
        }
        let [len, mac] = head.map(u32::from_le_bytes);
        let place = |place: &[[u8; 4]; 2]| {
            let [args, body] = place.map(u32::from_le_bytes);
            StanzaOffsets { args, body }
        };
        Some(Self { format, len, mac, stanzas: places.iter().map(place).collect() })
    }

    /// The texts of the stanzas in `input`, from which this table was made.
    pub(super) fn texts<'a>(&self, input: &'a [u8]) -> impl Iterator<Item = StanzaText<'a>> {
        self.places().filter_map(|(StanzaOffsets { args, body }, end)| {
            let line = input.get(args as usize..(body as usize).checked_sub(1)?)?;
            StanzaText::new(line, input.get(body as usize..end as usize)?)
        })
    }

    /// The stanzas of the header `bytes`; `None` if this is not its table. Every byte must belong
    /// to the version line, a stanza or the MAC, so that the table cannot leave anything out.
    pub(super) fn check(&self, bytes: &Arc<Vec<u8>>) -> Option<Vec<Stanza>> {
        let Self { format, len, mac, .. } = *self;
        let version = format.version_line();
        let is_framed = bytes.len() == len as usize
            && bytes.len() <= format.max_header_len()
            && (mac as usize).checked_add(mac::LINE_LEN) == Some(bytes.len())
            && bytes.starts_with(version)
            && bytes.get(version.len()) == Some(&b'\n')
            && bytes[mac as usize..].starts_with(mac::MARK)
            && bytes.ends_with(b"\n");
        if !is_framed || self.stanzas.is_empty() || self.stanzas.len() > format.max_stanzas() {
            return None;
        }
        let mut stanzas = Vec::with_capacity(self.stanzas.len());
        let mut at = version.len() + 1;
        for (StanzaOffsets { args, body }, end) in self.places() {
            let is_next = args as usize == at + STANZA_MARK.len()
                && bytes.get(at..args as usize) == Some(STANZA_MARK);
            let stanza = Stanza::in_header(bytes, args, body, end).filter(|_| is_next)?;
            at = end as usize;
            stanzas.push(stanza);
        }
        stanza::check_together(format, stanzas.iter().map(Stanza::text)).ok()?;
        (at == mac as usize).then_some(stanzas)
    }

    /// The offsets of each stanza, and its end.
    fn places(&self) -> impl Iterator<Item = (StanzaOffsets, u32)> {
        let next = |place: &StanzaOffsets| place.args.saturating_sub(STANZA_MARK.len() as u32);
        let ends = self.stanzas.iter().skip(1).map(next).chain([self.mac]);
        self.stanzas.iter().copied().zip(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileKey, Header, Padding, build_header, x25519};

    fn header(padding: Padding) -> Vec<u8> {
        let file_key = FileKey::generate().unwrap();
        let recipient = x25519::SecretKey::generate().unwrap().to_public();
        build_header(Format::Native, &file_key, &[&recipient, &recipient], padding).unwrap()
    }

    #[test]
    fn a_table_survives_its_bytes() {
        let bytes = header(Padding::Multiple(4096));
        let offsets = HeaderOffsets::parse(&bytes).unwrap().unwrap();
        assert_eq!(HeaderOffsets::decode(&offsets.encode()), Some(offsets.clone()));
        let encoded = offsets.encode();
        for len in 0..encoded.len() {
            let cut = HeaderOffsets::decode(&encoded[..len]);
            assert!(cut.is_none_or(|cut| Header::new(bytes.clone(), &cut).is_none()), "{len}");
        }
        assert!(Header::new(bytes, &offsets).is_some());
    }

    #[test]
    fn another_table_is_refused() {
        let bytes = header(Padding::None);
        let offsets = HeaderOffsets::parse(&bytes).unwrap().unwrap();
        let encoded = offsets.encode();
        for at in 0..encoded.len() {
            for value in 0..=u8::MAX {
                let mut changed = encoded.clone();
                changed[at] = value;
                let Some(changed) = HeaderOffsets::decode(&changed) else { continue };
                let taken = Header::new(bytes.clone(), &changed).is_some();
                assert_eq!(taken, changed == offsets, "byte {at} is {value}");
            }
        }
        for number in 0..offsets.stanzas.len() {
            let mut fewer = offsets.clone();
            fewer.stanzas.remove(number);
            assert!(Header::new(bytes.clone(), &fewer).is_none(), "without stanza {number}");
        }
        let longer = [bytes.as_slice(), b"more"].concat();
        assert_eq!(Header::new(longer, &offsets), Header::parse(&bytes).unwrap());
        assert_eq!(Header::new(bytes[..bytes.len() - 1].to_vec(), &offsets), None);
    }
}
