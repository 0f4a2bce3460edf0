//! Wraps a file key under another key, as all stanzas of this crate do.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::FileKey;

/// Length of a wrapped file key in bytes: 16 and a tag.
pub(crate) const WRAPPED_LEN: usize = FileKey::LEN + 16;

/// Wraps a file key with ChaCha20-Poly1305 (RFC 8439). The key is used only once, so the nonce may
/// be zero.
pub(crate) fn wrap(wrap_key: &[u8; 32], file_key: &FileKey) -> [u8; WRAPPED_LEN] {
    let mut body = [0; WRAPPED_LEN];
    let (ciphertext, tag) = body.split_at_mut(FileKey::LEN);
    chacha20_poly1305(wrap_key)
        .seal_out_of_place_scatter(
            zero_nonce(),
            Aad::empty(),
            file_key.expose(),
            ciphertext,
            &[],
            tag,
        )
        .expect("the buffers have the lengths that the cipher asks for");
    body
}

/// Unwraps a file key; `None` if the key is wrong.
pub(crate) fn unwrap(wrap_key: &[u8; 32], body: &[u8; WRAPPED_LEN]) -> Option<FileKey> {
    let (ciphertext, tag) = body.split_at(FileKey::LEN);
    let mut file_key = Zeroizing::new([0; FileKey::LEN]);
    chacha20_poly1305(wrap_key)
        .open_separate_gather(zero_nonce(), Aad::empty(), ciphertext, tag, file_key.as_mut_slice())
        .ok()?;
    Some(FileKey::from_bytes(*file_key))
}

fn chacha20_poly1305(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes, as it must"),
    )
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
