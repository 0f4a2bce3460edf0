//! Whole files.

use crate::header::{END_LEN, build_header, header_mac, parse_header};
use crate::payload::{decrypt_payload, encrypt_payload};
use crate::primitives::refuse;
use crate::stanza::{Key, RefStanza, unwrap_file_key};

/// Encrypts a file: a header with these stanzas, then the payload.
///
/// The stanzas are not checked: [`decrypt`] may refuse them.
pub fn encrypt(
    file_key: [u8; 16],
    salt: [u8; 24],
    stanzas: &[RefStanza],
    plaintext: &[u8],
) -> Vec<u8> {
    let mut file = build_header(file_key, stanzas);
    file.extend(encrypt_payload(file_key, salt, plaintext));
    file
}

/// Decrypts a file, and refuses everything that the specification refuses.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn decrypt(file: &[u8], key: &Key) -> Result<Vec<u8>, String> {
    let header = parse_header(file)?;
    let file_key = unwrap_file_key(&header.stanzas, key)?;
    let authenticated = &file[..header.len - END_LEN + 3];
    if header_mac(file_key, authenticated) != header.mac {
        return refuse("the header's MAC does not verify");
    }
    decrypt_payload(file_key, &file[header.len..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::pad_to_multiple;
    use crate::payload::CHUNK_LEN;
    use crate::stanza::{x25519_public_key, x25519_stanza};

    #[test]
    fn what_is_sealed_opens_again() {
        let secret = [7; 32];
        let stanza = x25519_stanza([1; 16], x25519_public_key(secret), [9; 32]);
        let pad = pad_to_multiple(std::slice::from_ref(&stanza), 4096);
        for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1] {
            let plaintext = vec![5; len];
            let file = encrypt([1; 16], [2; 24], &[stanza.clone(), pad.clone()], &plaintext);
            assert_eq!(parse_header(&file).unwrap().len, 4096);
            assert_eq!(decrypt(&file, &Key::X25519(secret)).unwrap(), plaintext);
            assert!(decrypt(&file[..file.len() - 1], &Key::X25519(secret)).is_err());
            assert!(decrypt(&file, &Key::X25519([8; 32])).is_err());
        }
    }
}
