//! Which library computes ChaCha20-Poly1305, the cipher of age files: AWS-LC, and for much data
//! OpenSSL, where that may be loaded (the feature `openssl`), is there, and is faster.

#[cfg(feature = "openssl")]
mod openssl;
#[cfg(all(test, feature = "openssl"))]
mod tests;

use cryptstream_format::{ChunkCipher, Format};

/// Bytes of plaintext for which OpenSSL is loaded. That takes a process 2 ms, and saves it 0.1 ms
/// for each MiB.
const WORTH_LOADING: u64 = 128 << 20;

/// Whether OpenSSL is to compute a payload of `len` bytes of plaintext.
pub(crate) fn pays(format: Format, len: u64) -> bool {
    format == Format::Age && len >= WORTH_LOADING && openssl::is_faster()
}

/// Loads OpenSSL, if it is there. A process that will be sandboxed must do this before.
pub(crate) fn load() {
    openssl::load();
}

/// Has OpenSSL compute `cipher`, if it was loaded.
pub(crate) fn use_loaded(cipher: &mut ChunkCipher) {
    if let Some(openssl) = openssl::loaded() {
        cipher.compute_by(openssl);
    }
}

/// Has OpenSSL compute `cipher`, if that pays for `len` bytes of plaintext.
pub(crate) fn choose(cipher: &mut ChunkCipher, len: u64) {
    if pays(cipher.format(), len) {
        load();
        use_loaded(cipher);
    }
}

/// The library that computes ChaCha20-Poly1305 in age files of at least 128 MiB: its name and, if
/// it is loaded from the system, its version. In smaller ones it is AWS-LC.
#[must_use]
pub fn chacha20_poly1305_library() -> &'static str {
    if openssl::is_faster() {
        load();
    }
    openssl::version().unwrap_or("AWS-LC")
}

/// OpenSSL, which this program may not load.
#[cfg(not(feature = "openssl"))]
mod openssl {
    use cryptstream_format::ChaCha20Poly1305;

    pub(super) fn is_faster() -> bool {
        false
    }

    pub(super) fn load() {}

    pub(super) fn loaded() -> Option<&'static dyn ChaCha20Poly1305> {
        None
    }

    pub(super) fn version() -> Option<&'static str> {
        None
    }
}
