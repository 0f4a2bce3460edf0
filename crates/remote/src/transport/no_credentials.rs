//! The error that there are no credentials.

/// Why there are no credentials, in words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoCredentials(pub(super) String);
