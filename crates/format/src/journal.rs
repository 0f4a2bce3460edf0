//! The undo journal for replacing a header in place. A program writes it beside the file before it
//! overwrites the header, and uses it to restore the old header after an interruption.
//!
//! ```text
//! `cryptstream-rekey/v1` LF       21 bytes
//! length of the file              8, little-endian
//! length of the header            8, little-endian
//! length of the payload's prefix  8, little-endian
//! the old header
//! the payload's prefix
//! SHA-256 of the new header       32
//! SHA-256 of all before           32
//! ```
//!
//! It holds no secret, and it need not be trusted: a header from it is used only after
//! [`Header::unlock`] has verified its MAC, and the prefix identifies the payload.

use crate::crypto::sha256;
use crate::{Format, Header};

const MAGIC: &[u8] = b"cryptstream-rekey/v1\n";
const HASH_LEN: usize = 32;
const NUMBER_LEN: usize = 8;

/// An undo journal for replacing a header in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    file_len: u64,
    old_header: Vec<u8>,
    prefix: Vec<u8>,
    new_header_hash: [u8; HASH_LEN],
}

/// The state of the header of a file, compared with its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderState {
    /// The old header: replacing it had not begun.
    Old,
    /// The new header: replacing it was complete.
    New,
    /// Neither: replacing it was interrupted.
    Torn,
}

impl Journal {
    /// The longest journal in bytes.
    pub const MAX_LEN: usize =
        MAGIC.len() + 3 * NUMBER_LEN + Format::Age.max_header_len() + 64 + 2 * HASH_LEN;

    /// The journal for replacing `old_header` by `new_header`, which has the same length, in a file
    /// of `file_len` bytes. `prefix` is the prefix of the payload.
    #[must_use]
    pub fn new(file_len: u64, old_header: &[u8], prefix: &[u8], new_header: &[u8]) -> Self {
        Self {
            file_len,
            old_header: old_header.to_vec(),
            prefix: prefix.to_vec(),
            new_header_hash: sha256(new_header),
        }
    }

    /// Encodes the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { file_len, old_header, prefix, new_header_hash } = self;
        let mut bytes = MAGIC.to_vec();
        for number in [*file_len, old_header.len() as u64, prefix.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(old_header);
        bytes.extend_from_slice(prefix);
        bytes.extend_from_slice(new_header_hash);
        let hash = sha256(&bytes);
        bytes.extend_from_slice(&hash);
        bytes
    }

    /// Parses a journal; `None` if it is invalid or incomplete.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_with(bytes, |header| Header::parse(header).ok()?).map(|(journal, _)| journal)
    }

    /// Like [`Journal::parse`], with a parser for the old header, which is returned too. Everything
    /// else in a journal has a fixed length.
    #[must_use]
    pub fn parse_with(
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Option<Header>,
    ) -> Option<(Self, Header)> {
        let (content, hash) = bytes.split_last_chunk::<HASH_LEN>()?;
        if sha256(content) != *hash {
            return None;
        }
        let mut rest = content.strip_prefix(MAGIC)?;
        let mut numbers = [0; 3];
        for number in &mut numbers {
            let (bytes, after) = rest.split_first_chunk::<NUMBER_LEN>()?;
            (*number, rest) = (u64::from_le_bytes(*bytes), after);
        }
        let [file_len, header_len, prefix_len] = numbers;
        let (old_header, rest) = rest.split_at_checked(usize::try_from(header_len).ok()?)?;
        let (prefix, rest) = rest.split_at_checked(usize::try_from(prefix_len).ok()?)?;
        let new_header_hash = rest.try_into().ok()?;
        let header = parse(old_header)?;
        let is_sound = header.len() == old_header.len()
            && header.format().prefix_len() == prefix.len()
            && file_len >= header_len.checked_add(prefix_len)?;
        let journal = || Self {
            file_len,
            old_header: old_header.to_vec(),
            prefix: prefix.to_vec(),
            new_header_hash,
        };
        is_sound.then(|| (journal(), header))
    }

    /// The header before it was replaced.
    #[must_use]
    pub fn old_header(&self) -> &[u8] {
        &self.old_header
    }

    /// The number of bytes that [`header_state`](Self::header_state) needs: the header and the
    /// prefix of the payload.
    #[must_use]
    pub fn head_len(&self) -> usize {
        self.old_header.len() + self.prefix.len()
    }

    /// The state of the header of the file with this length and these first bytes; `None` if the
    /// journal belongs to another file. The random bytes in the prefix identify the file. Device
    /// and inode would not: they change when file and journal are restored from a backup.
    #[must_use]
    pub fn header_state(&self, file_len: u64, head: &[u8]) -> Option<HeaderState> {
        let (header, prefix) = head.split_at_checked(self.old_header.len())?;
        if file_len != self.file_len || prefix != self.prefix {
            return None;
        }
        Some(if header == self.old_header {
            HeaderState::Old
        } else if sha256(header) == self.new_header_hash {
            HeaderState::New
        } else {
            HeaderState::Torn
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileKey, Padding, Recipient, build_header, x25519};

    fn header() -> Vec<u8> {
        let recipient = x25519::SecretKey::generate().unwrap().to_public();
        let recipients: [&dyn Recipient; 1] = [&recipient];
        let file_key = FileKey::generate().unwrap();
        build_header(Format::Native, &file_key, &recipients, Padding::None).unwrap()
    }

    fn journal() -> (Journal, Vec<u8>, Vec<u8>, [u8; 56]) {
        let (old, new, prefix) = (header(), header(), [7; 56]);
        (Journal::new(1000, &old, &prefix, &new), old, new, prefix)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let (journal, ..) = journal();
        let bytes = journal.encode();
        assert!(bytes.len() <= Journal::MAX_LEN);
        assert_eq!(Journal::parse(&bytes), Some(journal));
        for len in 0..bytes.len() {
            assert_eq!(Journal::parse(&bytes[..len]), None, "{len}");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert_eq!(Journal::parse(&wrong), None, "{at}");
        }
    }

    #[test]
    fn lengths_that_do_not_go_together_are_refused() {
        let (journal, ..) = journal();
        let other = [
            Journal { file_len: 3, ..journal.clone() },
            Journal { prefix: vec![7; 16], ..journal.clone() },
            Journal { old_header: b"nothing\n".to_vec(), ..journal.clone() },
            Journal { old_header: [&journal.old_header[..], b"x"].concat(), ..journal },
        ];
        for other in other {
            assert_eq!(Journal::parse(&other.encode()), None, "{other:?}");
        }
        // Numbers that no sum and no memory can hold.
        let (journal, ..) = super::tests::journal();
        for at in [29, 37] {
            let mut bytes = journal.encode();
            bytes[at..at + 8].fill(0xff);
            let len = bytes.len() - HASH_LEN;
            let hash = sha256(&bytes[..len]);
            bytes[len..].copy_from_slice(&hash);
            assert_eq!(Journal::parse(&bytes), None);
        }
    }

    #[test]
    fn it_tells_which_header_a_file_has() {
        let (journal, old, new, prefix) = journal();
        let torn = [&new[..100], &old[100..]].concat();
        let look = |header: &[u8]| journal.header_state(1000, &[header, &prefix].concat());
        assert_eq!(look(&old), Some(HeaderState::Old));
        assert_eq!(look(&new), Some(HeaderState::New));
        assert_eq!(look(&torn), Some(HeaderState::Torn));
        assert_eq!(journal.header_state(1001, &[&old[..], &prefix].concat()), None);
        assert_eq!(journal.header_state(1000, &[&old[..], &[8; 56]].concat()), None);
        assert_eq!(journal.header_state(1000, &old), None);
        assert_eq!(journal.header_state(1000, &[]), None);
    }
}
