//! The CryptStream format, written a second time to be read: whole files in
//! memory, one chunk after the other, every step spelled out in the order of
//! the specification.
//!
//! The tests hold the product against this crate, so it shares no code and no
//! cryptographic library with it. It takes every random value as an argument
//! and protects no secret in memory: it must never seal a real file.

use aes_gcm::Aes256Gcm;
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit};
use x25519_dalek::{PublicKey, StaticSecret};

mod age_vectors;
mod primitives;

pub use age_vectors::age_vectors;
pub use primitives::{base64_decode, base64_encode};
use primitives::{hkdf_expand_sha512_two_blocks, hkdf_sha256, hmac_sha256};

/// The first line of a file, without its line feed.
pub const VERSION: &[u8] = b"cryptstream/v1";
/// The longest header, in bytes.
pub const MAX_HEADER_LEN: usize = 1 << 20;
/// The most stanzas in a header.
pub const MAX_STANZAS: usize = 1024;
/// Plaintext bytes in every chunk but the final one.
pub const CHUNK_LEN: usize = 16_384;
/// A chunk with its tag.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + 16;
/// Salt and commitment, which precede the first chunk.
pub const PREFIX_LEN: usize = 24 + 32;

/// The header's last line: `--- `, 43 characters of base64, a line feed.
const END_LEN: usize = 4 + 43 + 1;

/// One stanza of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefStanza {
    /// The type first, then the arguments.
    pub args: Vec<String>,
    /// The body, decoded.
    pub body: Vec<u8>,
}

/// What a file is opened with.
pub enum Key {
    /// A passphrase's bytes.
    Passphrase(Vec<u8>),
    /// The 32 bytes of an X25519 secret key.
    X25519([u8; 32]),
    /// The file key itself; no stanza is unwrapped.
    FileKey([u8; 16]),
}

/// What an Argon2id run costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// A header that follows the grammar; its MAC has not been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefHeader {
    /// The stanzas in their order.
    pub stanzas: Vec<RefStanza>,
    /// The MAC that the last line carries.
    pub mac: [u8; 32],
    /// Length of the header in bytes.
    pub len: usize,
}

// ---- Whole files ----------------------------------------------------------

/// Seals a file: a header with these stanzas, then the payload.
///
/// The stanzas are written as they are, even those that [`open`] refuses.
pub fn seal(
    file_key: [u8; 16],
    salt: [u8; 24],
    stanzas: &[RefStanza],
    plaintext: &[u8],
) -> Vec<u8> {
    let mut file = seal_header(file_key, stanzas);
    file.extend(seal_payload(file_key, salt, plaintext));
    file
}

/// Opens a file, refusing everything that the specification refuses.
///
/// # Errors
/// A sentence that says what was refused.
pub fn open(file: &[u8], key: &Key) -> Result<Vec<u8>, String> {
    let header = parse_header(file)?;
    let file_key = unwrap_file_key(&header.stanzas, key)?;
    let authenticated = &file[..header.len - END_LEN + 3];
    if header_mac(file_key, authenticated) != header.mac {
        return refuse("the header's MAC does not verify");
    }
    open_payload(file_key, &file[header.len..])
}

// ---- Header ---------------------------------------------------------------

/// Writes a header with these stanzas.
pub fn seal_header(file_key: [u8; 16], stanzas: &[RefStanza]) -> Vec<u8> {
    let mut text = [VERSION, b"\n"].concat();
    for stanza in stanzas {
        text.extend(encode_stanza(stanza));
    }
    finish_header(file_key, text)
}

/// Appends the last line, with the right MAC, to any text: to a header's other
/// lines, or to lines that only look like them.
pub fn finish_header(file_key: [u8; 16], mut text: Vec<u8>) -> Vec<u8> {
    text.extend(b"---");
    let mac = header_mac(file_key, &text);
    text.extend(format!(" {}\n", base64_encode(&mac)).into_bytes());
    text
}

/// Reads the header that a file begins with.
///
/// # Errors
/// A sentence that says what was refused.
pub fn parse_header(file: &[u8]) -> Result<RefHeader, String> {
    let mut position = 0;
    if next_line(file, &mut position)? != VERSION {
        return refuse("the first line is not the version line");
    }
    let mut stanzas = Vec::new();
    loop {
        let line = next_line(file, &mut position)?;
        if let Some(arguments) = line.strip_prefix(b"-> ") {
            let args = parse_arguments(arguments)?;
            let body = parse_body(file, &mut position)?;
            stanzas.push(RefStanza { args, body });
        } else if let Some(mac) = line.strip_prefix(b"--- ") {
            let Ok(mac) = <[u8; 32]>::try_from(base64_decode(mac)?) else {
                return refuse("the MAC is not 32 bytes long");
            };
            check_stanzas(&stanzas)?;
            return Ok(RefHeader { stanzas, mac, len: position });
        } else {
            return refuse("a line is neither a stanza nor the end");
        }
    }
}

/// The line at `position` without its line feed; moves `position` behind it.
fn next_line<'a>(file: &'a [u8], position: &mut usize) -> Result<&'a [u8], String> {
    let start = *position;
    while *position < file.len() && *position < MAX_HEADER_LEN {
        *position += 1;
        if file[*position - 1] == b'\n' {
            return Ok(&file[start..*position - 1]);
        }
    }
    refuse("the header is cut off or longer than 1 MiB")
}

/// One or more words of one or more bytes 0x21 to 0x7e, one space between.
fn parse_arguments(text: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(text).map_err(|_| "an argument is not ASCII".to_owned())?;
    let args: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for arg in &args {
        if arg.is_empty() || !arg.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            return refuse("an argument is empty or has a byte outside 0x21 to 0x7e");
        }
    }
    Ok(args)
}

/// Lines of 64 characters, then one that is shorter, possibly empty.
fn parse_body(file: &[u8], position: &mut usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = next_line(file, position)?;
        if line.len() > 64 {
            return refuse("a line of a body is longer than 64 characters");
        }
        body.extend(base64_decode(line)?);
        if line.len() < 64 {
            return Ok(body);
        }
    }
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

/// The rules for the stanzas of a header taken together.
fn check_stanzas(stanzas: &[RefStanza]) -> Result<(), String> {
    if stanzas.is_empty() {
        return refuse("there is no stanza");
    }
    if stanzas.len() > MAX_STANZAS {
        return refuse("there are more than 1,024 stanzas");
    }
    let (mut pads, mut passphrases) = (0, 0);
    for stanza in stanzas {
        match stanza.args[0].as_str() {
            "pad" => {
                pads += 1;
                if stanza.args.len() > 2 || stanza.args.get(1).is_some_and(|arg| arg.len() > 4) {
                    return refuse("a pad stanza has more than one argument of 4 characters");
                }
            }
            "argon2id" => {
                passphrases += 1;
                parse_argon2id(stanza)?;
            }
            "X25519" => {
                parse_x25519(stanza)?;
            }
            _ => {}
        }
    }
    if pads > 1 {
        return refuse("there are two pad stanzas");
    }
    if passphrases > 0 && stanzas.len() - pads > 1 {
        return refuse("a passphrase stanza is not the only one that carries the key");
    }
    Ok(())
}

fn header_mac(file_key: [u8; 16], authenticated: &[u8]) -> [u8; 32] {
    let mac_key = hkdf_sha256(&file_key, b"", b"cryptstream/v1 header");
    hmac_sha256(&mac_key, authenticated)
}

// ---- Stanzas --------------------------------------------------------------

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

/// The stanza that fills the header up; `argument` has 1 to 4 characters.
pub fn pad_stanza(argument: Option<&str>, body_len: usize) -> RefStanza {
    let args = std::iter::once("pad").chain(argument).map(str::to_owned).collect();
    RefStanza { args, body: vec![0; body_len] }
}

/// The smallest pad stanza with which a header of these stanzas ends at a
/// multiple of `multiple` bytes, found by trying them all.
///
/// # Panics
/// When `multiple` is smaller than 64, where there may be none.
pub fn pad_to_multiple(stanzas: &[RefStanza], multiple: usize) -> RefStanza {
    let len_without = seal_header([0; 16], stanzas).len();
    for body_len in 0..2 * multiple {
        for argument in [None, Some("-"), Some("--"), Some("---"), Some("----")] {
            let pad = pad_stanza(argument, body_len);
            if (len_without + encode_stanza(&pad).len()).is_multiple_of(multiple) {
                return pad;
            }
        }
    }
    panic!("no pad stanza reaches a multiple of {multiple}");
}

/// The public key of an X25519 secret key.
pub fn x25519_public_key(secret: [u8; 32]) -> [u8; 32] {
    *PublicKey::from(&StaticSecret::from(secret)).as_bytes()
}

/// Finds the stanza that the key fits, and the file key in it.
fn unwrap_file_key(stanzas: &[RefStanza], key: &Key) -> Result<[u8; 16], String> {
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
fn parse_argon2id(stanza: &RefStanza) -> Result<Argon2idFields, String> {
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

/// The most that is computed for a file that somebody else wrote.
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

/// A decimal number of 32 bits from 1 on, without sign and leading zeros.
fn parse_number(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(number) if number > 0 && number.to_string() == text => Ok(number),
        _ => refuse("a number is not written in the one right way"),
    }
}

/// Share and body of an `X25519` stanza.
fn parse_x25519(stanza: &RefStanza) -> Result<([u8; 32], [u8; 32]), String> {
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

fn refuse<T>(reason: &str) -> Result<T, String> {
    Err(reason.to_owned())
}

// ---- Payload: C2SP chunked-encryption, instance Cobblestone-256 -----------

/// The keys of one payload.
struct PayloadKeys {
    key: [u8; 32],
    base_nonce: [u8; 12],
    commitment: [u8; 32],
}

fn payload_keys(file_key: [u8; 16], salt: [u8; 24]) -> PayloadKeys {
    let input_key = hkdf_sha256(&file_key, b"", b"cryptstream/v1 payload");
    let mut info = b"c2sp.org/chunked-encryption@v1+".to_vec();
    info.extend(b"AEAD_AES_256_GCM");
    info.push(0);
    info.extend(salt);
    info.extend(VERSION);
    let okm = hkdf_expand_sha512_two_blocks(&input_key, &info);
    PayloadKeys {
        key: okm[..32].try_into().expect("32 bytes"),
        base_nonce: okm[32..44].try_into().expect("12 bytes"),
        commitment: okm[44..76].try_into().expect("32 bytes"),
    }
}

/// Seals a payload.
pub fn seal_payload(file_key: [u8; 16], salt: [u8; 24], plaintext: &[u8]) -> Vec<u8> {
    let keys = payload_keys(file_key, salt);
    let cipher = Aes256Gcm::new(&keys.key.into());
    let mut payload = salt.to_vec();
    payload.extend(keys.commitment);
    let mut rest = plaintext;
    let mut number = 0;
    loop {
        let is_final = rest.len() < CHUNK_LEN;
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK_LEN));
        let nonce = chunk_nonce(keys.base_nonce, number);
        payload.extend(cipher.encrypt(&nonce.into(), chunk).expect("a chunk can be sealed"));
        if is_final {
            return payload;
        }
        rest = after;
        number += 1;
    }
}

/// Opens a payload.
///
/// # Errors
/// A sentence that says what was refused.
pub fn open_payload(file_key: [u8; 16], payload: &[u8]) -> Result<Vec<u8>, String> {
    let Some((salt, rest)) = payload.split_first_chunk::<24>() else {
        return refuse("the payload ends before its salt");
    };
    let Some((commitment, mut rest)) = rest.split_first_chunk::<32>() else {
        return refuse("the payload ends before its commitment");
    };
    let keys = payload_keys(file_key, *salt);
    if keys.commitment != *commitment {
        return refuse("the commitment is another file key's");
    }
    let cipher = Aes256Gcm::new(&keys.key.into());
    let mut plaintext = Vec::new();
    let mut number = 0;
    loop {
        // A final chunk is never full, so what is left tells which one it is.
        let is_final = rest.len() < SEALED_CHUNK_LEN;
        let (chunk, after) = rest.split_at(rest.len().min(SEALED_CHUNK_LEN));
        match cipher.decrypt(&chunk_nonce(keys.base_nonce, number).into(), chunk) {
            Ok(text) => plaintext.extend(text),
            Err(_) => return refuse(&format!("chunk {number} is damaged or cut off")),
        }
        if is_final {
            return Ok(plaintext);
        }
        rest = after;
        number += 1;
    }
}

/// The base nonce XOR the chunk's number, which is big-endian at its end.
fn chunk_nonce(mut base_nonce: [u8; 12], number: u64) -> [u8; 12] {
    for (i, byte) in number.to_be_bytes().into_iter().enumerate() {
        base_nonce[4 + i] ^= byte;
    }
    base_nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_again() {
        let secret = [7; 32];
        let stanza = x25519_stanza([1; 16], x25519_public_key(secret), [9; 32]);
        let pad = pad_to_multiple(std::slice::from_ref(&stanza), 4096);
        for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1] {
            let plaintext = vec![5; len];
            let file = seal([1; 16], [2; 24], &[stanza.clone(), pad.clone()], &plaintext);
            assert_eq!(parse_header(&file).unwrap().len, 4096);
            assert_eq!(open(&file, &Key::X25519(secret)).unwrap(), plaintext);
            assert!(open(&file[..file.len() - 1], &Key::X25519(secret)).is_err());
            assert!(open(&file, &Key::X25519([8; 32])).is_err());
        }
    }
}
