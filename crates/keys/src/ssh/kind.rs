//! The types of SSH keys that age supports.

use super::error::SshError;
use super::wire;

pub(super) const ED25519: &str = "ssh-ed25519";
pub(super) const RSA: &str = "ssh-rsa";

/// The type of a public key, if age supports it.
pub(super) fn check_kind(blob: &[u8]) -> Result<&'static str, SshError> {
    let kind = wire::kind(blob).ok_or(SshError::Invalid)?;
    let known = [ED25519, RSA].into_iter().find(|known| known.as_bytes() == kind);
    known.ok_or_else(|| SshError::Kind(wire::printable(kind)))
}
