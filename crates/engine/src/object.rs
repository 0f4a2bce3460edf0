//! Inputs and outputs that are not files of this system, such as objects in stores.
//!
//! Each has a file in memory that is as long as the object and has no content at first. What is
//! needed of an input is fetched into it, at the same offsets. What is written to it of an output
//! is sent away, and its memory given back. So workers read and write an object as they do a file,
//! and only the part that is being worked on takes memory.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// An input whose content is fetched when it is needed.
///
/// Errors are [`io::Error`]s; if they hold an [`ObjectError`], it says what can be done.
pub trait ObjectInput: Send + Sync + Debug {
    /// The file in memory. It has the object's length. Of its content only what was fetched, and
    /// was not released since, is there.
    fn file(&self) -> &File;

    /// What the store tells of the object besides its content.
    fn attributes(&self) -> ObjectAttributes;

    /// Says that everything from this byte on will be needed in order, and may be fetched before
    /// it is asked for.
    fn read_ahead(&self, from: u64);

    /// Makes sure that the bytes in `range` are in the file, as far as the object is that long.
    /// Returns `false` if, without `may_wait`, they would have to be waited for; they are
    /// requested then.
    ///
    /// # Errors
    /// Those of the store. If the object is no longer the one that was opened, an error of the
    /// kind [`ObjectErrorKind::Changed`].
    fn fetch(&self, range: Range<u64>, may_wait: bool) -> io::Result<bool>;

    /// Gives back the memory of the bytes in `range`. They can be fetched again.
    fn release(&self, range: Range<u64>);

    /// Whether [`Self::remove`] is possible: the store has told how to recognize the object.
    fn is_removable(&self) -> bool;

    /// Removes the object, if it still is the one that was opened.
    ///
    /// # Errors
    /// Those of the store. [`ObjectErrorKind::Changed`] if there is another object now, which
    /// stays.
    fn remove(&self) -> io::Result<()>;
}

/// An output that is sent away while it is written. If it is dropped before it is
/// [finished](Self::finish), there is no object.
///
/// Errors are as for [`ObjectInput`].
pub trait ObjectOutput: Send + Sync + Debug {
    /// The file in memory to write to.
    fn file(&self) -> &File;

    /// Says what the store is to keep besides the content. Comes before anything is written.
    fn set_attributes(&self, attributes: ObjectAttributes);

    /// Says how long the object will be. Comes before anything is written, or not at all.
    ///
    /// # Errors
    /// If it cannot be that long.
    fn expect(&self, len: u64) -> io::Result<()>;

    /// Says how long the object will be that replaces another one. Returns from which byte on
    /// [`Self::copy`] can make it; those before must be written. `None` if all must.
    ///
    /// # Errors
    /// If it cannot be that long.
    fn expect_copy(&self, len: u64) -> io::Result<Option<u64>> {
        self.expect(len).map(|()| None)
    }

    /// Has the store copy what is to be in `to` from the object that this one replaces, where it
    /// begins at `from`. `done` is told how many bytes were copied. Returns up to where they
    /// were: not at all if the store cannot do that.
    ///
    /// # Errors
    /// Those of the store.
    fn copy(&self, from: u64, to: Range<u64>, done: &dyn Fn(u64)) -> io::Result<u64> {
        let _ = (from, done);
        Ok(to.start)
    }

    /// Asks for room to write the bytes in `range`, of which there is little. Returns `false` if,
    /// without `may_wait`, it would have to be waited for.
    ///
    /// # Errors
    /// Those of the store for what was written before.
    fn reserve(&self, range: Range<u64>, may_wait: bool) -> io::Result<bool>;

    /// Says that the bytes in `range` are written.
    ///
    /// # Errors
    /// Those of the store for what was written before.
    fn written(&self, range: Range<u64>) -> io::Result<()>;

    /// Waits for what is on its way to the store, but not for longer than `time`. Returns whether
    /// nothing is.
    ///
    /// # Errors
    /// Those of the store.
    fn drain(&self, time: Duration) -> io::Result<bool>;

    /// Waits until everything is in the store, and then makes it an object of `len` bytes.
    ///
    /// # Errors
    /// Those of the store. [`ObjectErrorKind::Exists`] if there is an object of this name that
    /// must not be replaced.
    fn finish(&self, len: u64) -> io::Result<()>;

    /// Opens the object that was finished, to read it back.
    ///
    /// # Errors
    /// Those of the store. [`ObjectErrorKind::Changed`] if there is another object now.
    fn reopen(&self) -> io::Result<Arc<dyn ObjectInput>>;
}

/// What a store keeps of a file besides its content. It is not authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectAttributes {
    /// When the file was last modified, in nanoseconds since 1970.
    pub modified: Option<i64>,
    /// The file's permission bits.
    pub mode: Option<u32>,
}

/// Why a store has not done what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectErrorKind {
    /// There is no such object or bucket.
    NotFound,
    /// The credentials are missing or wrong, or do not suffice.
    Denied,
    /// There is an object of this name already.
    Exists,
    /// The object was replaced while it was read.
    Changed,
    /// The store could not be reached or is overloaded.
    Unavailable,
    /// The settings of the store are wrong.
    Settings,
    /// The store cannot do that.
    Unsupported,
    /// Anything else.
    Other,
}

/// An error of an object store.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ObjectError {
    /// What kind of error it is.
    pub kind: ObjectErrorKind,
    /// What happened, in words.
    pub message: String,
    /// The request that has failed, if it was sent.
    pub request: Option<Box<StoreRequest>>,
}

/// A request that a store has refused or not answered. What the store says is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreRequest {
    /// What was asked for, by its name in the documentation of S3, such as `GetObject`.
    pub operation: String,
    /// The status of the answer (RFC 9110, section 15), if there was one.
    pub status: Option<u16>,
    /// The store's code of the error, such as `AccessDenied`.
    pub code: Option<String>,
    /// By which the store knows the request.
    pub request_id: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// The region that the bucket is in.
    pub region: Option<String>,
    /// How far the store's clock is ahead of that of this machine, in seconds.
    pub clock_ahead: Option<i64>,
    /// What is not permitted, such as `kms:GenerateDataKey`.
    pub action: Option<String>,
}

impl ObjectError {
    /// An error that belongs to no request.
    pub fn new(kind: ObjectErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), request: None }
    }

    /// The error of a store in an error of the system, if it holds one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<ObjectError> for io::Error {
    fn from(error: ObjectError) -> Self {
        let kind = match error.kind {
            ObjectErrorKind::NotFound => io::ErrorKind::NotFound,
            ObjectErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ObjectErrorKind::Exists => io::ErrorKind::AlreadyExists,
            ObjectErrorKind::Changed => io::ErrorKind::StaleNetworkFileHandle,
            ObjectErrorKind::Unavailable => io::ErrorKind::TimedOut,
            ObjectErrorKind::Settings => io::ErrorKind::InvalidInput,
            ObjectErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ObjectErrorKind::Other => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
