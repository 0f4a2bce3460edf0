//! Writes small files, completely or not at all.

use std::path::Path;

use super::permissions::Permissions;
use super::target::write_small;
use crate::Error;

/// Writes a small new file that only its owner may read, completely or not at all. If `path`
/// is a pipe, a device or an open descriptor, writes to that.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    write_small(path, content, false, Permissions::Private, true)
}

/// Writes a small file with the permission bits of a new file, completely or not at all. With
/// `may_replace` it replaces an existing file. Pipes, devices and open descriptors are
/// written to.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_public(path: &Path, content: &[u8], may_replace: bool) -> Result<(), Error> {
    write_small(path, content, may_replace, Permissions::AsNewFile(0o666), false)
}
