//! An input that another thread makes while it is sealed.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cryptstream_beneath::mode_without_acl;
use rustix::pipe::PipeFlags;

use super::Source;
use crate::Error;

/// The end of a [`Source::fed`] that is written to. Only [`Feed::finish`] is an
/// end: dropped without it, as by whoever fails, it makes the run fail.
#[derive(Debug)]
pub struct Feed {
    pipe: File,
    is_whole: Arc<AtomicBool>,
}

impl Feed {
    /// All was written.
    pub fn finish(self) {
        // Before the pipe is closed, which is what the other side sees first.
        self.is_whole.store(true, Ordering::Release);
    }
}

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a source knows of the other end of its pipe.
#[derive(Debug)]
pub(super) struct Fed {
    is_whole: Arc<AtomicBool>,
    /// The permission bits for what it becomes.
    pub(super) mode: u32,
}

impl Fed {
    /// Whether the end that was reached is one.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Acquire)
    }
}

impl Source {
    /// An input that whoever has the [`Feed`] writes, through a pipe. `path` is
    /// its name for messages; what becomes of it gets the permission bits of `like`,
    /// as far as they are for files. The source must be dropped before its feeder is
    /// waited for.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn fed(path: PathBuf, like: &File) -> Result<(Feed, Self), Error> {
        let (reader, writer) = match rustix::pipe::pipe_with(PipeFlags::CLOEXEC) {
            Ok((reader, writer)) => (File::from(reader), File::from(writer)),
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let mode = match rustix::fs::fstat(like) {
            Ok(stat) => mode_without_acl(like, stat.st_mode).0 & 0o666,
            Err(source) => return Err(Error::Open { path, source: source.into() }),
        };
        let is_whole = Arc::new(AtomicBool::new(false));
        let fed = Fed { is_whole: Arc::clone(&is_whole), mode };
        let source = Self { fed: Some(fed), ..Self::new(reader, path, false)? };
        Ok((Feed { pipe: writer, is_whole }, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let (mut feed, mut source) = Source::fed("made".into(), &like).unwrap();
        feed.write_all(b"all").unwrap();
        feed.finish();
        assert_eq!(read_all(&mut source).unwrap(), 3);
        assert_eq!(source.output_mode(), (0o640, false));

        let (mut feed, mut source) = Source::fed("made".into(), &like).unwrap();
        feed.write_all(b"a beginning").unwrap();
        drop(feed);
        assert!(matches!(read_all(&mut source), Err(Error::Unfinished { .. })));
        assert!(matches!(source.is_over(true), Err(Error::Unfinished { .. })));
    }
}
