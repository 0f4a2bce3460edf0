//! The output: a file that gets its name last, or a stream; as it is or as the
//! text of an armor.

mod armored;
pub(crate) mod attributes;
mod container;
mod durable;
mod naming;
mod pending;
mod permissions;
mod probe;
mod staging;
mod target;
mod temporary;
mod text;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use armored::Armored;
use cryptstream_format::armor::armored_len;
use cryptstream_protection::Protection;
use cryptstream_shm::Region;
pub(crate) use durable::{remove_durably, sync_content};
pub(crate) use pending::{PendingFile, remove_abandoned};
pub(crate) use permissions::Permissions;
pub use permissions::{Followed, follow_mode, is_refusal, keep_owner_bits, umask};
use rustix::io::Errno;
pub use staging::StagingFolder;
pub use target::Target;
pub(crate) use target::write_small;
use text::TextCheck;

use crate::memory::zeroed;
use crate::{Error, Source};

/// How a finished output is given its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Make content and name durable. Replacing a file implies it, and so
    /// does removing the source.
    pub sync: bool,
    /// Remove the source when the output is durable under its name.
    pub remove_source: bool,
    /// Read the output again and compare it with the source, before it gets its name.
    /// Removing the source implies it.
    pub verify: bool,
    /// Give a file the times of its source.
    pub keep_times: bool,
    /// Give a file the permission bits of its source, also those that the umask
    /// withholds from new files.
    pub keep_mode: bool,
    /// The same, also where the file that is replaced has fewer.
    pub follow_mode: bool,
}

/// What an output has not got of its source, although it was wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The file system does not take the times.
    pub times: bool,
    /// The file system does not take the permission bits.
    pub mode: bool,
    /// The source has an access control list, which is not copied.
    pub acl: bool,
}

impl CommitOptions {
    /// Whether the output is read again.
    pub(crate) fn verifies(self) -> bool {
        (self.verify || self.remove_source) && Protection::VerifyBeforeRemove.is_on()
    }
}

/// Compares an output, which is read again, with its source.
pub(crate) type Reread<'a> = &'a dyn Fn(&mut Source) -> Result<(), Error>;

/// Where the bytes go while a run lasts.
pub(crate) enum Sink {
    File(PendingFile),
    Stream(Stream),
    /// Into one of the others, as text.
    Armored(Box<Armored>),
    /// What comes is not wanted, only that it could come.
    Nowhere,
}

impl Sink {
    /// Makes everything ready for writing, and refuses early what could only
    /// fail in the end.
    pub(crate) fn open(
        target: &Target,
        source: &Source,
        options: CommitOptions,
    ) -> Result<Self, Error> {
        let is_removable = || target.path().is_some() && source.is_removable();
        if options.remove_source && !is_removable() {
            return Err(Error::NotRemovable { path: source.path().to_owned() });
        }
        let (mode, lacks_acl) = source.output_mode();
        let permissions = match (options.follow_mode, options.keep_mode) {
            (true, _) => Permissions::Following(mode),
            (false, true) => Permissions::Exactly(mode),
            (false, false) => Permissions::AsNewFile(mode),
        };
        if options.verify && !(target.path().is_some() && source.is_file()) {
            return Err(Error::NotVerifiable { path: source.path().to_owned() });
        }
        match target.open(source, permissions)? {
            // A file that is only written, and in order, cannot be read before it is closed.
            Self::File(pending) if options.verifies() && pending.is_in_order() => {
                Err(Error::NotVerifiable { path: source.path().to_owned() })
            }
            Self::Stream(_) if options.remove_source => {
                Err(Error::NotRemovable { path: source.path().to_owned() })
            }
            Self::Stream(_) if options.verify => {
                Err(Error::NotVerifiable { path: source.path().to_owned() })
            }
            Self::File(mut pending) => {
                pending.lacks_acl = lacks_acl;
                Ok(Self::File(pending))
            }
            sink => Ok(sink),
        }
    }

    /// A pipe that is open already.
    pub(crate) fn pipe(pipe: OwnedFd, path: PathBuf) -> Self {
        target::stream(File::from(pipe), path, false)
    }

    /// The same, through an armor.
    pub(crate) fn armored(self) -> Self {
        Self::Armored(Box::new(Armored::new(self)))
    }

    /// Whether it takes its bytes in order only.
    pub(crate) fn is_in_order(&self) -> bool {
        match self {
            Self::File(pending) => pending.is_in_order(),
            Self::Stream(_) | Self::Armored(_) => true,
            Self::Nowhere => false,
        }
    }

    /// Whether it is a file, as it is or through an armor, that takes its bytes in order
    /// only.
    pub(crate) fn is_in_order_file(&self) -> bool {
        match self {
            Self::File(pending) => pending.is_in_order(),
            Self::Armored(armored) => armored.sink().is_in_order_file(),
            Self::Stream(_) | Self::Nowhere => false,
        }
    }

    /// Whether the output ends in a stream.
    pub(crate) fn is_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Armored(armored) => armored.sink().is_stream(),
            Self::File(_) | Self::Nowhere => false,
        }
    }

    /// Is told how long the output will be in the end.
    pub(crate) fn expect(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.reserve(len),
            Self::Armored(armored) => armored.sink().expect(armored_len(len)),
            Self::Stream(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Puts `bytes` at `offset` of the output. Streams and armors take them only
    /// in order.
    pub(crate) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.write_at(offset, bytes),
            Self::Stream(stream) => stream.write(offset, bytes),
            Self::Armored(armored) => armored.write(offset, bytes),
            Self::Nowhere => Ok(()),
        }
    }

    /// The same for `len` bytes of `region`, from `from` on, where they come in
    /// order.
    pub(crate) fn put_from(
        &mut self,
        offset: u64,
        region: &Region,
        from: usize,
        len: usize,
    ) -> Result<(), Error> {
        match self {
            Self::Stream(stream) => stream.write_from(offset, region, from, len),
            Self::Armored(armored) => armored.write_from(offset, region, from, len),
            Self::File(_) | Self::Nowhere => Err(Error::Internal("an output without an order")),
        }
    }

    /// Refuses a file that has not become `len` bytes long: a worker says that it
    /// has written a segment, and this is what main can see of it.
    pub(crate) fn check_len(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.check_len(len),
            // Main has written those itself.
            Self::Stream(_) | Self::Armored(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Ends a run: unless the input has changed, a file gets its permission
    /// bits and its name, and the source goes if it is to go. Before that `reread` is
    /// asked about what has been written, where that was wanted.
    pub(crate) fn commit(
        self,
        source: &Source,
        options: CommitOptions,
        reread: Option<Reread<'_>>,
    ) -> Result<Dropped, Error> {
        source.check_unchanged()?;
        match self {
            Self::Armored(armored) => armored.finish()?.commit(source, options, reread),
            Self::File(mut pending) => {
                if options.sync || options.remove_source {
                    pending.require_durability();
                }
                if let Some(reread) = reread.filter(|_| options.verifies()) {
                    let written = Source::of_output(pending.reopen()?, pending.path())?;
                    let mut written = written.parsed_by(source.parser());
                    reread(&mut written)?;
                    // What it was compared with is what was read.
                    source.check_unchanged()?;
                } else if options.verifies() {
                    return Err(Error::Internal("an output that cannot be read again"));
                }
                let has_times = !options.keep_times
                    || !source.is_regular()
                    || pending.set_times(&source.times())?;
                // As with cp(1), one that is only made like it has no lists to lose.
                let acl = pending.lacks_acl && options.keep_mode;
                let has_mode = pending.commit(options.sync || options.remove_source)?;
                if options.remove_source {
                    source.remove()?;
                }
                Ok(Dropped { times: !has_times, mode: !has_mode, acl })
            }
            Self::Stream(stream) if options.sync => stream.sync().map(|()| Dropped::default()),
            Self::Stream(_) | Self::Nowhere => Ok(Dropped::default()),
        }
    }

    /// The output's name for messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(pending) => pending.path(),
            Self::Stream(stream) => &stream.path,
            Self::Armored(armored) => armored.sink().path(),
            Self::Nowhere => Path::new("nowhere"),
        }
    }
}

/// A pipe, a terminal, a device: what was written cannot be taken back.
pub(crate) struct Stream {
    file: File,
    path: PathBuf,
    position: u64,
    /// Refuses what is not text, where that is wanted.
    text: Option<TextCheck>,
}

impl Stream {
    fn new(file: File, path: PathBuf, only_text: bool) -> Self {
        Self { file, path, position: 0, text: only_text.then(TextCheck::default) }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
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
    fn sync(&self) -> Result<(), Error> {
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
