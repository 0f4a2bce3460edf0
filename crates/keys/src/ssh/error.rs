//! Why an SSH key cannot be used.

/// Why an SSH key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Damaged, or cut off.
    #[error("this SSH key is damaged or cut off")]
    Invalid,
    /// An RSA key that is too small to protect anything, or absurdly large.
    #[error("this RSA key has {0} bits; encrypting needs 2048 to 16384")]
    Size(usize),
    /// A point that makes the shared secret public.
    #[error("this ssh-ed25519 key is a low-order point, which protects nothing")]
    LowOrder,
    /// A type that age does not support, such as ECDSA or a key on a token.
    #[error("keys of the kind {0} cannot be used; of SSH keys, only ssh-ed25519 and ssh-rsa can")]
    Kind(String),
    /// Encrypted with an unsupported cipher.
    #[error("this key is encrypted with {0}, which is not supported")]
    Cipher(String),
    /// The same for keys written by openssl.
    #[error("this key is encrypted with {0}, which is not supported")]
    Scheme(String),
    /// Checking one passphrase would take minutes to hours.
    #[error(
        "this key uses {0} rounds of bcrypt, more than the 16384 that are allowed: checking a \
         passphrase would take minutes to hours"
    )]
    Rounds(u32),
    /// The same for PKCS #8.
    #[error("this key's passphrase derivation would take minutes to hours, or too much memory")]
    Costly,
}
