//! Words of the manual that are not from the help.

/// The title of all pages.
pub(crate) const TITLE: &str = "CryptStream manual";

pub(crate) const SYNOPSIS: &str = "SYNOPSIS";
/// The heading for text without one.
pub(crate) const NOTES: &str = "NOTES";
pub(crate) const SEE_ALSO: &str = "SEE ALSO";
