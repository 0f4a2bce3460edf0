//! What the manual says that is no help of a command.

/// What all pages belong to.
pub(crate) const TITLE: &str = "CryptStream manual";

/// The heading of what stands under none.
pub(crate) const NOTES: &str = "NOTES";
pub(crate) const SEE_ALSO: &str = "SEE ALSO";
