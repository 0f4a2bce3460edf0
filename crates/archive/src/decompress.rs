//! Decompresses a stream if it begins like one of zstd.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

/// Whether a file with these first four bytes is compressed with zstd. Its first frame holds data,
/// or is a skippable one, as pzstd writes it.
#[must_use]
pub fn is_zstd(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

type Rewound<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Bytes that are read at once. Most members are much smaller, and a system call for each would
/// cost more than creating the file.
const BUFFER: usize = 256 << 10;

/// A tar stream, decompressed if need be.
pub(crate) enum Decompressor<R: Read> {
    Bare(BufReader<Rewound<R>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<CountingReader<Rewound<R>>>>>, Rc<Cell<u64>>),
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
        let counted = CountingReader { from: whole, count: Rc::clone(&count) };
        Ok(Self::Zstd(Box::new(zstd::Decoder::new(counted)?), count))
    }

    pub(crate) fn is_zstd(&self) -> bool {
        matches!(self, Self::Zstd(..))
    }

    /// Compressed bytes read so far; `None` if the stream is not compressed.
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

/// Counts the bytes read.
pub(crate) struct CountingReader<R> {
    from: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        self.count.set(self.count.get() + len as u64);
        Ok(len)
    }
}
