//! Sparse files: the maps of the extents that an archive holds.

use crate::header::{self, BLOCK, Header};

/// The most extents that a file may have.
pub(crate) const MAX_EXTENTS: usize = 1 << 18;

/// A part of a file that the archive holds. The rest of the file is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Extent {
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// Whether the extents are in order, lie within a file of `size` bytes, and have `stored` bytes
/// in total.
pub(crate) fn is_sound(extents: &[Extent], size: u64, stored: u64) -> bool {
    let mut end = 0;
    let mut sum = 0u64;
    extents.iter().all(|extent| {
        let is_next = extent.offset >= end && extent.offset.checked_add(extent.len).is_some();
        end = extent.end();
        sum = sum.saturating_add(extent.len);
        is_next && end <= size
    }) && sum == stored
}

/// Encodes a map in GNU format 1.0, which precedes the data in whole blocks.
pub(crate) fn map(extents: &[Extent]) -> Vec<u8> {
    let mut text = format!("{}\n", extents.len());
    for Extent { offset, len } in extents {
        text += &format!("{offset}\n{len}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// Reads a map in GNU format 1.0, block by block, and returns it with its length in bytes. `None`
/// if it is malformed; errors are those of `next`.
pub(crate) fn read_map<E>(
    mut next: impl FnMut() -> Result<[u8; BLOCK], E>,
) -> Result<Option<(Vec<Extent>, u64)>, E> {
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
        Some(count) if count <= MAX_EXTENTS as u64 => count,
        _ => return Ok(None),
    };
    let mut extents = Vec::new();
    for _ in 0..count {
        let (Some(offset), Some(len)) = (number()?, number()?) else { return Ok(None) };
        extents.push(Extent { offset, len });
    }
    Ok(Some((extents, read)))
}

/// Reads the map in a header of type `S` and in the blocks that follow it, and the length of the
/// file. `None` if it is malformed; errors are those of `next`.
pub(crate) fn read_old_map<E>(
    header: &Header<'_>,
    mut next: impl FnMut() -> Result<[u8; BLOCK], E>,
) -> Result<Option<(Vec<Extent>, u64)>, E> {
    let (pairs, is_extended, size) = match header.is_star() {
        true => (356, 355, (452, 12)),
        false => (386, 482, (483, 12)),
    };
    let Some(size) = header.unsigned(size) else { return Ok(None) };
    let mut extents = Vec::new();
    let mut add = |block: &[u8], from: usize, count: usize| -> Option<()> {
        let (numbers, _) = block[from..from + count * 24].as_chunks::<12>();
        let (pairs, _) = numbers.as_chunks::<2>();
        for [offset, len] in pairs.iter().take_while(|[_, len]| len[0] != 0) {
            let number = |field| header::number(field).and_then(|number| number.try_into().ok());
            extents.push(Extent { offset: number(offset)?, len: number(len)? });
        }
        (extents.len() <= MAX_EXTENTS).then_some(())
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
    Ok(Some((extents, size)))
}

/// Reads the map of GNU formats 0.0 and 0.1: offsets and lengths in turn.
pub(crate) fn pairs<'a>(numbers: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Extent>> {
    let numbers: Vec<u64> = numbers.map(number).collect::<Option<_>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    let is_whole = rest.is_empty() && pairs.len() <= MAX_EXTENTS;
    is_whole.then(|| pairs.iter().map(|&[offset, len]| Extent { offset, len }).collect())
}

/// A decimal number without sign.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Option<(Vec<Extent>, u64)> {
        read_map(|| {
            let (block, rest) = bytes.split_first_chunk().ok_or(())?;
            bytes = rest;
            Ok::<_, ()>(*block)
        })
        .unwrap_or(None)
    }

    #[test]
    fn maps_come_back() {
        let extent = |offset, len| Extent { offset, len };
        for extents in
            [vec![], vec![extent(0, 10)], (0..100).map(|n| extent(n << 20, 4096)).collect()]
        {
            let map = map(&extents);
            assert_eq!(read(&map), Some((extents, map.len() as u64)));
        }
        let mut bad = map(&[extent(1, 2)]);
        bad[0] = b'x';
        assert_eq!(read(&bad), None);
        assert_eq!(read(b"1\n2"), None);
        assert_eq!(read(&[b'9'; BLOCK]), None);
    }

    #[test]
    fn unsound_maps_are_told() {
        let extent = |offset, len| Extent { offset, len };
        assert!(is_sound(&[], 5, 0));
        assert!(is_sound(&[extent(0, 2), extent(2, 3), extent(9, 0)], 9, 5));
        for (extents, size, stored) in [
            (vec![extent(0, 2), extent(1, 3)], 9, 5),
            (vec![extent(0, 2)], 1, 2),
            (vec![extent(0, 2)], 9, 3),
            (vec![extent(u64::MAX, 2)], u64::MAX, 2),
            (vec![extent(4, 1), extent(0, 1)], 9, 2),
        ] {
            assert!(!is_sound(&extents, size, stored), "{extents:?}");
        }
    }
}
