//! A second implementation of the CryptStream format, written to be read: whole files in memory,
//! chunk by chunk, with every step in the order of the specification.
//!
//! Tests compare the program with this crate, so the two share no code and no cryptographic
//! library. It takes every random value as an argument and does not protect secrets in memory. It
//! must never encrypt a real file.

mod age_vectors;
mod file;
mod header;
mod payload;
mod primitives;
mod stanza;

pub use age_vectors::age_vectors;
pub use file::{decrypt, encrypt};
pub use header::{
    MAX_HEADER_LEN, MAX_STANZAS, RefHeader, VERSION, build_header, finish_header, pad_to_multiple,
    parse_header,
};
pub use payload::{CHUNK_LEN, PREFIX_LEN, SEALED_CHUNK_LEN, decrypt_payload, encrypt_payload};
pub use primitives::{base64_decode, base64_encode};
pub use stanza::{
    Cost, Key, RefStanza, argon2id_stanza, encode_stanza, pad_stanza, x25519_public_key,
    x25519_stanza,
};
