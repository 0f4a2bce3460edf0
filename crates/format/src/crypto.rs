//! Random bytes, hashes, MACs and key derivation, with the lengths fixed by type.

use aws_lc_rs::{digest, hkdf, hmac};
use zeroize::Zeroizing;

/// The operating system cannot provide random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system cannot provide random bytes: {0}")]
pub struct RandomError(#[from] getrandom::Error);

/// Fills `out` with random bytes from the operating system.
///
/// The generator of the cipher library takes milliseconds to seed, which is longer than everything
/// else for a small file.
pub(crate) fn fill_random(out: &mut [u8]) -> Result<(), RandomError> {
    Ok(getrandom::fill(out)?)
}

/// `N` fresh random bytes that need not be secret.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA-256, extract and expand (RFC 5869).
pub(crate) fn hkdf_sha256<const N: usize>(
    ikm: &[u8],
    salt: &[u8],
    info: &[u8],
) -> Zeroizing<[u8; N]> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    expand(&prk, &[info])
}

/// HKDF-Expand-SHA-512 alone, with `info` given in pieces (RFC 5869, 2.3).
pub(crate) fn hkdf_expand_sha512<const N: usize>(
    prk: &[u8; 32],
    info: &[&[u8]],
) -> Zeroizing<[u8; N]> {
    expand(&hkdf::Prk::new_less_safe(hkdf::HKDF_SHA512, prk), info)
}

fn expand<const N: usize>(prk: &hkdf::Prk, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut okm = Zeroizing::new([0; N]);
    prk.expand(info, Len(N))
        .and_then(|okm_source| okm_source.fill(okm.as_mut_slice()))
        .expect("HKDF gives up to 255 hashes, and N is a constant of at most 76 bytes");
    okm
}

/// SHA-256.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    hash
}

/// HMAC-SHA-256 (RFC 2104).
pub(crate) fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut mac = [0; 32];
    mac.copy_from_slice(tag.as_ref());
    mac
}

/// Verifies an HMAC-SHA-256 in constant time.
pub(crate) fn verify_hmac_sha256(key: &[u8; 32], message: &[u8], mac: &[u8; 32]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), message, mac).is_ok()
}
