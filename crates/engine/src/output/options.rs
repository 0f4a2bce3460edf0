//! What happens to a finished output.

use cryptstream_protection::Protection;

/// What happens to a finished output before and after it gets its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// Make content and name durable (`fsync`). Replacing a file and removing the source
    /// imply it.
    pub sync: bool,
    /// Remove the source once the output is durable and has its name.
    pub remove_source: bool,
    /// Read the output again and compare it with the source before it gets its name.
    /// Removing the source implies it.
    pub verify: bool,
    /// Give the output the times of its source.
    pub keep_times: bool,
    /// Give the output the permission bits of its source, regardless of the umask.
    pub keep_mode: bool,
    /// As `keep_mode`, even if the file that is replaced has fewer permission bits.
    pub follow_mode: bool,
}

/// Attributes that the output should have got from its source, and does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostAttributes {
    /// The file system does not store the times.
    pub times: bool,
    /// The file system does not store the permission bits.
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
