//! The CryptStream file format and age v1: headers, recipients, and the encryption of chunks.
//!
//! An encrypted file is a [`header`], which carries the file key wrapped for each recipient,
//! followed by a [`payload`], which carries the content in chunks. Each chunk is authenticated by
//! itself. There are two [formats](Format): the native one, and that of age, which may also be
//! text in an [`armor`].
//!
//! This crate works on bytes in memory: it does no input or output, contains no unsafe code, and
//! can be used from anywhere. `docs/format.md` in the repository is the specification.
//!
//! # Example
//!
//! ```
//! use cryptstream_format::{
//!     FileKey, Format, Header, Identity, Layout, Padding, PayloadCipher, Recipient, build_header, x25519,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = x25519::SecretKey::generate()?;
//! let recipient = identity.to_public();
//! let plaintext = b"attack at dawn";
//!
//! // Encrypt: a fresh file key, a header that wraps it, the payload.
//! let file_key = FileKey::generate()?;
//! let header = build_header(Format::Native, &file_key, &[&recipient], Padding::None)?;
//! let cipher = PayloadCipher::generate(Format::Native, &file_key)?;
//! let layout = Layout::of_plaintext(Format::Native, plaintext.len() as u64)?;
//! let mut file = header;
//! file.extend_from_slice(cipher.prefix());
//! for segment in layout.segments() {
//!     let mut sealed = vec![0; segment.sealed_len()];
//!     let text = &plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
//!     cipher.seal(&segment, text, &mut sealed)?;
//!     file.extend_from_slice(&sealed);
//! }
//!
//! // Decrypt: unwrap the file key, check the MAC and the commitment, open the chunks.
//! let header = Header::parse(&file)?.ok_or("the header is cut off")?;
//! let file_key = header.unlock(&[&identity])?;
//! let payload = &file[header.len()..];
//! let format = header.format();
//! let layout = Layout::of_payload(format, payload.len() as u64)?;
//! let cipher =
//!     PayloadCipher::from_prefix(format, &file_key, &payload[..format.prefix_len()])?;
//! let mut opened = vec![0; layout.plaintext_len() as usize];
//! for segment in layout.segments() {
//!     let sealed = &payload[segment.payload_offset() as usize..][..segment.sealed_len()];
//!     let text = &mut opened[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
//!     cipher.open(&segment, sealed, text)?;
//! }
//! assert_eq!(opened, plaintext);
//! # Ok(())
//! # }
//! ```
//!
//! Segments are independent. They can be encrypted and decrypted in any order, by any number of
//! threads or processes, from and to fixed offsets.
//!
//! # What this crate does not do
//!
//! It reads no files and no key files: `cryptstream-engine` and `cryptstream-keys` do that. It does
//! not hide the length of a file, and it does not authenticate the sender: anyone who knows a
//! recipient can encrypt to it.

pub mod armor;
pub mod header;
pub mod journal;
pub mod payload;
pub mod stanza;

mod crypto;
mod file_key;
mod format;
mod key_wrap;

pub use armor::{ArmorError, ArmorErrorKind};
pub use crypto::RandomError;
pub use file_key::FileKey;
pub use format::Format;
pub use header::{
    Header, HeaderError, HeaderOffsets, Padding, UnlockError, WrappedKey, build_header,
};
pub use journal::Journal;
pub use payload::{
    ChaCha20Poly1305, ChunkCipher, ChunkError, CommitmentError, Layout, LayoutError, PayloadCipher,
    Segment,
};
pub use stanza::{
    Identity, KeyDerivation, KeyFailure, KeyFailureKind, Recipient, Stanza, UnwrapError, WrapError,
    Wrapped, argon2id, x25519,
};
