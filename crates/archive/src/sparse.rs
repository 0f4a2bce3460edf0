//! Files with holes: which pieces of them an archive has.

use crate::header::{self, BLOCK, Header};

/// As many pieces as a file may have.
pub(crate) const MAX_PIECES: usize = 1 << 18;

/// Bytes of a file that the archive has. The others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Piece {
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// Whether the pieces follow one another within a file of `size` bytes, and are
/// `stored` bytes together.
pub(crate) fn is_sound(pieces: &[Piece], size: u64, stored: u64) -> bool {
    let mut end = 0;
    let mut sum = 0u64;
    pieces.iter().all(|piece| {
        let is_next = piece.offset >= end && piece.offset.checked_add(piece.len).is_some();
        end = piece.end();
        sum = sum.saturating_add(piece.len);
        is_next && end <= size
    }) && sum == stored
}

/// The map of GNU's format 1.0, which comes before the data, in whole blocks.
pub(crate) fn map(pieces: &[Piece]) -> Vec<u8> {
    let mut text = format!("{}\n", pieces.len());
    for Piece { offset, len } in pieces {
        text += &format!("{offset}\n{len}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Reads such a map, a block at a time. Returns it with the number of its bytes;
/// `None` where it is malformed, and what `next` fails with.
pub(crate) fn read_map<E>(
    mut next: impl FnMut() -> Result<[u8; BLOCK], E>,
) -> Result<Option<(Vec<Piece>, u64)>, E> {
    let mut read = 0;
    let (mut block, mut at) = ([0; BLOCK], BLOCK);
    let mut number = || -> Result<Option<u64>, E> {
        let mut number: Option<u64> = None;
        loop {
            if at == BLOCK {
                block = next()?;
                read += BLOCK as u64;
                at = 0;
            }
            let byte = block[at];
            at += 1;
            match byte {
                b'\n' => return Ok(number),
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let more = number.unwrap_or(0).checked_mul(10);
                    let Some(more) = more.and_then(|more| more.checked_add(digit)) else {
                        return Ok(None);
                    };
                    number = Some(more);
                }
                _ => return Ok(None),
            }
        }
    };
    let count = match number()? {
        Some(count) if count <= MAX_PIECES as u64 => count,
        _ => return Ok(None),
    };
    let mut pieces = Vec::new();
    for _ in 0..count {
        let (Some(offset), Some(len)) = (number()?, number()?) else { return Ok(None) };
        pieces.push(Piece { offset, len });
    }
    Ok(Some((pieces, read)))
}

/// Reads the map in a header of kind `S`, and in the blocks behind it, which `next` reads;
/// and the file's length. `None` where it is malformed, and what `next` fails with.
pub(crate) fn read_old_map<E>(
    header: &Header<'_>,
    mut next: impl FnMut() -> Result<[u8; BLOCK], E>,
) -> Result<Option<(Vec<Piece>, u64)>, E> {
    let (pairs, is_extended, size) = match header.is_star() {
        true => (356, 355, (452, 12)),
        false => (386, 482, (483, 12)),
    };
    let Some(size) = header.unsigned(size) else { return Ok(None) };
    let mut pieces = Vec::new();
    let mut add = |block: &[u8], from: usize, count: usize| -> Option<()> {
        let (numbers, _) = block[from..from + count * 24].as_chunks::<12>();
        let (pairs, _) = numbers.as_chunks::<2>();
        for [offset, len] in pairs.iter().take_while(|[_, len]| len[0] != 0) {
            let number = |field| header::number(field).and_then(|number| number.try_into().ok());
            pieces.push(Piece { offset: number(offset)?, len: number(len)? });
        }
        (pieces.len() <= MAX_PIECES).then_some(())
    };
    if add(header.bytes(), pairs, 4).is_none() {
        return Ok(None);
    }
    let mut goes_on = header.bytes()[is_extended] != 0;
    while goes_on {
        let block = next()?;
        if add(&block, 0, 21).is_none() {
            return Ok(None);
        }
        goes_on = block[504] != 0;
    }
    Ok(Some((pieces, size)))
}

/// Reads the map of formats 0.0 and 0.1: numbers in turn, of offsets and lengths.
pub(crate) fn pairs<'a>(numbers: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Piece>> {
    let numbers: Vec<u64> = numbers.map(number).collect::<Option<_>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    let is_whole = rest.is_empty() && pairs.len() <= MAX_PIECES;
    is_whole.then(|| pairs.iter().map(|&[offset, len]| Piece { offset, len }).collect())
}

/// A decimal number and nothing else.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Option<(Vec<Piece>, u64)> {
        read_map(|| {
            let (block, rest) = bytes.split_first_chunk().ok_or(())?;
            bytes = rest;
            Ok::<_, ()>(*block)
        })
        .unwrap_or(None)
    }

    #[test]
    fn maps_come_back() {
        let piece = |offset, len| Piece { offset, len };
        for pieces in [vec![], vec![piece(0, 10)], (0..100).map(|n| piece(n << 20, 4096)).collect()]
        {
            let map = map(&pieces);
            assert_eq!(read(&map), Some((pieces, map.len() as u64)));
        }
        let mut bad = map(&[piece(1, 2)]);
        bad[0] = b'x';
        assert_eq!(read(&bad), None);
        assert_eq!(read(b"1\n2"), None);
        assert_eq!(read(&[b'9'; BLOCK]), None);
    }

    #[test]
    fn unsound_maps_are_told() {
        let piece = |offset, len| Piece { offset, len };
        assert!(is_sound(&[], 5, 0));
        assert!(is_sound(&[piece(0, 2), piece(2, 3), piece(9, 0)], 9, 5));
        for (pieces, size, stored) in [
            (vec![piece(0, 2), piece(1, 3)], 9, 5),
            (vec![piece(0, 2)], 1, 2),
            (vec![piece(0, 2)], 9, 3),
            (vec![piece(u64::MAX, 2)], u64::MAX, 2),
            (vec![piece(4, 1), piece(0, 1)], 9, 2),
        ] {
            assert!(!is_sound(&pieces, size, stored), "{pieces:?}");
        }
    }
}
