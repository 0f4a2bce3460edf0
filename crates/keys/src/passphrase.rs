//! Passphrases: read from a file, or generated.

use zeroize::Zeroizing;

use crate::text;

/// The words of generated passphrases, one per line, below a comment. There are 2,048, so 11 random
/// bits choose one without bias.
const WORDS: &str = include_str!("words.txt");
/// Random bits per word.
const WORD_BITS: usize = 11;
/// Ten words have 110 bits, as in age.
const WORD_COUNT: usize = 10;
/// The length of the longest word.
const MAX_WORD_LEN: usize = 8;

/// The maximum length in bytes: far more than anyone types, and less than most files that are given
/// by mistake.
const MAX_LEN: usize = 64 << 10;

/// Why bytes are not a valid passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// It is empty.
    #[error("the passphrase is empty")]
    Empty,
    /// Longer than 64 KiB.
    #[error("the passphrase is longer than 64 KiB; is this the right file?")]
    TooLong,
}

/// Why a passphrase may differ from what the user types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassphraseWarning {
    /// It starts with the byte order mark of UTF-8.
    ByteOrderMark,
    /// It is UTF-16 text.
    Utf16,
    /// It contains a NUL byte.
    Nul,
    /// It has more than one line.
    SeveralLines,
    /// It has characters that Unicode may encode in two ways.
    NotAscii,
}

/// A passphrase; zeroized on drop, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// How much of a file to read, so that a passphrase that is too long is recognized.
    pub const READ_LEN: usize = MAX_LEN + 2;

    /// Uses bytes unchanged: any encoding, any whitespace.
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

    /// Uses the content of a file, without one trailing newline (LF or CR LF).
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

    /// Generates a passphrase of 110 random bits: ten English words, which can be
    /// read over the telephone.
    ///
    /// # Errors
    /// If the operating system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; 2 * WORD_COUNT]);
        getrandom::fill(random.as_mut_slice())?;
        let mut text = Zeroizing::new(Vec::with_capacity(WORD_COUNT * (MAX_WORD_LEN + 1)));
        for pair in random.chunks_exact(2) {
            let number = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % (1 << WORD_BITS);
            if !text.is_empty() {
                text.push(b'-');
            }
            text.extend_from_slice(words().nth(number).unwrap_or_default().as_bytes());
        }
        Ok(Self(text))
    }

    /// What the user should be warned about.
    #[must_use]
    pub fn warning(&self) -> Option<PassphraseWarning> {
        let bytes = self.0.as_slice();
        let holds = |wanted: &[u8]| bytes.iter().any(|byte| wanted.contains(byte));
        if text::is_utf16(bytes) {
            Some(PassphraseWarning::Utf16)
        } else if bytes.starts_with(text::MARK) {
            Some(PassphraseWarning::ByteOrderMark)
        } else if holds(b"\0") {
            Some(PassphraseWarning::Nul)
        } else if holds(b"\r\n") {
            Some(PassphraseWarning::SeveralLines)
        } else {
            (!bytes.is_ascii()).then_some(PassphraseWarning::NotAscii)
        }
    }

    /// The passphrase itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes without copying them.
    #[must_use]
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.lines().filter(|line| !line.starts_with('#'))
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
    fn what_cannot_be_typed_is_noticed() {
        let warning = |bytes: &[u8]| {
            Passphrase::from_file_content(Zeroizing::new(bytes.to_vec())).unwrap().warning()
        };
        for good in [&b"word\n"[..], b"two words", b"tab\t"] {
            assert_eq!(warning(good), None);
        }
        for (bytes, odd) in [
            (&b"\xef\xbb\xbfword\n"[..], PassphraseWarning::ByteOrderMark),
            (b"\xff\xfew\0o\0\n\0", PassphraseWarning::Utf16),
            (b"w\0o\0r\0d\0", PassphraseWarning::Utf16),
            (b"wo\0rd", PassphraseWarning::Nul),
            (b"word\nanother\n", PassphraseWarning::SeveralLines),
            (b"word\n\n", PassphraseWarning::SeveralLines),
            ("stra\u{df}e".as_bytes(), PassphraseWarning::NotAscii),
        ] {
            assert_eq!(warning(bytes), Some(odd), "{bytes:?}");
        }
    }

    #[test]
    fn generated_passphrases_are_ten_words_and_different() {
        let one = Passphrase::generate().unwrap();
        let other = Passphrase::generate().unwrap();
        assert_ne!(one.expose(), other.expose());
        let text = std::str::from_utf8(one.expose()).unwrap();
        assert_eq!(text.split('-').count(), WORD_COUNT);
        assert!(text.split('-').all(|word| words().any(|known| known == word)), "{text}");
    }

    #[test]
    fn there_are_as_many_words_as_bits_choose_and_four_letters_tell_them_apart() {
        assert_eq!(words().count(), 1 << WORD_BITS);
        assert!(words().all(|word| (3..=MAX_WORD_LEN).contains(&word.len())));
        assert!(words().all(|word| word.bytes().all(|letter| letter.is_ascii_lowercase())));
        let beginnings: std::collections::BTreeSet<_> =
            words().map(|word| &word[..word.len().min(4)]).collect();
        assert_eq!(beginnings.len(), 1 << WORD_BITS);
    }
}
