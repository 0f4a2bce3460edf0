//! OpenSSL, if it is there.

use std::sync::OnceLock;

use cryptstream_format::ChaCha20Poly1305;
use cryptstream_shm::OpensslChaCha20Poly1305;

/// OpenSSL's implementation.
struct Openssl(OpensslChaCha20Poly1305);

/// `Some(None)` if it could not be loaded.
static OPENSSL: OnceLock<Option<Openssl>> = OnceLock::new();

/// Whether OpenSSL's implementation is faster than AWS-LC's on this processor, which has no code
/// for AVX-512.
pub(super) fn is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    let is_faster = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512ifma");
    #[cfg(not(target_arch = "x86_64"))]
    let is_faster = false;
    is_faster
}

/// Loads it, if that was not tried before.
pub(super) fn load() {
    OPENSSL.get_or_init(|| OpensslChaCha20Poly1305::load().map(Openssl));
}

/// It, if it was loaded.
pub(super) fn loaded() -> Option<&'static dyn ChaCha20Poly1305> {
    let openssl = OPENSSL.get()?.as_ref()?;
    Some(openssl)
}

/// Its name, version and date, if it was loaded.
pub(super) fn version() -> Option<&'static str> {
    Some(OPENSSL.get()?.as_ref()?.0.version())
}

impl ChaCha20Poly1305 for Openssl {
    fn seal(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; 16],
    ) -> bool {
        self.0.seal(key, nonce, plaintext, ciphertext, tag)
    }

    fn open(
        &self,
        key: &[u8; 32],
        nonce: &[u8; 12],
        ciphertext: &[u8],
        tag: &[u8; 16],
        plaintext: &mut [u8],
    ) -> bool {
        self.0.open(key, nonce, ciphertext, tag, plaintext)
    }
}
