//! Private keys that are encrypted with a passphrase, in the formats of ssh-keygen and
//! openssl.
//!
//! The file says how often the passphrase is hashed. That is limited: a key from someone else
//! must not keep the program busy for hours.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockCipher, BlockDecryptMut, BlockSizeUser, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::BlockDecrypt;
use des::{Des, TdesEde3};
use md5::{Digest, Md5};
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use zeroize::Zeroizing;

use super::error::SshError;
use super::unencrypted::UnencryptedKey;
use super::wire::{self, OpenSshContainer};
use crate::pem::Pem;

/// The maximum rounds of bcrypt: two to three minutes on a typical processor. ssh-keygen uses 24
/// unless `-a` says otherwise.
const MAX_BCRYPT_ROUNDS: u32 = 16_384;
/// The maximum iterations of PBKDF2: a few seconds. openssl uses 2,048.
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
/// The maximum memory of scrypt, and how often it may be filled. openssl uses 16 MiB.
const MAX_SCRYPT_BYTES: u64 = 1 << 30;
const MAX_SCRYPT_LANES: u16 = 16;
/// Ciphers of OpenSSH's own format.
const CIPHERS: [&str; 10] = [
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];

/// An encrypted private key.
pub(super) enum EncryptedKey {
    /// OpenSSH's own format.
    OpenSsh(Box<ssh_key::PrivateKey>),
    /// PKCS #8.
    Pkcs8(Vec<u8>),
    /// PKCS #1, encrypted by PEM itself (`Proc-Type: 4,ENCRYPTED`).
    Pkcs1(Pkcs1Key),
    /// It cannot be decrypted. The public key may still be known.
    Unsupported(SshError),
}

/// Why a key was not decrypted.
pub(super) enum DecryptError {
    /// The passphrase is wrong.
    WrongPassphrase,
    /// The decrypted key cannot be used.
    Unusable(SshError),
}

impl EncryptedKey {
    /// A key in OpenSSH's own format, whose `container` has been parsed.
    pub(super) fn openssh(bytes: &[u8], container: &OpenSshContainer<'_>) -> Self {
        let cipher = wire::printable(container.cipher);
        if !CIPHERS.contains(&cipher.as_str()) {
            return Self::Unsupported(SshError::Cipher(cipher));
        }
        match container.bcrypt_rounds() {
            Some(1..=MAX_BCRYPT_ROUNDS) => {}
            Some(rounds) if rounds > 0 => return Self::Unsupported(SshError::Rounds(rounds)),
            _ => return Self::Unsupported(SshError::Invalid),
        }
        match ssh_key::PrivateKey::from_bytes(bytes) {
            Ok(key) => Self::OpenSsh(Box::new(key)),
            Err(_) => Self::Unsupported(SshError::Invalid),
        }
    }

    /// A key in PKCS #8.
    pub(super) fn pkcs8(bytes: &[u8]) -> Result<Self, SshError> {
        let info = EncryptedPrivateKeyInfo::try_from(bytes).map_err(|_| {
            // The library reports unknown schemes as damage.
            match wire::pkcs8_scheme(bytes) {
                Some(oid) => SshError::Scheme(format!("the cipher {oid} of PKCS #8")),
                None => SshError::Invalid,
            }
        })?;
        let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
            return Err(SshError::Scheme("PBES1, a scheme of PKCS #5".to_owned()));
        };
        let is_bounded = match &parameters.kdf {
            Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MAX_PBKDF2_ITERATIONS,
            Kdf::Scrypt(kdf) => {
                let bytes = kdf.cost_parameter.saturating_mul(128 * u64::from(kdf.block_size));
                bytes <= MAX_SCRYPT_BYTES && kdf.parallelization <= MAX_SCRYPT_LANES
            }
            _ => true,
        };
        if is_bounded { Ok(Self::Pkcs8(bytes.to_vec())) } else { Err(SshError::Costly) }
    }

    /// A key in PKCS #1.
    pub(super) fn pkcs1(pem: &Pem<'_>) -> Result<Self, SshError> {
        let info = pem.header("DEK-Info").ok_or(SshError::Invalid)?;
        let (cipher, iv) = info.split_once(',').ok_or(SshError::Invalid)?;
        let cipher = PemCipher::named(cipher)
            .ok_or_else(|| SshError::Scheme(wire::printable(cipher.as_bytes())))?;
        let iv = from_hex(iv.trim()).filter(|iv| iv.len() == cipher.iv_len());
        let iv = iv.ok_or(SshError::Invalid)?;
        Ok(Self::Pkcs1(Pkcs1Key { cipher, iv, content: pem.content.to_vec() }))
    }

    /// Decrypts the key.
    pub(super) fn open(&self, passphrase: &[u8]) -> Result<UnencryptedKey, DecryptError> {
        if passphrase.is_empty() {
            return Err(DecryptError::WrongPassphrase);
        }
        let decrypted = match self {
            Self::OpenSsh(key) => {
                let key = key.decrypt(passphrase).map_err(|_| DecryptError::WrongPassphrase)?;
                let bytes =
                    key.to_bytes().map_err(|_| DecryptError::Unusable(SshError::Invalid))?;
                UnencryptedKey::from_openssh(&bytes)
            }
            Self::Pkcs8(bytes) => {
                let info = EncryptedPrivateKeyInfo::try_from(bytes.as_slice());
                let info = info.map_err(|_| DecryptError::Unusable(SshError::Invalid))?;
                let key = info.decrypt(passphrase).map_err(|_| DecryptError::WrongPassphrase)?;
                UnencryptedKey::from_pkcs8(key.as_bytes())
            }
            Self::Pkcs1(key) => {
                let bytes = key.open(passphrase).ok_or(DecryptError::WrongPassphrase)?;
                // One wrong passphrase in 256 yields valid padding.
                if wire::public_half_of_pkcs1(&bytes).is_none() {
                    return Err(DecryptError::WrongPassphrase);
                }
                UnencryptedKey::from_pkcs1(&bytes)
            }
            Self::Unsupported(error) => Err(error.clone()),
        };
        decrypted.map_err(DecryptError::Unusable)
    }
}

/// A PKCS #1 key that PEM itself encrypts (RFC 1421), with `EVP_BytesToKey` of openssl.
pub(super) struct Pkcs1Key {
    cipher: PemCipher,
    iv: Vec<u8>,
    content: Vec<u8>,
}

#[derive(Clone, Copy)]
enum PemCipher {
    Aes128,
    Aes192,
    Aes256,
    Des,
    TripleDes,
}

impl PemCipher {
    fn named(name: &str) -> Option<Self> {
        Some(match name.trim() {
            "AES-128-CBC" => Self::Aes128,
            "AES-192-CBC" => Self::Aes192,
            "AES-256-CBC" => Self::Aes256,
            "DES-CBC" => Self::Des,
            "DES-EDE3-CBC" => Self::TripleDes,
            _ => return None,
        })
    }

    fn iv_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::Des | Self::TripleDes => 8,
        }
    }
}

impl Pkcs1Key {
    fn open(&self, passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.cipher {
            PemCipher::Aes128 => self.decrypt_with::<Aes128>(passphrase),
            PemCipher::Aes192 => self.decrypt_with::<Aes192>(passphrase),
            PemCipher::Aes256 => self.decrypt_with::<Aes256>(passphrase),
            PemCipher::Des => self.decrypt_with::<Des>(passphrase),
            PemCipher::TripleDes => self.decrypt_with::<TdesEde3>(passphrase),
        }
    }

    fn decrypt_with<C>(&self, passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>>
    where
        C: BlockCipher + BlockDecrypt + BlockSizeUser + KeyInit,
    {
        let key = self.key(passphrase, C::key_size());
        let cipher = cbc::Decryptor::<C>::new_from_slices(&key, &self.iv).ok()?;
        cipher.decrypt_padded_vec_mut::<Pkcs7>(&self.content).ok().map(Zeroizing::new)
    }

    /// Each block is the MD5 of the previous block, the passphrase and half of the IV.
    fn key(&self, passphrase: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(Vec::with_capacity(len + 16));
        let mut block = Zeroizing::new([0; 16]);
        while key.len() < len {
            let mut md5 = Md5::new();
            if !key.is_empty() {
                md5.update(block.as_slice());
            }
            md5.update(passphrase);
            md5.update(&self.iv[..8]);
            block.copy_from_slice(&md5.finalize());
            key.extend_from_slice(block.as_slice());
        }
        key.truncate(len);
        key
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
