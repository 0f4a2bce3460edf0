//! The payload: C2SP chunked-encryption, instance Cobblestone-256.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit};

use crate::header::VERSION;
use crate::primitives::{hkdf_expand_sha512_two_blocks, hkdf_sha256, refuse};

/// Plaintext bytes in every chunk but the final one.
pub const CHUNK_LEN: usize = 16_384;
/// A chunk with its tag.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + 16;
/// Salt and commitment, which precede the first chunk.
pub const PREFIX_LEN: usize = 24 + 32;

/// The keys of one payload.
struct PayloadKeys {
    key: [u8; 32],
    base_nonce: [u8; 12],
    commitment: [u8; 32],
}

fn payload_keys(file_key: [u8; 16], salt: [u8; 24]) -> PayloadKeys {
    let input_key = hkdf_sha256(&file_key, b"", b"cryptstream/v1 payload");
    let mut info = b"c2sp.org/chunked-encryption@v1+".to_vec();
    info.extend(b"AEAD_AES_256_GCM");
    info.push(0);
    info.extend(salt);
    info.extend(VERSION);
    let okm = hkdf_expand_sha512_two_blocks(&input_key, &info);
    PayloadKeys {
        key: okm[..32].try_into().expect("32 bytes"),
        base_nonce: okm[32..44].try_into().expect("12 bytes"),
        commitment: okm[44..76].try_into().expect("32 bytes"),
    }
}

/// Encrypts a payload.
pub fn encrypt_payload(file_key: [u8; 16], salt: [u8; 24], plaintext: &[u8]) -> Vec<u8> {
    let keys = payload_keys(file_key, salt);
    let cipher = Aes256Gcm::new(&keys.key.into());
    let mut payload = salt.to_vec();
    payload.extend(keys.commitment);
    let mut rest = plaintext;
    let mut number = 0;
    loop {
        let is_final = rest.len() < CHUNK_LEN;
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK_LEN));
        let nonce = chunk_nonce(keys.base_nonce, number);
        payload.extend(cipher.encrypt(&nonce.into(), chunk).expect("a chunk can be sealed"));
        if is_final {
            return payload;
        }
        rest = after;
        number += 1;
    }
}

/// Decrypts a payload.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn decrypt_payload(file_key: [u8; 16], payload: &[u8]) -> Result<Vec<u8>, String> {
    let Some((salt, rest)) = payload.split_first_chunk::<24>() else {
        return refuse("the payload ends before its salt");
    };
    let Some((commitment, mut rest)) = rest.split_first_chunk::<32>() else {
        return refuse("the payload ends before its commitment");
    };
    let keys = payload_keys(file_key, *salt);
    if keys.commitment != *commitment {
        return refuse("the commitment is another file key's");
    }
    let cipher = Aes256Gcm::new(&keys.key.into());
    let mut plaintext = Vec::new();
    let mut number = 0;
    loop {
        // The final chunk is never full.
        let is_final = rest.len() < SEALED_CHUNK_LEN;
        let (chunk, after) = rest.split_at(rest.len().min(SEALED_CHUNK_LEN));
        match cipher.decrypt(&chunk_nonce(keys.base_nonce, number).into(), chunk) {
            Ok(text) => plaintext.extend(text),
            Err(_) => return refuse(&format!("chunk {number} is damaged or cut off")),
        }
        if is_final {
            return Ok(plaintext);
        }
        rest = after;
        number += 1;
    }
}

/// The base nonce XOR the chunk number, which is big-endian in the last 8 bytes.
fn chunk_nonce(mut base_nonce: [u8; 12], number: u64) -> [u8; 12] {
    for (i, byte) in number.to_be_bytes().into_iter().enumerate() {
        base_nonce[4 + i] ^= byte;
    }
    base_nonce
}
