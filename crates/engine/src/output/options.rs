//! How an output ends.

use cryptstream_protection::Protection;

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
