//! Output that is written in order and cannot be taken back.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cryptstream_shm::Region;
use rustix::io::Errno;

use super::text::TextCheck;
use crate::Error;
use crate::input::PIPE_SIZE;
use crate::memory::zeroed;

/// A pipe, a terminal or a device.
pub(crate) struct Stream {
    file: File,
    path: PathBuf,
    position: u64,
    /// Set if anything but text is refused.
    text: Option<TextCheck>,
}

impl Stream {
    /// `only_text` refuses anything but text.
    pub(super) fn new(file: File, path: PathBuf, only_text: bool) -> Self {
        // For fewer, larger writes. It fails if the output is not a pipe, which is fine.
        let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_SIZE);
        let text = only_text.then(TextCheck::default);
        Self { file, path, position: 0, text }
    }

    /// The stream's name for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `bytes`, which must be the next ones.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset != self.position {
            return Err(Error::Internal("a stream was written out of order"));
        }
        if self.text.as_mut().is_some_and(|text| !text.admits(bytes)) {
            return Err(Error::BinaryToTerminal { shown: self.position });
        }
        self.file.write_all(bytes).map_err(|error| self.failed(error))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// The same for `len` bytes of `region`, from `from` on.
    pub(crate) fn write_from(
        &mut self,
        offset: u64,
        region: &Region,
        from: usize,
        len: usize,
    ) -> Result<(), Error> {
        if offset != self.position || self.text.is_some() {
            let mut bytes = zeroed(len)?;
            region.copy_out(from, &mut bytes);
            return self.write(offset, &bytes);
        }
        let mut written = 0;
        while written < len {
            match region.write_from(&self.file, from + written, len - written) {
                Ok(0) => return Err(self.failed(io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.position += len as u64;
        Ok(())
    }

    /// Makes durable what was redirected to a file or goes to a disk. Pipes and
    /// terminals cannot be synced, and need not be.
    pub(super) fn sync(&self) -> Result<(), Error> {
        match rustix::fs::fsync(&self.file) {
            Ok(()) | Err(Errno::INVAL | Errno::ROFS) => Ok(()),
            Err(error) => {
                let path = self.path.clone();
                Err(Error::NotDurable { path, source: error.into() })
            }
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::BrokenPipe => Error::BrokenPipe { path },
            _ => Error::Write { path, offset: self.position, source },
        }
    }
}
