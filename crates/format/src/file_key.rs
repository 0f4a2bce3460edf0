//! The key that everything in one file hangs on.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::{self, RandomError};

/// The 16 random bytes from which all keys of one file are derived.
///
/// A file key is drawn for one file and never used for a second one: chunk
/// nonces are counted from it, so a second payload under the same file key
/// and salt would reuse them. The security level of the format is therefore
/// 128 bits, as in age. The bytes are zeroized on drop and never printed.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; Self::LEN]>);

impl FileKey {
    /// Length of a file key in bytes.
    pub const LEN: usize = 16;

    /// Draws a fresh file key from the operating system.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, RandomError> {
        let mut key = Zeroizing::new([0; Self::LEN]);
        crypto::fill_random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes a file key that was unwrapped elsewhere, such as by a plugin.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key itself, for wrapping it in a stanza of one's own.
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
