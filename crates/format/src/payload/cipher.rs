//! Sealing and opening runs of chunks, out of place and without allocation.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::layout::{CHUNK_LEN, SEALED_CHUNK_LEN, Segment, TAG_LEN};
use crate::FileKey;
use crate::crypto::{self, RandomError};
use crate::header::VERSION;

/// Random bytes at the start of a payload.
pub const SALT_LEN: usize = 24;
/// Bytes before the first chunk: salt and commitment.
pub const PREFIX_LEN: usize = SALT_LEN + COMMITMENT_LEN;

const COMMITMENT_LEN: usize = 32;
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// The payload was sealed under another file key, or its prefix is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not belong to this header, or its first 56 bytes are damaged")]
pub struct CommitmentError;

/// A run of chunks that could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk's tag does not verify: it is damaged, moved, or not the final
    /// one where the final one must be.
    #[error(
        "chunk {chunk} is damaged (plaintext byte {plaintext_offset} and up to 16,384 after it)"
    )]
    Damaged {
        /// Number of the chunk in the payload, from 0.
        chunk: u64,
        /// Where the chunk's plaintext begins in the whole plaintext.
        plaintext_offset: u64,
    },
    /// A buffer has not the length that the segment asks for.
    #[error("a buffer of {got} bytes was given where the segment has {expected}")]
    BufferLength {
        /// Bytes that were given.
        got: usize,
        /// Bytes that the segment has.
        expected: usize,
    },
}

/// The cipher of one payload: a [`ChunkCipher`], and the salt and commitment
/// that stand before the chunks, all derived from the file key.
pub struct PayloadCipher {
    chunks: ChunkCipher,
    salt: [u8; SALT_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl PayloadCipher {
    /// The cipher of a new payload, with a fresh salt.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate(file_key: &FileKey) -> Result<Self, RandomError> {
        Ok(Self::with_salt(file_key, crypto::random()?))
    }

    /// The cipher of the payload that begins with `prefix`.
    ///
    /// # Errors
    /// [`CommitmentError`] when the prefix was not made with this file key.
    /// The comparison is in constant time and precedes any use of the key.
    pub fn from_prefix(
        file_key: &FileKey,
        prefix: &[u8; PREFIX_LEN],
    ) -> Result<Self, CommitmentError> {
        let (salt, commitment) = prefix.split_first_chunk::<SALT_LEN>().ok_or(CommitmentError)?;
        let cipher = Self::with_salt(file_key, *salt);
        verify_slices_are_equal(&cipher.commitment, commitment).map_err(|_| CommitmentError)?;
        Ok(cipher)
    }

    /// The cipher for a given salt: for known-answer tests and for those who
    /// implement the format, not for writing files.
    ///
    /// Sealing two different payloads under one file key and salt reuses
    /// nonces and destroys the secrecy of both; use [`PayloadCipher::generate`].
    #[must_use]
    pub fn with_salt(file_key: &FileKey, salt: [u8; SALT_LEN]) -> Self {
        let input_key =
            crypto::hkdf_sha256::<32>(file_key.expose(), &[], b"cryptstream/v1 payload");
        let okm = crypto::hkdf_expand_sha512::<{ ChunkCipher::SECRET_LEN + COMMITMENT_LEN }>(
            &input_key,
            &[b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0", &salt, VERSION],
        );
        let mut secret = Zeroizing::new([0; ChunkCipher::SECRET_LEN]);
        secret.copy_from_slice(&okm[..ChunkCipher::SECRET_LEN]);
        let mut commitment = [0; COMMITMENT_LEN];
        commitment.copy_from_slice(&okm[ChunkCipher::SECRET_LEN..]);
        Self { chunks: ChunkCipher::from_secret(secret), salt, commitment }
    }

    /// The payload's first 56 bytes: salt and commitment.
    #[must_use]
    pub fn prefix(&self) -> [u8; PREFIX_LEN] {
        let mut prefix = [0; PREFIX_LEN];
        prefix[..SALT_LEN].copy_from_slice(&self.salt);
        prefix[SALT_LEN..].copy_from_slice(&self.commitment);
        prefix
    }

    /// What seals and opens the chunks, without the rest.
    #[must_use]
    pub fn into_chunks(self) -> ChunkCipher {
        self.chunks
    }

    /// The same, for others to have it too.
    #[must_use]
    pub fn chunks(&self) -> ChunkCipher {
        ChunkCipher::from_secret(self.chunks.secret.clone())
    }

    /// [`ChunkCipher::seal`].
    ///
    /// # Errors
    /// [`ChunkError::BufferLength`] when a buffer has another length.
    pub fn seal(
        &self,
        segment: &Segment,
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.chunks.seal(segment, plaintext, sealed)
    }

    /// [`ChunkCipher::open`].
    ///
    /// # Errors
    /// [`ChunkError::Damaged`] for the first chunk whose tag does not verify.
    pub fn open(
        &self,
        segment: &Segment,
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), ChunkError> {
        self.chunks.open(segment, sealed, plaintext)
    }
}

/// What seals and opens the chunks of one payload: AES-256-GCM under a key and
/// a nonce base. It is all that a process needs which does nothing else.
///
/// Chunk *k* is sealed under the nonce base XOR *k*, without associated data.
/// The final chunk is the only one that is shorter than 16,384 bytes; that is
/// how it is told from the others.
pub struct ChunkCipher {
    key: LessSafeKey,
    /// `key(32) || base_nonce(12)`.
    secret: Zeroizing<[u8; Self::SECRET_LEN]>,
}

impl ChunkCipher {
    /// Bytes of [`ChunkCipher::expose_secret`].
    pub const SECRET_LEN: usize = KEY_LEN + NONCE_LEN;

    /// Takes what [`ChunkCipher::expose_secret`] gave in another process.
    #[must_use]
    pub fn from_secret(secret: Zeroizing<[u8; Self::SECRET_LEN]>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, &secret[..KEY_LEN])
            .expect("the key has 32 bytes, as AES-256 asks for");
        Self { key: LessSafeKey::new(key), secret }
    }

    /// The key and the nonce base, for handing them to another process. Who
    /// has them can open and forge this payload, and nothing else.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; Self::SECRET_LEN] {
        &self.secret
    }

    /// Seals one segment out of place: `plaintext` has
    /// [`Segment::plaintext_len`] bytes, `sealed` [`Segment::sealed_len`].
    ///
    /// Sealing the *same* bytes again gives the same result and is harmless.
    /// Sealing *different* bytes for the same segment under the same cipher
    /// reuses nonces: whoever repeats work must repeat it from the same bytes.
    ///
    /// # Errors
    /// [`ChunkError::BufferLength`] when a buffer has another length.
    pub fn seal(
        &self,
        segment: &Segment,
        plaintext: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), ChunkError> {
        check_len(plaintext.len(), segment.plaintext_len())?;
        check_len(sealed.len(), segment.sealed_len())?;
        for (chunk, (text, sealed)) in (segment.first_chunk()..).zip(chunks(plaintext, sealed)) {
            let (ciphertext, tag) = sealed.split_at_mut(text.len());
            self.key
                .seal_out_of_place_scatter(
                    self.nonce(chunk),
                    Aad::empty(),
                    text,
                    ciphertext,
                    &[],
                    tag,
                )
                .expect("the buffers have the lengths that the cipher asks for");
        }
        Ok(())
    }

    /// Opens one segment out of place: `sealed` has [`Segment::sealed_len`]
    /// bytes, `plaintext` [`Segment::plaintext_len`].
    ///
    /// # Errors
    /// [`ChunkError::Damaged`] for the first chunk whose tag does not verify.
    /// Then all of `plaintext` is zeroed, so that nothing unverified can leak
    /// from it.
    pub fn open(
        &self,
        segment: &Segment,
        sealed: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), ChunkError> {
        check_len(sealed.len(), segment.sealed_len())?;
        check_len(plaintext.len(), segment.plaintext_len())?;
        let mut bad_chunk = None;
        for (chunk, (sealed, text)) in
            (segment.first_chunk()..).zip(sealed_chunks(sealed, plaintext))
        {
            let (ciphertext, tag) = sealed.split_at(text.len());
            let opened = self.key.open_separate_gather(
                self.nonce(chunk),
                Aad::empty(),
                ciphertext,
                tag,
                text,
            );
            if opened.is_err() {
                bad_chunk = Some(chunk);
                break;
            }
        }
        match bad_chunk {
            None => Ok(()),
            Some(chunk) => {
                plaintext.fill(0);
                Err(ChunkError::Damaged { chunk, plaintext_offset: chunk * CHUNK_LEN as u64 })
            }
        }
    }

    /// The nonce base XOR the chunk's number as a 96-bit big-endian integer.
    fn nonce(&self, chunk: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.secret[KEY_LEN..]);
        for (byte, counter) in nonce[4..].iter_mut().zip(chunk.to_be_bytes()) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

fn check_len(got: usize, expected: usize) -> Result<(), ChunkError> {
    if got == expected { Ok(()) } else { Err(ChunkError::BufferLength { got, expected }) }
}

/// Pairs each chunk of plaintext with its sealed place. The lengths were
/// checked, so the shorter or empty final chunk is what is left of both.
fn chunks<'a>(
    plaintext: &'a [u8],
    sealed: &'a mut [u8],
) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> {
    let mut rest = plaintext;
    sealed.chunks_mut(SEALED_CHUNK_LEN).map(move |sealed| {
        let (text, after) = rest.split_at(sealed.len() - TAG_LEN);
        rest = after;
        (text, sealed)
    })
}

/// Pairs each sealed chunk with the place for its plaintext.
fn sealed_chunks<'a>(
    sealed: &'a [u8],
    plaintext: &'a mut [u8],
) -> impl Iterator<Item = (&'a [u8], &'a mut [u8])> {
    let mut rest = plaintext;
    sealed.chunks(SEALED_CHUNK_LEN).map(move |sealed| {
        let (text, after) = std::mem::take(&mut rest).split_at_mut(sealed.len() - TAG_LEN);
        rest = after;
        (sealed, text)
    })
}
