//! The last line of a header: its MAC, under a key that is derived from the file key.

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use crate::{FileKey, Format, crypto};

/// What the line begins with. The MAC covers everything up to here, these bytes included.
pub(super) const MARK: &[u8] = b"---";
/// Bytes of the line: the mark, a space, the MAC in base64, a line feed.
pub(super) const LINE_LEN: usize = MARK.len() + 1 + (LEN * 4).div_ceil(3) + 1;

const LEN: usize = 32;

/// The MAC of a header whose bytes up to the mark are `authenticated`.
pub(super) fn compute(format: Format, file_key: &FileKey, authenticated: &[u8]) -> [u8; LEN] {
    crypto::hmac_sha256(&key(format, file_key), authenticated)
}

/// Compares it with `mac`, in constant time.
pub(super) fn verify(
    format: Format,
    file_key: &FileKey,
    authenticated: &[u8],
    mac: &[u8; LEN],
) -> bool {
    crypto::verify_hmac_sha256(&key(format, file_key), authenticated, mac)
}

/// The MAC, from what follows its mark, without the line feed.
pub(super) fn decode(rest_of_line: &[u8]) -> Option<[u8; LEN]> {
    let text = rest_of_line.strip_prefix(b" ")?;
    let mut mac = [0; LEN];
    let decoded = Base64Unpadded::decode(text, &mut mac).ok()?.len();
    (decoded == LEN).then_some(mac)
}

fn key(format: Format, file_key: &FileKey) -> Zeroizing<[u8; 32]> {
    crypto::hkdf_sha256(file_key.expose(), &[], format.mac_info())
}
