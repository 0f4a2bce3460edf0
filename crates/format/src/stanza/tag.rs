//! The types of stanzas that the two formats know.

pub(super) const X25519: &str = "X25519";
pub(super) const ARGON2ID: &str = "argon2id";
/// The stanza that fills the header up and carries no key.
pub(crate) const PAD: &str = "pad";
/// The same in an age header, where it is a type like any that a reader does
/// not know.
pub(crate) const AGE_PAD: &str = "cryptstream-pad";
/// age's passphrase stanza.
pub(super) const SCRYPT: &str = "scrypt";
pub(super) const SSH_ED25519: &str = "ssh-ed25519";
pub(super) const SSH_RSA: &str = "ssh-rsa";
pub(super) const POST_QUANTUM: &str = "mlkem768x25519";
