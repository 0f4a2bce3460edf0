//! Seals and opens runs of chunks, out of place and without allocation.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::chacha20_poly1305::ChaCha20Poly1305;
use super::segment::Segment;
use crate::crypto::{self, RandomError};
use crate::format::{KEY_LEN, NONCE_LEN, TAG_LEN};
use crate::{FileKey, Format};

/// Random bytes at the start of a native payload.
pub const SALT_LEN: usize = 24;
/// Random bytes at the start of an age payload.
pub const AGE_NONCE_LEN: usize = 16;

const COMMITMENT_LEN: usize = 32;
/// The longest prefix.
const MAX_PREFIX_LEN: usize = SALT_LEN + COMMITMENT_LEN;

/// The payload was encrypted with another file key, or its prefix is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not belong to this header, or its first 56 bytes are damaged")]
pub struct CommitmentError;

/// A run of chunks that could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The tag of a chunk is wrong: the chunk is damaged or in the wrong place, or the payload is
    /// cut off.
    #[error("chunk {chunk} is damaged (plaintext from byte {plaintext_offset} on)")]
    Damaged {
        /// The number of the chunk in the payload, from 0.
        chunk: u64,
        /// The offset of the chunk in the plaintext, in bytes.
        plaintext_offset: u64,
    },
    /// The length of a buffer differs from that of the segment.
    #[error("a buffer has {got} bytes, but the segment has {expected}")]
    BufferLength {
        /// Bytes in the buffer.
        got: usize,
        /// Bytes in the segment.
        expected: usize,
    },
}

/// The cipher of one payload: a [`ChunkCipher`] and the prefix of the payload.
pub struct PayloadCipher {
    chunks: ChunkCipher,
    prefix: [u8; MAX_PREFIX_LEN],
}

impl PayloadCipher {
    /// The cipher of a new payload, with a fresh salt.
    ///
    /// # Errors
    /// If the operating system cannot provide random bytes.
    pub fn generate(format: Format, file_key: &FileKey) -> Result<Self, RandomError> {
        Ok(match format {
            Format::Native => Self::with_salt(file_key, crypto::random()?),
            Format::Age => Self::with_age_nonce(file_key, crypto::random()?),
        })
    }

    /// The cipher of the payload with this `prefix`, which has [`Format::prefix_len`] bytes.
    ///
    /// # Errors
    /// [`CommitmentError`] if a native prefix does not belong to this file key. The comparison
    /// takes constant time and precedes any use of the key. An age payload has no commitment: a
    /// wrong key is detected at the first chunk.
    pub fn from_prefix(
        format: Format,
        file_key: &FileKey,
        prefix: &[u8],
    ) -> Result<Self, CommitmentError> {
        match format {
            Format::Native => {
                let (salt, commitment) =
                    prefix.split_first_chunk::<SALT_LEN>().ok_or(CommitmentError)?;
                let cipher = Self::with_salt(file_key, *salt);
                verify_slices_are_equal(&cipher.prefix[SALT_LEN..], commitment)
                    .map_err(|_| CommitmentError)?;
                Ok(cipher)
            }
            Format::Age => {
                let nonce = prefix.try_into().map_err(|_| CommitmentError)?;
                Ok(Self::with_age_nonce(file_key, nonce))
            }
        }
    }

    /// The cipher of a native payload with a given salt, for known-answer tests.
    ///
    /// To encrypt a file, use [`PayloadCipher::generate`]. Two payloads under one file key and salt
    /// reuse nonces, which destroys the secrecy of both.
    #[must_use]
    pub fn with_salt(file_key: &FileKey, salt: [u8; SALT_LEN]) -> Self {
        const OKM_LEN: usize = ChunkCipher::SECRET_LEN + COMMITMENT_LEN;
        let input_key =
            crypto::hkdf_sha256::<32>(file_key.expose(), &[], b"cryptstream/v1 payload");
        let okm = crypto::hkdf_expand_sha512::<OKM_LEN>(
            &input_key,
            &[
                b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0",
                &salt,
                Format::Native.version_line(),
            ],
        );
        let mut secret = Zeroizing::new([0; ChunkCipher::SECRET_LEN]);
        secret.copy_from_slice(&okm[..ChunkCipher::SECRET_LEN]);
        let mut prefix = [0; MAX_PREFIX_LEN];
        prefix[..SALT_LEN].copy_from_slice(&salt);
        prefix[SALT_LEN..].copy_from_slice(&okm[ChunkCipher::SECRET_LEN..]);
        Self { chunks: ChunkCipher::from_secret(Format::Native, secret), prefix }
    }

    /// The cipher of an age payload with a given nonce, with the same warning as
    /// [`PayloadCipher::with_salt`].
    #[must_use]
    pub fn with_age_nonce(file_key: &FileKey, nonce: [u8; AGE_NONCE_LEN]) -> Self {
        let key = crypto::hkdf_sha256::<KEY_LEN>(file_key.expose(), &nonce, b"payload");
        // In age files the nonces have no base.
        let mut secret = Zeroizing::new([0; ChunkCipher::SECRET_LEN]);
        secret[..KEY_LEN].copy_from_slice(key.as_slice());
        let mut prefix = [0; MAX_PREFIX_LEN];
        prefix[..AGE_NONCE_LEN].copy_from_slice(&nonce);
        Self { chunks: ChunkCipher::from_secret(Format::Age, secret), prefix }
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.chunks.format
    }

    /// The bytes of the payload before the first chunk.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix[..self.chunks.format.prefix_len()]
    }

    /// The cipher of the chunks, without the prefix.
    #[must_use]
    pub fn into_chunks(self) -> ChunkCipher {
        self.chunks
    }

    /// A copy of the cipher of the chunks.
    #[must_use]
    pub fn chunks(&self) -> ChunkCipher {
        ChunkCipher::from_secret(self.chunks.format, self.chunks.secret.clone())
    }

    /// Seals a segment, as [`ChunkCipher::seal`].
    ///
    /// # Errors
    /// [`ChunkError::BufferLength`] if a buffer has the wrong length.
    pub fn seal(
        &self,
        segment: &Segment,
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.chunks.seal(segment, plaintext, sealed)
    }

    /// Opens a segment, as [`ChunkCipher::open`].
    ///
    /// # Errors
    /// [`ChunkError::Damaged`] for the first chunk with a wrong tag.
    pub fn open(
        &self,
        segment: &Segment,
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.chunks.open(segment, sealed, plaintext)
    }
}

/// The cipher of the chunks of one payload: a key and a base nonce. A worker needs nothing else.
///
/// In native files, chunk *k* is sealed with AES-256-GCM, and the nonce is the base nonce XOR *k*.
/// Only the final chunk is shorter than the others. In age files the cipher is ChaCha20-Poly1305,
/// and the nonce is *k* (11 bytes) followed by a byte that is 1 for the final chunk and 0
/// otherwise. There is no associated data.
pub struct ChunkCipher {
    format: Format,
    key: LessSafeKey,
    /// What computes the cipher instead of AWS-LC.
    other: Option<&'static dyn ChaCha20Poly1305>,
    /// `key(32) || base_nonce(12)`; age has no base, and zeros there.
    secret: Zeroizing<[u8; Self::SECRET_LEN]>,
}

impl ChunkCipher {
    /// The length of [`ChunkCipher::expose_secret`] in bytes.
    pub const SECRET_LEN: usize = KEY_LEN + NONCE_LEN;

    /// The cipher with the secret of [`ChunkCipher::expose_secret`] in another process.
    #[must_use]
    pub fn from_secret(format: Format, secret: Zeroizing<[u8; Self::SECRET_LEN]>) -> Self {
        let algorithm = match format {
            Format::Native => &AES_256_GCM,
            Format::Age => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &secret[..KEY_LEN])
            .expect("the key has 32 bytes, as both ciphers ask for");
        Self { format, key: LessSafeKey::new(key), other: None, secret }
    }

    /// Has `other` compute this cipher if it is ChaCha20-Poly1305. AWS-LC does it where `other`
    /// fails, and decides whether a chunk is damaged.
    pub fn compute_by(&mut self, other: &'static dyn ChaCha20Poly1305) {
        self.other = (self.format == Format::Age).then_some(other);
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The key and the base nonce, for passing them to another process. They allow to read and to
    /// forge this payload, and nothing else.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; Self::SECRET_LEN] {
        &self.secret
    }

    /// Seals a segment. `plaintext` has [`Segment::plaintext_len`] bytes, `sealed` has
    /// [`Segment::sealed_len`].
    ///
    /// Sealing the *same* bytes again gives the same result and is safe. Sealing *different* bytes
    /// for the same segment reuses nonces: work must only be repeated with the same bytes.
    ///
    /// # Errors
    /// [`ChunkError::BufferLength`] if a buffer has the wrong length.
    ///
    /// # Panics
    /// If the segment has another format.
    pub fn seal(
        &self,
        segment: &Segment,
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.check_format(segment);
        check_len(plaintext.len(), segment.plaintext_len())?;
        check_len(sealed.len(), segment.sealed_len())?;
        let pairs = chunks(self.format.sealed_chunk_len(), plaintext, sealed);
        for (chunk, (text, sealed)) in (segment.first_chunk()..).zip(pairs) {
            self.seal_chunk(&self.nonce(segment, chunk), text, sealed);
        }
        Ok(())
    }

    /// Opens a segment. `sealed` has [`Segment::sealed_len`] bytes, `plaintext` has
    /// [`Segment::plaintext_len`].
    ///
    /// # Errors
    /// [`ChunkError::Damaged`] for the first chunk with a wrong tag. Then all of `plaintext` is set
    /// to zero, so that no unverified byte remains in it.
    ///
    /// # Panics
    /// If the segment has another format.
    pub fn open(
        &self,
        segment: &Segment,
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.check_format(segment);
        cryptstream_protection::parsing("chunks");
        check_len(sealed.len(), segment.sealed_len())?;
        check_len(plaintext.len(), segment.plaintext_len())?;
        let mut bad_chunk = None;
        let pairs = sealed_chunks(self.format.sealed_chunk_len(), sealed, plaintext);
        for (chunk, (sealed, text)) in (segment.first_chunk()..).zip(pairs) {
            if !self.open_chunk(&self.nonce(segment, chunk), sealed, text) {
                bad_chunk = Some(chunk);
                break;
            }
        }
        match bad_chunk {
            None => Ok(()),
            Some(chunk) => {
                plaintext.fill(0);
                let plaintext_offset = chunk * self.format.chunk_len() as u64;
                Err(ChunkError::Damaged { chunk, plaintext_offset })
            }
        }
    }

    /// Seals one chunk. `sealed` has room for the tag.
    fn seal_chunk(&self, nonce: &[u8; NONCE_LEN], text: &[u8], sealed: &mut [u8]) {
        let (ciphertext, tag) = sealed.split_last_chunk_mut().expect("every chunk has a tag");
        let (key, _) = self.secret.split_first_chunk().expect("the secret begins with the key");
        if self.other.is_some_and(|other| other.seal(key, nonce, text, ciphertext, tag)) {
            return;
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::empty(), text, ciphertext, &[], tag)
            .expect("the buffers have the lengths that the cipher asks for");
    }

    /// Opens one chunk. Returns whether its tag is right.
    fn open_chunk(&self, nonce: &[u8; NONCE_LEN], sealed: &[u8], text: &mut [u8]) -> bool {
        let (ciphertext, tag) = sealed.split_last_chunk().expect("every chunk has a tag");
        let (key, _) = self.secret.split_first_chunk().expect("the secret begins with the key");
        if self.other.is_some_and(|other| other.open(key, nonce, ciphertext, tag, text)) {
            return true;
        }
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.key.open_separate_gather(nonce, Aad::empty(), ciphertext, tag, text).is_ok()
    }

    /// The nonce of a chunk of `segment`.
    fn nonce(&self, segment: &Segment, chunk: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.secret[KEY_LEN..]);
        // Chunk numbers are below 2^38, so they never reach the other bytes.
        let counter = match self.format {
            Format::Native => &mut nonce[4..],
            Format::Age => {
                let is_final = segment.is_last()
                    && chunk + 1 == segment.first_chunk() + segment.chunks() as u64;
                nonce[NONCE_LEN - 1] = u8::from(is_final);
                &mut nonce[3..NONCE_LEN - 1]
            }
        };
        for (byte, number) in counter.iter_mut().zip(chunk.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }

    /// Segments of the other format have other offsets and lengths.
    fn check_format(&self, segment: &Segment) {
        assert!(segment.format() == self.format, "a cipher got a segment of another format");
    }
}

fn check_len(got: usize, expected: usize) -> Result<(), ChunkError> {
    if got == expected { Ok(()) } else { Err(ChunkError::BufferLength { got, expected }) }
}

/// Pairs each chunk of plaintext with the room for the sealed chunk. The lengths were checked
/// before, so a shorter or empty final chunk is the rest of both.
fn chunks<'a>(
    sealed_chunk_len: usize,
    plaintext: &'a [u8],
    sealed: &'a mut [u8],
) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> {
    let mut rest = plaintext;
    sealed.chunks_mut(sealed_chunk_len).map(move |sealed| {
        let (text, after) = rest.split_at(sealed.len() - TAG_LEN);
        rest = after;
        (text, sealed)
    })
}

/// Pairs each sealed chunk with the room for its plaintext.
fn sealed_chunks<'a>(
    sealed_chunk_len: usize,
    sealed: &'a [u8],
    plaintext: &'a mut [u8],
) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> {
    let mut rest = plaintext;
    sealed.chunks(sealed_chunk_len).map(move |sealed| {
        let (text, after) = std::mem::take(&mut rest).split_at_mut(sealed.len() - TAG_LEN);
        rest = after;
        (sealed, text)
    })
}
