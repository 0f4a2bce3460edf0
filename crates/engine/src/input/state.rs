//! What an input is besides its bytes: its permission bits and times for the output,
//! and whether it still is what was opened.

use std::fs::File;
use std::path::Path;

use cryptstream_beneath::{
    FileId, KnownFile, has_same_content, has_stable_inodes, mode_without_acl, times_of,
    uncached_stat,
};
use rustix::fs::Timestamps;

use super::source::Source;
use crate::{Error, ObjectAttributes};

impl Source {
    /// The permission bits for the output: the input's own, or what new files usually
    /// have where the input is no file. The umask is not taken off. Also whether the
    /// input has an access control list.
    #[must_use]
    pub fn output_mode(&self) -> (u32, bool) {
        if self.is_regular() {
            return mode_without_acl(&self.file, self.stat.st_mode);
        }
        (self.piped.as_ref().map_or(0o666, |end| end.mode), false)
    }

    /// When it was read and changed last, as it was when it was opened.
    pub(crate) fn times(&self) -> Timestamps {
        times_of(&self.stat)
    }

    /// When a file was last modified, in nanoseconds since 1970; `None` for streams.
    #[must_use]
    pub fn modified(&self) -> Option<i64> {
        let nanoseconds = i64::try_from(self.stat.st_mtime_nsec).ok()?;
        let seconds = self.stat.st_mtime.checked_mul(1_000_000_000)?;
        seconds.checked_add(nanoseconds).filter(|_| self.is_regular())
    }

    /// What a store is to keep of it besides its content.
    pub(crate) fn object_attributes(&self) -> ObjectAttributes {
        let has_mode = self.as_object().map_or(self.is_regular(), |input| input.has_mode());
        let mode = has_mode.then(|| self.output_mode().0 & 0o777);
        ObjectAttributes { modified: self.modified(), mode }
    }

    /// The same file once more, from its beginning. Only what is a file can be read
    /// again.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        if self.is_object() {
            let file = self.file.duplicate(&self.path)?;
            let again = Self::with_data_file(file, self.path.clone(), self.stat, true);
            return Ok(again.parsed_by(&self.parser));
        }
        let file = self.file.try_clone();
        let file = file.map_err(|source| Error::Open { path: self.path.clone(), source })?;
        let mut again =
            Self::new(file, self.path.clone(), self.is_positional)?.parsed_by(&self.parser);
        again.set_caching(self.file.caching());
        Ok(again)
    }

    /// An output that is to be read again.
    pub(crate) fn of_output(file: File, path: &Path) -> Result<Self, Error> {
        Self::new(file, path.to_owned(), true)
    }

    /// Its device and number.
    pub(crate) fn id(&self) -> FileId {
        FileId::of(&self.stat)
    }

    /// What it can be recognized by, wherever it turns up.
    #[must_use]
    pub fn known(&self) -> KnownFile {
        KnownFile::of(&self.file, &self.stat)
    }

    /// From now on all that is taken from the file is authenticated. So it need not be
    /// believed that it has changed where only its time tells that, and the file system
    /// tells times as it likes: some give a file another one when it has been uploaded.
    pub(crate) fn set_authenticated(&mut self) {
        self.is_authenticated = true;
    }

    /// Fails if the file is not the one that was opened any more.
    pub(crate) fn check_unchanged(&self) -> Result<(), Error> {
        // Each request for an object says which one is meant.
        if !self.is_regular() || self.is_object() {
            return Ok(());
        }
        let now = rustix::fs::fstat(&self.file).map_err(|source| Error::Read {
            path: self.path.clone(),
            offset: self.position,
            source: source.into(),
        })?;
        let now = uncached_stat(&self.file, now);
        let is_as_it_was = match self.is_authenticated && !has_stable_inodes(&self.file, now.st_dev)
        {
            true => now.st_size == self.stat.st_size,
            false => has_same_content(&self.stat, &now),
        };
        if is_as_it_was { Ok(()) } else { Err(self.changed()) }
    }

    pub(crate) fn changed(&self) -> Error {
        Error::InputChanged { path: self.path.clone() }
    }
}
