//! Bytes, and their text encodings.

use sha2::{Digest, Sha256};

/// Pseudo-random bytes, the same on every run.
pub(crate) fn bytes<const N: usize>(vector: &str, field: &str) -> [u8; N] {
    let digest = Sha256::digest(format!("cryptstream vectors: {vector}: {field}"));
    digest[..N].try_into().expect("N is at most 32")
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bech32 (BIP 173) of 32 bytes.
pub(crate) fn bech32(prefix: &str, data: &[u8; 32]) -> String {
    let mut digits = Vec::new();
    let (mut bits, mut bit_count) = (0u32, 0);
    for byte in data {
        bits = bits << 8 | u32::from(*byte);
        bit_count += 8;
        while bit_count >= 5 {
            bit_count -= 5;
            digits.push((bits >> bit_count & 31) as u8);
        }
    }
    digits.push((bits << (5 - bit_count) & 31) as u8);

    let mut checked: Vec<u8> = prefix.bytes().map(|byte| byte >> 5).collect();
    checked.push(0);
    checked.extend(prefix.bytes().map(|byte| byte & 31));
    checked.extend(&digits);
    checked.extend([0; 6]);
    let checksum = bech32_polymod(&checked) ^ 1;
    digits.extend((0..6).map(|i| (checksum >> (5 * (5 - i)) & 31) as u8));

    let alphabet = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let text: String = digits.iter().map(|digit| alphabet[usize::from(*digit)] as char).collect();
    format!("{prefix}1{text}")
}

fn bech32_polymod(values: &[u8]) -> u32 {
    let generator = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let mut checksum = 1u32;
    for value in values {
        let top = checksum >> 25;
        checksum = (checksum & 0x1ff_ffff) << 5 ^ u32::from(*value);
        for (i, polynomial) in generator.iter().enumerate() {
            if top >> i & 1 == 1 {
                checksum ^= polynomial;
            }
        }
    }
    checksum
}
