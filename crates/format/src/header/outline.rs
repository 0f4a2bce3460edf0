//! Where the parts of a header are: what its grammar finds, as a flat table of offsets.
//!
//! Another process can parse a header and send this table. It is then a claim, which
//! [`Header::new`](super::Header::new) checks against the header's bytes by comparing
//! them, without interpreting anything.

use std::sync::Arc;

use super::mac;
use crate::Format;
use crate::stanza::{self, Stanza, StanzaText};

/// What a stanza begins with.
pub(super) const STANZA_MARK: &[u8] = b"-> ";

/// Where the parts of a header are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub(super) format: Format,
    /// Bytes of the header; the payload begins there.
    pub(super) len: u32,
    /// Where the line of the MAC begins, and the last stanza ends.
    pub(super) mac: u32,
    pub(super) stanzas: Vec<StanzaOffsets>,
}

/// Where a stanza is. It ends where the next one's mark begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StanzaOffsets {
    /// Where its type begins, after the mark.
    pub(super) args: u32,
    /// Where the lines of its body begin.
    pub(super) body: u32,
}

impl Outline {
    /// Bytes of the header.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The table as bytes: the format, then numbers in little endian: the length, where
    /// the MAC is, and two for each stanza.
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

    /// Reads what [`Outline::encode`] wrote; `None` if it is none. The numbers may still
    /// be anything.
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

    /// The stanzas' texts in `input`, of a table that was just made from it.
    pub(super) fn texts<'a>(&self, input: &'a [u8]) -> impl Iterator<Item = StanzaText<'a>> {
        self.places().filter_map(|(StanzaOffsets { args, body }, end)| {
            let line = input.get(args as usize..(body as usize).checked_sub(1)?)?;
            StanzaText::new(line, input.get(body as usize..end as usize)?)
        })
    }

    /// The stanzas of the header `bytes`; `None` if the table is not that of these
    /// bytes. Every byte is compared: from the version line to the MAC there is one
    /// stanza after the other, with its mark, so that the table leaves nothing out.
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

    /// Each stanza's place, and where it ends.
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
        let outline = Outline::parse(&bytes).unwrap().unwrap();
        assert_eq!(Outline::decode(&outline.encode()), Some(outline.clone()));
        let encoded = outline.encode();
        for len in 0..encoded.len() {
            let cut = Outline::decode(&encoded[..len]);
            assert!(cut.is_none_or(|cut| Header::new(bytes.clone(), &cut).is_none()), "{len}");
        }
        assert!(Header::new(bytes, &outline).is_some());
    }

    #[test]
    fn another_table_is_refused() {
        let bytes = header(Padding::None);
        let outline = Outline::parse(&bytes).unwrap().unwrap();
        let encoded = outline.encode();
        for at in 0..encoded.len() {
            for value in 0..=u8::MAX {
                let mut changed = encoded.clone();
                changed[at] = value;
                let Some(changed) = Outline::decode(&changed) else { continue };
                let taken = Header::new(bytes.clone(), &changed).is_some();
                assert_eq!(taken, changed == outline, "byte {at} is {value}");
            }
        }
        for number in 0..outline.stanzas.len() {
            let mut fewer = outline.clone();
            fewer.stanzas.remove(number);
            assert!(Header::new(bytes.clone(), &fewer).is_none(), "without stanza {number}");
        }
        let longer = [bytes.as_slice(), b"more"].concat();
        assert_eq!(Header::new(longer, &outline), Header::parse(&bytes).unwrap());
        assert_eq!(Header::new(bytes[..bytes.len() - 1].to_vec(), &outline), None);
    }
}
