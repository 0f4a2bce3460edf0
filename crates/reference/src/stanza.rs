//! Stanzas: wrapping and unwrapping the file key.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::primitives::{base64_decode, base64_encode, hkdf_sha256, refuse};

/// One stanza of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefStanza {
    /// The type first, then the arguments.
    pub args: Vec<String>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// A key that can decrypt a file.
pub enum Key {
    /// A passphrase's bytes.
    Passphrase(Vec<u8>),
    /// The 32 bytes of an X25519 secret key.
    X25519([u8; 32]),
    /// The file key itself; no stanza is unwrapped.
    FileKey([u8; 16]),
}

/// The parameters of Argon2id.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// A stanza as text.
pub fn encode_stanza(stanza: &RefStanza) -> Vec<u8> {
    let mut text = format!("-> {}\n", stanza.args.join(" "));
    let mut rest = base64_encode(&stanza.body);
    while rest.len() >= 64 {
        let after = rest.split_off(64);
        text += &rest;
        text += "\n";
        rest = after;
    }
    text += &rest;
    text += "\n";
    text.into_bytes()
}

/// The stanza that wraps `file_key` with a passphrase.
///
/// # Panics
/// When Argon2id does not allow this cost.
pub fn argon2id_stanza(
    file_key: [u8; 16],
    passphrase: &[u8],
    salt: [u8; 16],
    cost: Cost,
    nonce: [u8; 16],
) -> RefStanza {
    let wrap_key = argon2id_wrap_key(passphrase, salt, cost, nonce)
        .expect("the caller chose a cost that Argon2id allows");
    RefStanza {
        args: vec![
            "argon2id".to_owned(),
            base64_encode(&salt),
            cost.memory_kib.to_string(),
            cost.passes.to_string(),
            cost.lanes.to_string(),
            base64_encode(&nonce),
        ],
        body: wrap(wrap_key, file_key),
    }
}

/// The stanza that wraps `file_key` for an X25519 public key.
pub fn x25519_stanza(
    file_key: [u8; 16],
    recipient: [u8; 32],
    ephemeral_secret: [u8; 32],
) -> RefStanza {
    let share = x25519_public_key(ephemeral_secret);
    let shared = StaticSecret::from(ephemeral_secret).diffie_hellman(&PublicKey::from(recipient));
    let wrap_key = x25519_wrap_key(shared.as_bytes(), share, recipient);
    RefStanza {
        args: vec!["X25519".to_owned(), base64_encode(&share)],
        body: wrap(wrap_key, file_key),
    }
}

/// A padding stanza; `argument` has 1 to 4 characters.
pub fn pad_stanza(argument: Option<&str>, body_len: usize) -> RefStanza {
    let args = std::iter::once("pad").chain(argument).map(str::to_owned).collect();
    RefStanza { args, body: vec![0; body_len] }
}

/// The public key of an X25519 secret key.
pub fn x25519_public_key(secret: [u8; 32]) -> [u8; 32] {
    *PublicKey::from(&StaticSecret::from(secret)).as_bytes()
}

/// Unwraps the file key from the first stanza that matches the key.
pub(crate) fn unwrap_file_key(stanzas: &[RefStanza], key: &Key) -> Result<[u8; 16], String> {
    for stanza in stanzas {
        let wrap_key = match (key, stanza.args[0].as_str()) {
            (Key::FileKey(file_key), _) => return Ok(*file_key),
            (Key::Passphrase(passphrase), "argon2id") => {
                let (salt, cost, nonce, _) = parse_argon2id(stanza)?;
                check_cost(cost)?;
                argon2id_wrap_key(passphrase, salt, cost, nonce)?
            }
            (Key::X25519(secret), "X25519") => {
                let (share, _) = parse_x25519(stanza)?;
                let shared = StaticSecret::from(*secret).diffie_hellman(&PublicKey::from(share));
                if shared.as_bytes() == &[0; 32] {
                    return refuse("an X25519 share is a low-order point");
                }
                x25519_wrap_key(shared.as_bytes(), share, x25519_public_key(*secret))
            }
            _ => continue,
        };
        if let Some(file_key) = unwrap(wrap_key, &stanza.body) {
            return Ok(file_key);
        }
    }
    refuse("the key fits no stanza")
}

type Argon2idFields = ([u8; 16], Cost, [u8; 16], [u8; 32]);

/// Salt, cost, nonce and body of an `argon2id` stanza.
pub(crate) fn parse_argon2id(stanza: &RefStanza) -> Result<Argon2idFields, String> {
    let [_, salt, memory_kib, passes, lanes, nonce] = stanza.args.as_slice() else {
        return refuse("an argon2id stanza has not 5 arguments");
    };
    let cost = Cost {
        memory_kib: parse_number(memory_kib)?,
        passes: parse_number(passes)?,
        lanes: parse_number(lanes)?,
    };
    // RFC 9106, section 3.1; the numbers are at least 1 already.
    if cost.lanes > 0xff_ffff || cost.memory_kib < 8 * cost.lanes {
        return refuse("Argon2id does not allow this cost");
    }
    Ok((decode_fixed(salt)?, cost, decode_fixed(nonce)?, wrapped_key(stanza)?))
}

/// Refuses key derivations that are too expensive.
fn check_cost(cost: Cost) -> Result<(), String> {
    let two_gib = 2 << 20;
    let eight_gib = 8 << 20;
    if cost.memory_kib > two_gib
        || cost.passes > 16
        || cost.lanes > 16
        || u64::from(cost.memory_kib) * u64::from(cost.passes) > eight_gib
    {
        return refuse("the file asks for too costly a key derivation");
    }
    Ok(())
}

/// A decimal number from 1 to 2^32 - 1, without sign and leading zeros.
fn parse_number(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 && number.to_string() == text => Ok(number),
        _ => refuse("a number is not written in the one right way"),
    }
}

/// Share and body of an `X25519` stanza.
pub(crate) fn parse_x25519(stanza: &RefStanza) -> Result<([u8; 32], [u8; 32]), String> {
    let [_, share] = stanza.args.as_slice() else {
        return refuse("an X25519 stanza has not one argument");
    };
    Ok((decode_fixed(share)?, wrapped_key(stanza)?))
}

fn wrapped_key(stanza: &RefStanza) -> Result<[u8; 32], String> {
    let body = stanza.body.as_slice();
    body.try_into().map_err(|_| "a body is not 32 bytes long".to_owned())
}

fn decode_fixed<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = base64_decode(text.as_bytes())?;
    bytes.try_into().map_err(|_| format!("an argument is not {N} bytes long"))
}

fn argon2id_wrap_key(
    passphrase: &[u8],
    salt: [u8; 16],
    cost: Cost,
    nonce: [u8; 16],
) -> Result<[u8; 32], String> {
    let config = argon2::Config {
        variant: argon2::Variant::Argon2id,
        version: argon2::Version::Version13,
        mem_cost: cost.memory_kib,
        time_cost: cost.passes,
        lanes: cost.lanes,
        thread_mode: argon2::ThreadMode::Sequential,
        hash_length: 32,
        secret: b"",
        ad: b"",
    };
    let salt = [b"cryptstream/v1/argon2id".as_slice(), &salt].concat();
    let base_key =
        argon2::hash_raw(passphrase, &salt, &config).map_err(|error| error.to_string())?;
    Ok(hkdf_sha256(&base_key, &nonce, b"cryptstream/v1 argon2id"))
}

fn x25519_wrap_key(shared: &[u8; 32], share: [u8; 32], recipient: [u8; 32]) -> [u8; 32] {
    hkdf_sha256(shared, &[share, recipient].concat(), b"age-encryption.org/v1/X25519")
}

fn wrap(wrap_key: [u8; 32], file_key: [u8; 16]) -> Vec<u8> {
    ChaCha20Poly1305::new(&wrap_key.into())
        .encrypt(&[0; 12].into(), file_key.as_slice())
        .expect("16 bytes can be sealed")
}

fn unwrap(wrap_key: [u8; 32], body: &[u8]) -> Option<[u8; 16]> {
    let cipher = ChaCha20Poly1305::new(&wrap_key.into());
    cipher.decrypt(&[0; 12].into(), body).ok()?.try_into().ok()
}
