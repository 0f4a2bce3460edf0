//! Where the bytes go: into a file that has no name yet, a stream, or the text of an armor
//! in either.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use cryptstream_format::armor::armored_len;
use cryptstream_shm::Region;

use super::armored::{Armored, TextOutput};
use super::object::OutputObject;
use super::options::{CommitOptions, LostAttributes};
use super::pending::PendingFile;
use super::reread::Reread;
use super::stream::Stream;
use crate::data_file::Caching;
use crate::{Error, Progress, Source};

/// Where the bytes go while a run lasts.
pub(crate) enum Sink {
    File(Box<PendingFile>),
    Stream(Stream),
    Object(OutputObject),
    /// Into one of the others, as text.
    Armored(Box<Armored<Self>>),
    /// Nowhere: the input is only verified.
    Nowhere,
}

impl Sink {
    /// A pipe that is open already.
    pub(crate) fn pipe(pipe: OwnedFd, path: PathBuf) -> Self {
        Self::Stream(Stream::new(File::from(pipe), path, false))
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
            Self::Object(_) | Self::Nowhere => false,
        }
    }

    /// Whether it is a file, as it is or through an armor, that takes its bytes in order
    /// only.
    pub(crate) fn is_in_order_file(&self) -> bool {
        match self {
            Self::File(pending) => pending.is_in_order(),
            Self::Armored(armored) => armored.sink().is_in_order_file(),
            Self::Stream(_) | Self::Object(_) | Self::Nowhere => false,
        }
    }

    /// Whether the output ends in a stream.
    pub(crate) fn is_stream(&self) -> bool {
        match self {
            Self::Stream(_) => true,
            Self::Armored(armored) => armored.sink().is_stream(),
            Self::File(_) | Self::Object(_) | Self::Nowhere => false,
        }
    }

    /// How what is written to a file passes through the page cache from now on.
    pub(crate) fn set_caching(&mut self, caching: Caching) {
        match self {
            Self::File(pending) => pending.set_caching(caching),
            Self::Armored(armored) => armored.sink_mut().set_caching(caching),
            Self::Stream(_) | Self::Object(_) | Self::Nowhere => {}
        }
    }

    /// Says how long the output will be.
    pub(crate) fn expect(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.reserve(len),
            Self::Armored(armored) => armored.sink().expect(armored_len(len)),
            Self::Object(object) => object.expect(len),
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
            Self::Object(object) => object.write_at(offset, bytes),
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
            Self::File(_) | Self::Object(_) | Self::Nowhere => {
                Err(Error::Internal("an output without an order"))
            }
        }
    }

    /// Asks for room for `len` bytes at `offset`, for others to write them. Returns `false` if,
    /// without `may_wait`, it would have to be waited for.
    pub(crate) fn reserve(&self, offset: u64, len: usize, may_wait: bool) -> Result<bool, Error> {
        match self {
            Self::Object(object) => object.reserve(offset, len, may_wait),
            Self::File(_) | Self::Stream(_) | Self::Armored(_) | Self::Nowhere => Ok(true),
        }
    }

    /// Says that others have written `len` bytes at `offset`.
    pub(crate) fn written(&self, offset: u64, len: usize) -> Result<(), Error> {
        match self {
            Self::Object(object) => object.written(offset, len),
            Self::File(_) | Self::Stream(_) | Self::Armored(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Waits until what was written is in the store, if it goes to one.
    pub(crate) fn drain(&self, progress: &dyn Progress) -> Result<(), Error> {
        match self {
            Self::Object(object) => object.drain(progress),
            Self::Armored(armored) => armored.sink().drain(progress),
            Self::File(_) | Self::Stream(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Refuses a file that has not become `len` bytes long: a worker says that it
    /// has written a segment, and this is what main can see of it.
    pub(crate) fn check_len(&self, len: u64) -> Result<(), Error> {
        match self {
            Self::File(pending) => pending.check_len(len),
            Self::Object(object) => object.check_len(len),
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
    ) -> Result<LostAttributes, Error> {
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
                source.drop_rest();
                Ok(LostAttributes { times: !has_times, mode: !has_mode, acl })
            }
            Self::Object(object) => {
                let written = object.commit()?;
                if let Some(reread) = reread.filter(|_| options.verifies()) {
                    written.check(source, reread)?;
                    source.check_unchanged()?;
                } else if options.verifies() {
                    return Err(Error::Internal("an output that cannot be read again"));
                }
                if options.remove_source {
                    source.remove()?;
                }
                source.drop_rest();
                Ok(LostAttributes::default())
            }
            Self::Stream(stream) if options.sync => {
                stream.sync().map(|()| LostAttributes::default())
            }
            Self::Stream(_) | Self::Nowhere => {
                source.drop_rest();
                Ok(LostAttributes::default())
            }
        }
    }

    /// The output's name for messages.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(pending) => pending.path(),
            Self::Stream(stream) => stream.path(),
            Self::Object(object) => object.path(),
            Self::Armored(armored) => armored.sink().path(),
            Self::Nowhere => Path::new("nowhere"),
        }
    }
}

impl TextOutput for Sink {
    fn is_stream(&self) -> bool {
        Self::is_stream(self)
    }

    fn put(&mut self, offset: u64, text: &[u8]) -> Result<(), Error> {
        Self::put(self, offset, text)
    }
}
