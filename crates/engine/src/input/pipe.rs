//! An input that another thread writes while it is encrypted.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use rustix::pipe::PipeFlags;

use crate::ObjectError;

/// Pipes are enlarged to this, the most that the system gives by default.
pub(crate) const PIPE_SIZE: usize = 1 << 20;

/// The writing end of a [`Source::piped`](crate::Source::piped). Only
/// [`PipeWriter::finish`] ends the input. If the writer is dropped without it, as on a
/// failure, reading the input fails.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: File,
    end: Arc<OnceLock<End>>,
}

/// How the input has ended: whole, or with an error.
type End = io::Result<()>;

impl PipeWriter {
    /// All was written.
    pub fn finish(self) {
        // Before the pipe is closed, which is what the other side sees first.
        let _ = self.end.set(Ok(()));
    }

    /// Not all was written, for this reason.
    pub fn fail(self, error: io::Error) {
        let _ = self.end.set(Err(error));
    }

    /// The pipe itself, for another process to write to. It must be closed there before the end is
    /// told here.
    pub fn pipe(&self) -> &File {
        &self.pipe
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a source knows of the writing end of its pipe.
#[derive(Debug)]
pub(super) struct PipedEnd {
    end: Arc<OnceLock<End>>,
    /// The permission bits for what it becomes.
    pub(super) mode: u32,
}

impl PipedEnd {
    /// Whether the end that was reached is one; `None` if nobody has said so.
    pub(super) fn reached(&self) -> Option<io::Result<()>> {
        // An error cannot be cloned, and its reader wants what is in it.
        match self.end.get()? {
            Ok(()) => Some(Ok(())),
            Err(error) => Some(Err(copy(error))),
        }
    }
}

/// A new pipe: the end to read, the end to write, and what a source knows of the latter.
pub(super) fn pipe(mode: u32) -> io::Result<(File, PipeWriter, PipedEnd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let end = Arc::new(OnceLock::new());
    let piped = PipedEnd { end: Arc::clone(&end), mode };
    Ok((reader.into(), PipeWriter { pipe: writer.into(), end }, piped))
}

/// The same error once more.
fn copy(error: &io::Error) -> io::Error {
    match ObjectError::of(error) {
        Some(error) => error.clone().into(),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Source};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn read_all(source: &mut Source) -> Result<usize, Error> {
        source.fill(&mut [0; 16])
    }

    #[test]
    fn only_what_was_finished_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).unwrap();
        let like = File::open(folder.path()).unwrap();
        let (mut writer, mut source) = Source::piped("made".into(), &like).unwrap();
        writer.write_all(b"all").unwrap();
        writer.finish();
        assert_eq!(read_all(&mut source).unwrap(), 3);
        assert_eq!(source.output_mode(), (0o640, false));

        let (mut writer, mut source) = Source::piped("made".into(), &like).unwrap();
        writer.write_all(b"a beginning").unwrap();
        drop(writer);
        assert!(matches!(read_all(&mut source), Err(Error::Unfinished { .. })));
        assert!(matches!(source.is_over(true), Err(Error::Unfinished { .. })));

        let (mut writer, mut source) = Source::piped("made".into(), &like).unwrap();
        writer.write_all(b"a beginning").unwrap();
        writer.fail(io::ErrorKind::TimedOut.into());
        assert!(matches!(read_all(&mut source), Err(Error::Read { .. })));
    }
}
