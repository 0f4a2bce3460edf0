//! The text of an armor, on its way into a file or a stream.

use cryptstream_format::armor::Encoder;
use cryptstream_shm::Region;

use crate::Error;
use crate::memory::{OutOfMemory, grow};

/// Bytes that are encoded in one go, to about as much text as is written in one.
const PART_LEN: usize = 192 << 10;
/// Text for a file is written in pieces that end at multiples of this: see
/// [`crate::job`].
const WRITE_ALIGN: usize = 256 << 10;

/// What takes the text, in order.
pub(crate) trait TextOutput {
    /// Whether someone waits for each part of it.
    fn is_stream(&self) -> bool;
    /// Takes `text`, whose first byte is byte `offset` of all of it.
    fn put(&mut self, offset: u64, text: &[u8]) -> Result<(), Error>;
}

/// Encodes what it is given, and hands the text on to `to`.
pub(crate) struct Armored<T> {
    to: T,
    encoder: Encoder,
    /// Bytes taken so far.
    position: u64,
    /// Text that is not written yet.
    text: Vec<u8>,
    /// Text written so far.
    written: u64,
    /// A part out of shared memory.
    part: Vec<u8>,
}

impl<T: TextOutput> Armored<T> {
    pub(super) fn new(to: T) -> Self {
        let encoder = Encoder::new();
        Self { to, encoder, position: 0, text: Vec::new(), written: 0, part: Vec::new() }
    }

    /// Where the text goes.
    pub(super) fn sink(&self) -> &T {
        &self.to
    }

    pub(super) fn sink_mut(&mut self) -> &mut T {
        &mut self.to
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset != self.position {
            return Err(Error::Internal("an armor was written out of order"));
        }
        for part in bytes.chunks(PART_LEN) {
            let room = Encoder::max_text_len(part.len());
            self.text.try_reserve(room).map_err(OutOfMemory::from)?;
            self.encoder.encode(part, &mut self.text);
            self.position += part.len() as u64;
            // A stream's reader gets what there is.
            let kept = if self.to.is_stream() { 0 } else { self.text.len() % WRITE_ALIGN };
            self.flush(self.text.len() - kept)?;
        }
        Ok(())
    }

    pub(super) fn write_from(
        &mut self,
        offset: u64,
        region: &Region,
        from: usize,
        len: usize,
    ) -> Result<(), Error> {
        let mut part = std::mem::take(&mut self.part);
        grow(&mut part, PART_LEN.min(len))?;
        let mut done = 0;
        while done < len {
            let more = PART_LEN.min(len - done);
            region.copy_out(from + done, &mut part[..more]);
            self.write(offset + done as u64, &part[..more])?;
            done += more;
        }
        self.part = part;
        Ok(())
    }

    /// Writes the armor's end, and gives the output, which is complete.
    pub(super) fn finish(mut self) -> Result<T, Error> {
        self.text.try_reserve(Encoder::max_text_len(0)).map_err(OutOfMemory::from)?;
        std::mem::take(&mut self.encoder).finish(&mut self.text);
        self.flush(self.text.len())?;
        Ok(self.to)
    }

    /// Writes the first `len` bytes of the text.
    fn flush(&mut self, len: usize) -> Result<(), Error> {
        if len > 0 {
            self.to.put(self.written, &self.text[..len])?;
            self.written += len as u64;
            self.text.drain(..len);
        }
        Ok(())
    }
}
