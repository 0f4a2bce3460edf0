//! Writes an archive, plain or compressed.

use std::io::{self, BufWriter, Write};

/// The compression levels of zstd.
pub const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=22;
/// Bytes that are buffered, so that small members are written together.
const BUFFER: usize = 256 << 10;

pub(super) struct Stream<W: Write>(Encoding<W>);

enum Encoding<W: Write> {
    Bare(BufWriter<CountingWriter<W>>),
    Zstd(BufWriter<zstd::Encoder<'static, CountingWriter<W>>>),
}

impl<W: Write> Stream<W> {
    pub(super) fn new(to: W, level: Option<i32>, threads: u32) -> io::Result<Self> {
        let to = CountingWriter { to, count: 0 };
        let Some(level) = level else {
            return Ok(Self(Encoding::Bare(BufWriter::with_capacity(BUFFER, to))));
        };
        let mut encoder = zstd::Encoder::new(to, level)?;
        encoder.include_checksum(true)?;
        if can_use(level, threads) {
            encoder.multithread(threads)?;
        }
        Ok(Self(Encoding::Zstd(BufWriter::with_capacity(BUFFER, encoder))))
    }

    /// Ends the stream, and returns the writer and the number of bytes written.
    pub(super) fn finish(self) -> io::Result<(W, u64)> {
        let counted = match self.0 {
            Encoding::Bare(to) => to.into_inner().map_err(io::IntoInnerError::into_error)?,
            Encoding::Zstd(to) => {
                to.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?
            }
        };
        Ok((counted.to, counted.count))
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Encoding::Bare(to) => to.write(bytes),
            Encoding::Zstd(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Encoding::Bare(to) => to.flush(),
            Encoding::Zstd(to) => to.flush(),
        }
    }
}

/// Whether zstd can start so many threads and has the memory for them. It finds out only when it
/// compresses the first byte.
fn can_use(level: i32, threads: u32) -> bool {
    if threads <= 1 {
        return false;
    }
    let tried = zstd::Encoder::new(io::sink(), level).and_then(|mut encoder| {
        encoder.multithread(threads)?;
        encoder.write_all(&[0])?;
        encoder.finish()
    });
    tried.is_ok()
}

/// Counts the bytes written.
struct CountingWriter<W> {
    to: W,
    count: u64,
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.to.write(bytes)?;
        self.count += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
