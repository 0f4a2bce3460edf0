//! The stream as it is, or decompressed where it begins like one of zstd.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

/// Whether a file that begins like this is compressed with zstd: its first frame has
/// data, or is to be skipped, as pzstd and others write one.
#[must_use]
pub fn is_zstd(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

type Rewound<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// What is read at once: a small file with its header is much less, and a call for each
/// part of it would cost more than creating the file.
const BUFFER: usize = 256 << 10;

/// A stream of tar, and where it comes from.
pub(crate) enum Decompressor<R: Read> {
    Bare(BufReader<Rewound<R>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Counted<Rewound<R>>>>>, Rc<Cell<u64>>),
}

impl<R: Read> Decompressor<R> {
    pub(crate) fn new(mut from: R) -> io::Result<Self> {
        let mut head = Vec::new();
        from.by_ref().take(4).read_to_end(&mut head)?;
        let is_zstd = is_zstd(&head);
        let whole = Cursor::new(head).chain(from);
        if !is_zstd {
            return Ok(Self::Bare(BufReader::with_capacity(BUFFER, whole)));
        }
        let count = Rc::new(Cell::new(0));
        let counted = Counted { from: whole, count: Rc::clone(&count) };
        Ok(Self::Zstd(Box::new(zstd::Decoder::new(counted)?), count))
    }

    pub(crate) fn is_zstd(&self) -> bool {
        matches!(self, Self::Zstd(..))
    }

    /// Compressed bytes that were read, where there are any.
    pub(crate) fn compressed(&self) -> Option<u64> {
        match self {
            Self::Bare(_) => None,
            Self::Zstd(_, count) => Some(count.get()),
        }
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bare(from) => from.read(buffer),
            Self::Zstd(from, _) => from.read(buffer),
        }
    }
}

/// Counts what is read.
pub(crate) struct Counted<R> {
    from: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        self.count.set(self.count.get() + len as u64);
        Ok(len)
    }
}
