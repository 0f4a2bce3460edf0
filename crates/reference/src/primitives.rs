//! HMAC, HKDF and base64: what the format takes from elsewhere and no library
//! gives in the form that is needed here.

use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut hmac =
        <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

fn hmac_sha512(key: &[u8], message: &[u8]) -> [u8; 64] {
    let mut hmac =
        <Hmac<Sha512> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

/// HKDF (RFC 5869) with SHA-256, extract and expand; 32 bytes are one block.
pub(crate) fn hkdf_sha256(ikm: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    // An empty salt stands for 32 zero bytes; HMAC fills keys up with zeros.
    let prk = hmac_sha256(salt, ikm);
    hmac_sha256(&prk, &[info, &[1]].concat())
}

/// HKDF-Expand with SHA-512: two blocks, of which the caller needs 76 bytes.
pub(crate) fn hkdf_expand_sha512_two_blocks(prk: &[u8], info: &[u8]) -> Vec<u8> {
    let first = hmac_sha512(prk, &[info, &[1]].concat());
    let second = hmac_sha512(prk, &[first.as_slice(), info, &[2]].concat());
    [first, second].concat()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648) in the standard alphabet, without padding.
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut bit_count) = (0u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        bit_count += 8;
        while bit_count >= 6 {
            bit_count -= 6;
            text.push(BASE64[(bits >> bit_count & 63) as usize] as char);
        }
    }
    if bit_count > 0 {
        text.push(BASE64[(bits << (6 - bit_count) & 63) as usize] as char);
    }
    text
}

/// The inverse of [`base64_encode`], of exactly what it writes.
///
/// # Errors
/// When the text is not what [`base64_encode`] writes for any bytes.
pub fn base64_decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let (mut bits, mut bit_count) = (0u32, 0);
    for character in text {
        let Some(value) = BASE64.iter().position(|candidate| candidate == character) else {
            return Err("a character is not of base64".to_owned());
        };
        bits = bits << 6 | value as u32;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push((bits >> bit_count & 255) as u8);
        }
    }
    if base64_encode(&bytes).as_bytes() != text {
        return Err("base64 is not canonical".to_owned());
    }
    Ok(bytes)
}

pub(crate) fn refuse<T>(reason: &str) -> Result<T, String> {
    Err(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10, and what RFC 4648, section 3.5 warns of.
    #[test]
    fn base64_is_canonical() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64_encode(bytes.as_bytes()), text);
            assert_eq!(base64_decode(text.as_bytes()), Ok(bytes.as_bytes().to_vec()));
        }
        for text in ["Zh", "Zm9", "Z", "Zg==", "Zg\r", "Zm9v\n", "Zm-_"] {
            assert!(base64_decode(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    /// RFC 5869, test case 1, of which 32 bytes are one block.
    #[test]
    fn hkdf_agrees_with_rfc_5869() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = hkdf_sha256(&[0x0b; 22], &salt, &info);
        assert_eq!(okm[..8], [0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a]);
    }
}
