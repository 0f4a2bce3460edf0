//! Passphrases in age files: the `scrypt` stanza.
//!
//! ```text
//! -> scrypt <salt, 16 bytes> <log2 N>
//! ChaCha20-Poly1305(scrypt(passphrase, label || salt, N, r = 8, p = 1), file key)
//! ```
//!
//! Unlike native files, age files cannot share a salt, so each file costs one derivation.

use std::sync::{Mutex, PoisonError};

use age_core::primitives::{aead_decrypt, aead_encrypt};
use base64ct::{Base64Unpadded, Encoding};
use cryptstream_format::{
    FileKey, Format, Identity, KeyDerivation, Recipient, Stanza, UnwrapError, WrapError, Wrapped,
};
use zeroize::Zeroizing;

const TAG: &str = "scrypt";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// The parameter r; the memory is 128 r N bytes.
const BLOCK_SIZE: u32 = 8;

/// The default log2 N, as in age: 256 MiB.
pub const DEFAULT_LOG_N: u8 = 18;
/// The smallest log2 N for encryption: 64 MiB.
pub const MIN_LOG_N: u8 = 16;
/// The largest log2 N: 4 GiB.
pub const MAX_LOG_N: u8 = 22;

/// A passphrase to encrypt age files with.
pub struct ScryptRecipient {
    passphrase: Zeroizing<Vec<u8>>,
    log_n: u8,
}

impl ScryptRecipient {
    /// Uses the bytes of the passphrase unchanged. log2 N is clamped to the range from
    /// [`MIN_LOG_N`] to [`MAX_LOG_N`].
    #[must_use]
    pub fn new(passphrase: Zeroizing<Vec<u8>>, log_n: u8) -> Self {
        Self { passphrase, log_n: log_n.clamp(MIN_LOG_N, MAX_LOG_N) }
    }
}

impl Recipient for ScryptRecipient {
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        if format != Format::Age {
            return Err(WrapError::OtherFormat);
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(cryptstream_format::RandomError::from)?;
        let key = derive(&self.passphrase, &salt, self.log_n)
            .ok_or(WrapError::OutOfMemory(memory_kib(self.log_n)))?;
        let body = aead_encrypt(&key, file_key.expose());
        let args = [&*Base64Unpadded::encode_string(&salt), &self.log_n.to_string()];
        let stanza = Stanza::new(TAG, &args, body).ok_or(WrapError::OtherFormat)?;
        Ok(stanza.into())
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// A passphrase to decrypt age files with.
pub struct ScryptIdentity {
    passphrase: Zeroizing<Vec<u8>>,
}

impl ScryptIdentity {
    /// Uses the bytes of the passphrase unchanged.
    #[must_use]
    pub fn new(passphrase: Zeroizing<Vec<u8>>) -> Self {
        Self { passphrase }
    }
}

impl Identity for ScryptIdentity {
    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        // The header parser has checked that it is the only stanza, and its form.
        let Some(stanza) = stanzas.iter().find(|stanza| stanza.tag() == TAG) else {
            return Ok(None);
        };
        let Some(derivation @ KeyDerivation::Scrypt { log_n }) = stanza.key_derivation() else {
            return Ok(None);
        };
        if format != Format::Age {
            return Ok(None);
        }
        // Checked before anything is allocated, since the number comes from the file.
        if log_n > MAX_LOG_N {
            return Err(UnwrapError::TooExpensive(derivation));
        }
        let mut salt = [0; 16];
        let Some([text, _]) = stanza.fields() else { return Ok(None) };
        if Base64Unpadded::decode(text, &mut salt).is_err() {
            return Ok(None);
        }
        let key = derive(&self.passphrase, &salt, log_n)
            .ok_or(UnwrapError::OutOfMemory(memory_kib(log_n)))?;
        let Ok(opened) = aead_decrypt(&key, FileKey::LEN, &stanza.body()) else { return Ok(None) };
        let opened = Zeroizing::new(opened);
        Ok(opened.as_slice().try_into().ok().map(FileKey::from_bytes))
    }
}

fn memory_kib(log_n: u8) -> u32 {
    1 << log_n
}

/// scrypt (RFC 7914); `None` if there is not enough memory.
fn derive(passphrase: &[u8], salt: &[u8; 16], log_n: u8) -> Option<Zeroizing<[u8; 32]>> {
    // It needs much memory, so derivations run one at a time.
    static DERIVING: Mutex<()> = Mutex::new(());
    let _deriving = DERIVING.lock().unwrap_or_else(PoisonError::into_inner);
    // The library aborts the process if it cannot allocate. It needs this and a little more.
    let mut memory = Vec::<u8>::new();
    memory.try_reserve_exact((memory_kib(log_n) as usize + 64) << 10).ok()?;
    drop(memory);
    let params = scrypt::Params::new(log_n, BLOCK_SIZE, 1, 32).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase, &[SALT_LABEL, salt].concat(), &params, key.as_mut_slice()).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.to_vec())
    }

    #[test]
    fn any_bytes_are_a_passphrase_and_only_the_same_ones_open() {
        let file_key = FileKey::from_bytes([7; 16]);
        let recipient = ScryptRecipient::new(secret(b"\xff\0 word"), 1);
        let wrapped = recipient.wrap(Format::Age, &file_key).unwrap();
        assert_eq!(wrapped.stanzas[0].args().nth(2), Some("16"), "raised to the least");
        let open = |text: &[u8]| {
            let identity = ScryptIdentity::new(secret(text));
            identity.unwrap(Format::Age, &wrapped.stanzas).unwrap().map(|key| *key.expose())
        };
        assert_eq!(open(b"\xff\0 word"), Some([7; 16]));
        assert_eq!(open(b"word"), None);
        assert!(recipient.wrap(Format::Native, &file_key).is_err());
    }

    #[test]
    fn a_hostile_cost_is_refused_before_allocating() {
        let identity = ScryptIdentity::new(secret(b"x"));
        let salt = Base64Unpadded::encode_string(&[7; 16]);
        for log_n in ["23", "40", "63"] {
            let stanza = Stanza::new(TAG, &[&salt, log_n], vec![0; 32]).unwrap();
            let result = identity.unwrap(Format::Age, &[stanza]);
            assert!(matches!(result, Err(UnwrapError::TooExpensive(_))), "{log_n}");
        }
    }
}
