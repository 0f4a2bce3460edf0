//! Passphrases: what is taken from a file, and what is made up.

use zeroize::Zeroizing;

/// Letters and digits that cannot be taken for one another (no i, l, o, 0).
/// There are 32, so five random bits choose one without bias.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
const GROUPS: usize = 5;
const GROUP_LEN: usize = 5;

/// The longest passphrase that is taken: far more than anyone types, and less
/// than a file that was named by mistake.
const MAX_LEN: usize = 64 << 10;

/// Why bytes are not a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// There is none.
    #[error("the passphrase is empty")]
    Empty,
    /// Longer than 64 KiB.
    #[error("the passphrase is longer than 64 KiB; is this the right file?")]
    TooLong,
}

/// A passphrase; zeroized on drop, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Bytes that a caller needs to read to tell a passphrase from one that
    /// is too long.
    pub const READ_LEN: usize = MAX_LEN + 2;

    /// Takes bytes as they are: any encoding, any white space.
    ///
    /// # Errors
    /// See [`PassphraseError`].
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, PassphraseError> {
        match bytes.len() {
            0 => Err(PassphraseError::Empty),
            1..=MAX_LEN => Ok(Self(bytes)),
            _ => Err(PassphraseError::TooLong),
        }
    }

    /// Takes the content of a file, less one newline (LF or CR LF) at its end.
    ///
    /// # Errors
    /// See [`PassphraseError`].
    pub fn from_file_content(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, PassphraseError> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Self::new(bytes)
    }

    /// Makes up a passphrase of 125 random bits, in five groups of five
    /// characters.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; GROUPS * GROUP_LEN]);
        getrandom::fill(random.as_mut_slice())?;
        let mut text = Zeroizing::new(Vec::with_capacity(random.len() + GROUPS));
        for (index, byte) in random.iter().enumerate() {
            if index > 0 && index % GROUP_LEN == 0 {
                text.push(b'-');
            }
            text.push(ALPHABET[usize::from(byte & 31)]);
        }
        Ok(Self(text))
    }

    /// The passphrase itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Gives the bytes away, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Result<Vec<u8>, PassphraseError> {
        let passphrase = Passphrase::from_file_content(Zeroizing::new(bytes.to_vec()))?;
        Ok(passphrase.expose().to_vec())
    }

    #[test]
    fn one_trailing_newline_is_dropped() {
        assert_eq!(content(b"word\n"), Ok(b"word".to_vec()));
        assert_eq!(content(b"word\r\n"), Ok(b"word".to_vec()));
        assert_eq!(content(b"word\n\n"), Ok(b"word\n".to_vec()));
        assert_eq!(content(b" word "), Ok(b" word ".to_vec()));
        assert_eq!(content(b"\xff\x00"), Ok(b"\xff\x00".to_vec()));
        assert_eq!(content(b"\n"), Err(PassphraseError::Empty));
        assert_eq!(content(&[b'x'; MAX_LEN + 1]), Err(PassphraseError::TooLong));
        assert_eq!(content(&[&[b'x'; MAX_LEN][..], b"\r\n"].concat()).unwrap().len(), MAX_LEN);
    }

    #[test]
    fn generated_passphrases_are_long_readable_and_different() {
        let one = Passphrase::generate().unwrap();
        let other = Passphrase::generate().unwrap();
        assert_eq!(one.expose().len(), 29);
        assert_ne!(one.expose(), other.expose());
        let is_readable = |byte: &u8| *byte == b'-' || ALPHABET.contains(byte);
        assert!(one.expose().iter().all(is_readable));
    }
}
