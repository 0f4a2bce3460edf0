//! The undo journal of an exchange of headers: what a program writes beside a
//! file before it overwrites the file's header, and what it needs to take that
//! back when it was interrupted in between.
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
//! It holds no secret, and nobody has to trust it: a header out of it is used
//! only when it can be unlocked, which checks its MAC, and the prefix says to
//! which payload it belongs.

use crate::crypto::sha256;
use crate::{Format, Header};

const MAGIC: &[u8] = b"cryptstream-rekey/v1\n";
const HASH_LEN: usize = 32;
const NUMBER_LEN: usize = 8;

/// See the module's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    file_len: u64,
    old_header: Vec<u8>,
    prefix: Vec<u8>,
    new_header_hash: [u8; HASH_LEN],
}

/// Which header a file has, as its journal tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderState {
    /// The old one: the exchange had not begun.
    Old,
    /// The new one: the exchange was complete.
    New,
    /// Neither: it was interrupted in between.
    Torn,
}

impl Journal {
    /// The longest that a journal can be.
    pub const MAX_LEN: usize =
        MAGIC.len() + 3 * NUMBER_LEN + Format::Age.max_header_len() + 64 + 2 * HASH_LEN;

    /// The journal of an exchange of `old_header` for `new_header`, which have
    /// one length, in a file of `file_len` bytes whose payload begins with
    /// `prefix`.
    #[must_use]
    pub fn new(file_len: u64, old_header: &[u8], prefix: &[u8], new_header: &[u8]) -> Self {
        Self {
            file_len,
            old_header: old_header.to_vec(),
            prefix: prefix.to_vec(),
            new_header_hash: sha256(new_header),
        }
    }

    /// Its bytes.
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

    /// Reads a whole journal; `None` if it is none, or not complete.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::parse_with(bytes, |header| Header::parse(header).ok()?).map(|(journal, _)| journal)
    }

    /// The same, and the old header, which `parse` parses: everything else in a journal
    /// has a fixed length.
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

    /// The header that was to be overwritten.
    #[must_use]
    pub fn old_header(&self) -> &[u8] {
        &self.old_header
    }

    /// How many bytes a file must begin with to tell whether this is its
    /// journal: header and payload's prefix.
    #[must_use]
    pub fn head_len(&self) -> usize {
        self.old_header.len() + self.prefix.len()
    }

    /// Which header the file has that is `file_len` bytes long and begins
    /// with `head`; `None` if this is the journal of another file. Device and
    /// inode would say less than the random bytes of a payload's prefix: they
    /// change on a restart, or when folder and journal are restored elsewhere.
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
