//! Passphrases in native files: the `argon2id` stanza.
//!
//! ```text
//! -> argon2id <salt, 16 bytes> <memory in KiB> <passes> <lanes> <nonce, 16 bytes>
//! ChaCha20-Poly1305(HKDF-SHA-256(Argon2id(passphrase), nonce, info), file key)
//! ```
//!
//! Each stanza has a fresh nonce. So the files of one run can share a salt, and one run of
//! Argon2id.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};

use argon2::{Algorithm, Argon2, Version};
use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::derivation::KeyDerivation;
pub use super::derivation::{Cost, ReadLimit};
use super::error::{StanzaError, UnwrapError, WrapError};
use super::tag::ARGON2ID;
use super::text::{Stanza, StanzaText, decode_arg};
use super::traits::{Identity, Recipient, Wrapped};
use crate::crypto::{self, RandomError};
use crate::key_wrap::{self, WRAPPED_LEN};
use crate::{FileKey, Format};

const SALT_LABEL: &[u8] = b"cryptstream/v1/argon2id";
const INFO: &[u8] = b"cryptstream/v1 argon2id";

/// A passphrase to encrypt with. The key is derived for the first file and kept for the next ones.
pub struct PassphraseRecipient {
    /// Locked while the key is derived, so that only one thread derives it. Wiped afterwards, as
    /// later files need only the key.
    passphrase: Mutex<Zeroizing<Vec<u8>>>,
    cost: Cost,
    salt: [u8; 16],
    base_key: OnceLock<Zeroizing<[u8; 32]>>,
}

impl PassphraseRecipient {
    /// A recipient with these bytes as the passphrase and a fresh salt. A cost below [`Cost::MIN`]
    /// is raised to it.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes.
    pub fn new(passphrase: Zeroizing<Vec<u8>>, cost: Cost) -> Result<Self, RandomError> {
        let cost = Cost {
            memory_kib: cost.memory_kib.max(Cost::MIN.memory_kib),
            passes: cost.passes.max(Cost::MIN.passes),
            lanes: cost.lanes.max(Cost::MIN.lanes),
        };
        let passphrase = Mutex::new(passphrase);
        Ok(Self { passphrase, cost, salt: crypto::random()?, base_key: OnceLock::new() })
    }

    fn base_key(&self) -> Result<&[u8; 32], WrapError> {
        let mut passphrase = match self.base_key.get() {
            Some(key) => return Ok(key),
            None => self.passphrase.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Some(key) = self.base_key.get() {
            return Ok(key);
        }
        let key = derive(&passphrase, &self.salt, self.cost)
            .ok_or(WrapError::OutOfMemory(self.cost.memory_kib))?;
        let key = self.base_key.get_or_init(|| key);
        *passphrase = Zeroizing::default();
        Ok(key)
    }
}

impl Recipient for PassphraseRecipient {
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        if format != Format::Native {
            return Err(WrapError::OtherFormat);
        }
        let nonce: [u8; 16] = crypto::random()?;
        let body = key_wrap::wrap(&wrap_key(self.base_key()?, &nonce), file_key);
        let Cost { memory_kib, passes, lanes } = self.cost;
        let args = [
            ARGON2ID,
            &Base64Unpadded::encode_string(&self.salt),
            &memory_kib.to_string(),
            &passes.to_string(),
            &lanes.to_string(),
            &Base64Unpadded::encode_string(&nonce),
        ];
        Ok(Stanza::from_parts(&args, &body).into())
    }

    fn is_slow(&self) -> bool {
        self.base_key.get().is_none()
    }
}

/// The most derived keys that are kept. Files that were encrypted in one run share a salt.
const MAX_KEPT_KEYS: usize = 1024;

/// A passphrase to decrypt with. Derived keys are kept for files with the same salt and cost.
pub struct PassphraseIdentity {
    passphrase: Zeroizing<Vec<u8>>,
    limit: ReadLimit,
    /// The oldest first. Locked while a key is derived, as each derivation takes much memory.
    derived: Mutex<VecDeque<Derived>>,
}

/// A derived key with its salt and cost.
struct Derived {
    salt: [u8; 16],
    cost: Cost,
    base_key: Zeroizing<[u8; 32]>,
}

impl PassphraseIdentity {
    /// An identity with these bytes as the passphrase. `limit` is the most expensive derivation
    /// that a file may ask for.
    #[must_use]
    pub fn new(passphrase: Zeroizing<Vec<u8>>, limit: ReadLimit) -> Self {
        Self { passphrase, limit, derived: Mutex::default() }
    }

    /// The key for this salt and cost, derived unless it was kept.
    fn base_key(&self, salt: &[u8; 16], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = derived.iter().find(|d| (&d.salt, d.cost) == (salt, cost)) {
            return Some(known.base_key.clone());
        }
        let base_key = derive(&self.passphrase, salt, cost)?;
        if derived.len() >= MAX_KEPT_KEYS {
            derived.pop_front();
        }
        derived.push_back(Derived { salt: *salt, cost, base_key: base_key.clone() });
        Some(base_key)
    }
}

impl Identity for PassphraseIdentity {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        if format != Format::Native {
            return Ok(None);
        }
        for stanza in stanzas {
            let Some(parsed) = parse(stanza.text())? else { continue };
            // Checked before any memory is allocated: the file chooses the numbers.
            if !self.limit.allows(parsed.cost) {
                return Err(UnwrapError::TooExpensive(KeyDerivation::Argon2id(parsed.cost)));
            }
            let base_key = self
                .base_key(&parsed.salt, parsed.cost)
                .ok_or(UnwrapError::OutOfMemory(parsed.cost.memory_kib))?;
            // This is the only stanza with the key, so the result is final.
            return Ok(key_wrap::unwrap(&wrap_key(&base_key, &parsed.nonce), &parsed.body));
        }
        Ok(None)
    }
}

/// The parts of an `argon2id` stanza.
pub(super) struct Parsed {
    salt: [u8; 16],
    cost: Cost,
    nonce: [u8; 16],
    body: [u8; WRAPPED_LEN],
}

impl Parsed {
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }
}

/// Parses an `argon2id` stanza; `None` for other types.
pub(super) fn parse(stanza: StanzaText<'_>) -> Result<Option<Parsed>, StanzaError> {
    if stanza.tag() != ARGON2ID {
        return Ok(None);
    }
    let parsed = || {
        let [salt, memory_kib, passes, lanes, nonce] = stanza.fields()?;
        let cost = Cost {
            memory_kib: decode_number(memory_kib)?,
            passes: decode_number(passes)?,
            lanes: decode_number(lanes)?,
        };
        cost.params()?;
        Some(Parsed {
            salt: decode_arg(salt)?,
            cost,
            nonce: decode_arg(nonce)?,
            body: stanza.wrapped_key()?,
        })
    };
    parsed().map(Some).ok_or(StanzaError::Malformed(ARGON2ID))
}

/// A decimal number without sign and without leading zeros.
fn decode_number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Argon2id, version 0x13; `None` if there is not enough memory.
fn derive(passphrase: &[u8], salt: &[u8; 16], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
    let salt = [SALT_LABEL, salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    let derived = thread_pool(cost.lanes)
        .install(|| argon2.hash_password_into(passphrase, &salt, key.as_mut_slice()));
    derived.ok().map(|()| key)
}

/// Threads for the lanes, which end with the derivation; only the current one if the system allows
/// no more.
fn thread_pool(lanes: u32) -> rayon::ThreadPool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(lanes as usize);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .or_else(|_| rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build())
        .expect("a pool of the current thread starts no other")
}

fn wrap_key(base_key: &[u8; 32], nonce: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    crypto::hkdf_sha256(base_key, nonce, INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(memory_kib: &str, passes: &str, lanes: &str) -> Stanza {
        let salt = Base64Unpadded::encode_string(&[7; 16]);
        Stanza::new(ARGON2ID, &[&salt, memory_kib, passes, lanes, &salt], vec![0; WRAPPED_LEN])
            .unwrap()
    }

    #[test]
    fn numbers_are_decimal_without_leading_zeros() {
        for (text, number) in [("1", Some(1)), ("4294967295", Some(u32::MAX))] {
            assert_eq!(decode_number(text), number);
        }
        for text in ["", "0", "00", "01", "+1", "-1", "1_0", "0x10", "1.0", "4294967296", "١"] {
            assert_eq!(decode_number(text), None, "{text:?}");
        }
    }

    #[test]
    fn hostile_costs_are_refused_before_allocating() {
        let identity = PassphraseIdentity::new(Zeroizing::new(b"x".to_vec()), ReadLimit::DEFAULT);
        for (m, t, p) in [
            ("4294967295", "3", "4"),
            ("2097153", "1", "4"),
            ("65536", "17", "4"),
            ("65536", "3", "17"),
            ("2097152", "5", "4"),
            ("65536", "4294967295", "4"),
        ] {
            let result = identity.unwrap(Format::Native, &[stanza(m, t, p)]);
            assert!(matches!(result, Err(UnwrapError::TooExpensive(_))), "{m} {t} {p}");
        }
        // Below RFC 9106's own minimum of 8 KiB a lane, or no number at all.
        for (m, t, p) in
            [("1", "3", "4"), ("0", "3", "4"), ("65536", "03", "4"), ("65536", "3", "0")]
        {
            let result = identity.unwrap(Format::Native, &[stanza(m, t, p)]);
            assert!(matches!(result, Err(UnwrapError::Stanza(_))), "{m} {t} {p}");
        }
    }

    #[test]
    fn a_raised_limit_lets_more_through() {
        let cost = Cost { memory_kib: 4 << 20, passes: 3, lanes: 4 };
        assert!(!ReadLimit::DEFAULT.allows(cost));
        assert!(ReadLimit::up_to(cost).allows(cost));
        assert!(ReadLimit::up_to(Cost::MIN).allows(Cost::DEFAULT), "a limit only ever rises");
        assert!(ReadLimit::DEFAULT.allows(Cost::DEFAULT));
        let edge = Cost { memory_kib: 2 << 20, passes: 4, lanes: 16 };
        assert!(ReadLimit::DEFAULT.allows(edge));
        assert!(!ReadLimit::DEFAULT.allows(Cost { passes: 5, ..edge }));
        assert!(ReadLimit::up_to(Cost { passes: 5, ..edge }).allows(Cost { passes: 5, ..edge }));
    }

    #[test]
    fn less_than_the_minimum_is_never_written() {
        let weak = Cost { memory_kib: 8, passes: 1, lanes: 1 };
        let recipient = PassphraseRecipient::new(Zeroizing::new(b"x".to_vec()), weak).unwrap();
        let stanzas = recipient.wrap(Format::Native, &FileKey::generate().unwrap()).unwrap();
        let [_, memory_kib, passes, lanes, _] = stanzas.stanzas[0].fields().unwrap();
        assert_eq!([memory_kib, passes, lanes], ["65536", "3", "4"]);
    }

    #[test]
    fn two_files_under_one_salt_share_the_run_but_not_the_wrap_key() {
        let recipient = PassphraseRecipient::new(Zeroizing::new(b"x".to_vec()), Cost::MIN).unwrap();
        let file_key = FileKey::from_bytes([1; 16]);
        let first = recipient.wrap(Format::Native, &file_key).unwrap();
        let second = recipient.wrap(Format::Native, &file_key).unwrap();
        let (first, second) = (&first.stanzas[0], &second.stanzas[0]);
        assert_eq!(first.args().nth(1), second.args().nth(1));
        assert_ne!(first.body(), second.body());
    }
}
