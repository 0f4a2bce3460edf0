//! Other implementations of the cipher of age files.

use crate::format::{KEY_LEN, NONCE_LEN, TAG_LEN};

/// An implementation of ChaCha20-Poly1305 (RFC 8439), without associated data, that may be faster
/// than AWS-LC's: see [`ChunkCipher::compute_by`](super::ChunkCipher::compute_by).
///
/// Whoever implements it must not keep the key, and must wipe what it derives from it.
pub trait ChaCha20Poly1305: Send + Sync {
    /// Seals `plaintext` into `ciphertext`, which is as long, and `tag`. Returns whether that has
    /// worked.
    #[must_use]
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> bool;

    /// Opens `ciphertext` and `tag` into `plaintext`, which is as long as `ciphertext`. Returns
    /// whether that has worked and the tag is right. Otherwise `plaintext` may contain anything.
    #[must_use]
    fn open(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        plaintext: &mut [u8],
    ) -> bool;
}
