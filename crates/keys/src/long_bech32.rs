//! Bech32 for post-quantum keys, which are longer than Bech32 allows.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Checksum, Hrp};
use cryptstream_format::x25519::KeyError;
use zeroize::Zeroizing;

/// Bech32 (BIP 173) without its length limit.
pub(crate) enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    const CODE_LENGTH: usize = 4096;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
    // Only used to correct errors, which is not done here.
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32::ROOT_EXPONENTS;
}

/// Decodes text with this prefix to `N` bytes.
pub(crate) fn decode<const N: usize>(
    text: &str,
    hrp: &str,
) -> Result<Zeroizing<[u8; N]>, KeyError> {
    let decoded = CheckedHrpstring::new::<LongBech32>(text).map_err(|_| KeyError::Checksum)?;
    if decoded.hrp() != Hrp::parse_unchecked(hrp) || decoded.byte_iter().len() != N {
        return Err(KeyError::OtherKind);
    }
    let mut bytes = Zeroizing::new([0; N]);
    for (byte, digit) in bytes.iter_mut().zip(decoded.byte_iter()) {
        *byte = digit;
    }
    Ok(bytes)
}
