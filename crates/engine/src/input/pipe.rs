//! An input that another thread writes while it is encrypted.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::pipe::PipeFlags;

/// Pipes are enlarged to this, the most that the system gives by default.
pub(crate) const PIPE_SIZE: usize = 1 << 20;

/// The writing end of a [`Source::piped`](crate::Source::piped). Only
/// [`PipeWriter::finish`] ends the input. If the writer is dropped without it, as on a
/// failure, reading the input fails.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: File,
    is_whole: Arc<AtomicBool>,
}

impl PipeWriter {
    /// All was written.
    pub fn finish(self) {
        // Before the pipe is closed, which is what the other side sees first.
        self.is_whole.store(true, Ordering::Release);
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
    is_whole: Arc<AtomicBool>,
    /// The permission bits for what it becomes.
    pub(super) mode: u32,
}

impl PipedEnd {
    /// Whether the end that was reached is one.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }
}

/// A new pipe: the end to read, the end to write, and what a source knows of the latter.
pub(super) fn pipe(mode: u32) -> io::Result<(File, PipeWriter, PipedEnd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let is_whole = Arc::new(AtomicBool::new(false));
    let end = PipedEnd { is_whole: Arc::clone(&is_whole), mode };
    Ok((reader.into(), PipeWriter { pipe: writer.into(), is_whole }, end))
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
    }
}
