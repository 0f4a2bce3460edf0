//! Where an archive goes: as it is, or compressed.

use std::io::{self, BufWriter, Write};

/// Compression levels of zstd that can be asked for.
pub const ZSTD_LEVELS: std::ops::RangeInclusive<i32> = 1..=22;
/// Small members are written together.
const BUFFER: usize = 256 << 10;

pub(super) struct Stream<W: Write>(How<W>);

enum How<W: Write> {
    Bare(BufWriter<Counted<W>>),
    Zstd(BufWriter<zstd::Encoder<'static, Counted<W>>>),
}

impl<W: Write> Stream<W> {
    pub(super) fn new(to: W, level: Option<i32>, threads: u32) -> io::Result<Self> {
        let to = Counted { to, count: 0 };
        let Some(level) = level else {
            return Ok(Self(How::Bare(BufWriter::with_capacity(BUFFER, to))));
        };
        let mut encoder = zstd::Encoder::new(to, level)?;
        encoder.include_checksum(true)?;
        if can_use(level, threads) {
            encoder.multithread(threads)?;
        }
        Ok(Self(How::Zstd(BufWriter::with_capacity(BUFFER, encoder))))
    }

    /// Ends it. Gives back where it went, and how many bytes.
    pub(super) fn finish(self) -> io::Result<(W, u64)> {
        let counted = match self.0 {
            How::Bare(to) => to.into_inner().map_err(io::IntoInnerError::into_error)?,
            How::Zstd(to) => to.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?,
        };
        Ok((counted.to, counted.count))
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            How::Bare(to) => to.write(bytes),
            How::Zstd(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            How::Bare(to) => to.flush(),
            How::Zstd(to) => to.flush(),
        }
    }
}

/// Whether there are so many threads, and memory for them, which zstd takes when it begins.
/// Where there are not, one does it all.
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

/// Counts what is written.
struct Counted<W> {
    to: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.to.write(bytes)?;
        self.count += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
