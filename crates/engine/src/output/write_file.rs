//! Small files, written whole or not at all.

use std::path::Path;

use super::permissions::Permissions;
use super::target::write_small;
use crate::Error;

/// Writes a small new file that only its owner may read, all of it or nothing; or to the
/// pipe, device or open descriptor that `path` names.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    write_small(path, content, false, Permissions::Private, true)
}

/// Writes a small file with the permission bits that new files usually get,
/// all of it or nothing. With `may_replace`, what stands there is replaced. Pipes, devices
/// and open descriptors are written to.
///
/// # Errors
/// [`Error::OutputExists`] and the other errors of an output.
pub fn write_public(path: &Path, content: &[u8], may_replace: bool) -> Result<(), Error> {
    write_small(path, content, may_replace, Permissions::AsNewFile(0o666), false)
}
