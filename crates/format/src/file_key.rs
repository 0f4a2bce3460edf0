//! The file key.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::{self, RandomError};

/// The 16 random bytes from which all keys of a file are derived.
///
/// Each file has its own: a second payload under the same file key and salt would reuse nonces.
/// The security level is 128 bits, as in age. The bytes are zeroized on drop, and `Debug` does not
/// print them.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; Self::LEN]>);

impl FileKey {
    /// The length of a file key in bytes.
    pub const LEN: usize = 16;

    /// Generates a file key with the random number generator of the operating system.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut key = Zeroizing::new([0; Self::LEN]);
        crypto::fill_random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// A file key that was unwrapped elsewhere, for example by a plugin.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes of the key, for wrapping them in another type of stanza.
    #[must_use]
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}
