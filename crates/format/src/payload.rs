//! The payload: the content in chunks of 16 KiB, after C2SP
//! `chunked-encryption`, instance Cobblestone-256.
//!
//! ```text
//! payload = salt(24) || commitment(32) || chunk 0 || chunk 1 || … || final chunk
//! ```
//!
//! [`Layout`] says where everything lies, [`PayloadCipher`] seals and opens.

mod cipher;
mod layout;

pub use cipher::{ChunkCipher, ChunkError, CommitmentError, PREFIX_LEN, PayloadCipher, SALT_LEN};
pub use layout::{
    CHUNK_LEN, Layout, LayoutError, MAX_CHUNKS, MAX_PLAINTEXT_LEN, SEALED_CHUNK_LEN,
    SEALED_SEGMENT_LEN, SEGMENT_CHUNKS, SEGMENT_LEN, Segment, TAG_LEN,
};
