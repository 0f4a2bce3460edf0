//! The payload: the content in chunks, each with its own tag.
//!
//! ```text
//! native  salt(24) || commitment(32) || chunk 0 || chunk 1 || … || final chunk
//! age     nonce(16) || chunk 0 || chunk 1 || … || final chunk
//! ```
//!
//! The native payload is C2SP `chunked-encryption`, instance Cobblestone-256. [`Layout`] computes
//! the offsets, [`PayloadCipher`] seals and opens the chunks.

mod chacha20_poly1305;
mod cipher;
mod layout;
mod segment;

pub use crate::format::{SEGMENT_LEN, TAG_LEN};
pub use chacha20_poly1305::ChaCha20Poly1305;
pub use cipher::{
    AGE_NONCE_LEN, ChunkCipher, ChunkError, CommitmentError, PayloadCipher, SALT_LEN,
};
pub use layout::{Layout, LayoutError};
pub use segment::{MAX_CHUNKS, MAX_SEALED_SEGMENT_LEN, Segment, chunk_offset};
