//! The types of stanzas that the two formats know.

pub(super) const X25519: &str = "X25519";
pub(super) const ARGON2ID: &str = "argon2id";
/// The padding stanza, which carries no key.
pub(crate) const PAD: &str = "pad";
/// The padding stanza in an age header, which other readers do not know and ignore.
pub(crate) const AGE_PAD: &str = "cryptstream-pad";
/// age's passphrase stanza.
pub(super) const SCRYPT: &str = "scrypt";
pub(super) const SSH_ED25519: &str = "ssh-ed25519";
pub(super) const SSH_RSA: &str = "ssh-rsa";
pub(super) const POST_QUANTUM: &str = "mlkem768x25519";
