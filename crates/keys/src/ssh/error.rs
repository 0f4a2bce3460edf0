//! Why an SSH key cannot be used.

/// Why a text is not an SSH key that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Damaged, or cut off.
    #[error("this SSH key is damaged or cut off")]
    Invalid,
    /// An RSA key that is too small to protect anything, or absurdly large.
    #[error("this RSA key has {0} bits; encrypting needs 2048 to 16384")]
    Size(usize),
    /// A point with which everybody could open the file.
    #[error("this ssh-ed25519 key is a low-order point, which protects nothing")]
    LowOrder,
    /// A kind of key that age has no use for, such as ECDSA or one on a token.
    #[error("keys of the kind {0} cannot be used; of SSH keys only ssh-ed25519 and ssh-rsa")]
    Kind(String),
    /// Protected by a cipher that is not known here.
    #[error("this key is protected with {0}, which is not supported")]
    Cipher(String),
    /// The same in openssl's forms.
    #[error("this key is protected with {0}, which is not supported")]
    Scheme(String),
    /// Protected so that one passphrase takes minutes to hours.
    #[error(
        "this key asks for {0} rounds of bcrypt, more than the 16384 that are allowed: checking a \
         passphrase would take minutes to hours"
    )]
    Rounds(u32),
    /// The same in PKCS #8.
    #[error("this key asks for a key derivation that takes minutes to hours, or too much memory")]
    Costly,
}
