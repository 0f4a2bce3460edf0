//! Sealing and opening runs of chunks, out of place and without allocation.

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::segment::Segment;
use crate::crypto::{self, RandomError};
use crate::format::TAG_LEN;
use crate::{FileKey, Format};

/// Random bytes at the start of a native payload.
pub const SALT_LEN: usize = 24;
/// Random bytes at the start of an age payload, and nothing else before the
/// chunks.
pub const AGE_NONCE_LEN: usize = 16;

const COMMITMENT_LEN: usize = 32;
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
/// The longest prefix.
const MAX_PREFIX_LEN: usize = SALT_LEN + COMMITMENT_LEN;

/// The payload was sealed under another file key, or its prefix is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload does not belong to this header, or its first 56 bytes are damaged")]
pub struct CommitmentError;

/// A run of chunks that could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A chunk's tag does not verify: it is damaged, moved, or not the final
    /// one where the final one must be.
    #[error("chunk {chunk} is damaged (plaintext from byte {plaintext_offset} on)")]
    Damaged {
        /// Number of the chunk in the payload, from 0.
        chunk: u64,
        /// Where the chunk's plaintext begins in the whole plaintext.
        plaintext_offset: u64,
    },
    /// A buffer has not the length that the segment asks for.
    #[error("a buffer has {got} bytes, but the segment has {expected}")]
    BufferLength {
        /// Bytes that were given.
        got: usize,
        /// Bytes that the segment has.
        expected: usize,
    },
}

/// The cipher of one payload: a [`ChunkCipher`], and what stands before the
/// chunks.
pub struct PayloadCipher {
    chunks: ChunkCipher,
    prefix: [u8; MAX_PREFIX_LEN],
}

impl PayloadCipher {
    /// The cipher of a new payload, with a fresh salt.
    ///
    /// # Errors
    /// When the operating system has no random bytes to give.
    pub fn generate(format: Format, file_key: &FileKey) -> Result<Self, RandomError> {
        Ok(match format {
            Format::Native => Self::with_salt(file_key, crypto::random()?),
            Format::Age => Self::with_age_nonce(file_key, crypto::random()?),
        })
    }

    /// The cipher of the payload that begins with `prefix`, of which all
    /// [`Format::prefix_len`] bytes must be there.
    ///
    /// # Errors
    /// [`CommitmentError`] when a native prefix was not made with this file
    /// key. The comparison is in constant time and precedes any use of the
    /// key. age's payloads carry no commitment: there the first chunk tells.
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

    /// The cipher of a native payload for a given salt: for known-answer tests
    /// and for those who implement the format, not for writing files.
    ///
    /// Sealing two different payloads under one file key and salt reuses
    /// nonces and destroys the secrecy of both; use [`PayloadCipher::generate`].
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

    /// The same for an age payload and its nonce, with the same warning.
    #[must_use]
    pub fn with_age_nonce(file_key: &FileKey, nonce: [u8; AGE_NONCE_LEN]) -> Self {
        let key = crypto::hkdf_sha256::<KEY_LEN>(file_key.expose(), &nonce, b"payload");
        // The nonces of the chunks have no base.
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

    /// The payload's first bytes, before the first chunk.
    #[must_use]
    pub fn prefix(&self) -> &[u8] {
        &self.prefix[..self.chunks.format.prefix_len()]
    }

    /// What seals and opens the chunks, without the rest.
    #[must_use]
    pub fn into_chunks(self) -> ChunkCipher {
        self.chunks
    }

    /// The same, for others to have it too.
    #[must_use]
    pub fn chunks(&self) -> ChunkCipher {
        ChunkCipher::from_secret(self.chunks.format, self.chunks.secret.clone())
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

/// What seals and opens the chunks of one payload: a key and a nonce base. It
/// is all that a process needs which does nothing else.
///
/// In the native format chunk *k* is sealed with AES-256-GCM under the nonce
/// base XOR *k*; the final chunk is the only one that is shorter than the
/// others, which is how it is told. In age's it is ChaCha20-Poly1305, and the
/// nonce is *k* (11 bytes) and a byte that is 1 for the final chunk, else 0.
/// There is no associated data.
pub struct ChunkCipher {
    format: Format,
    key: LessSafeKey,
    /// `key(32) || base_nonce(12)`; age has no base, and zeros there.
    secret: Zeroizing<[u8; Self::SECRET_LEN]>,
}

impl ChunkCipher {
    /// Bytes of [`ChunkCipher::expose_secret`].
    pub const SECRET_LEN: usize = KEY_LEN + NONCE_LEN;

    /// Takes what [`ChunkCipher::expose_secret`] gave in another process.
    #[must_use]
    pub fn from_secret(format: Format, secret: Zeroizing<[u8; Self::SECRET_LEN]>) -> Self {
        let algorithm = match format {
            Format::Native => &AES_256_GCM,
            Format::Age => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &secret[..KEY_LEN])
            .expect("the key has 32 bytes, as both ciphers ask for");
        Self { format, key: LessSafeKey::new(key), secret }
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
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
    ///
    /// # Panics
    /// When the segment is of another format.
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
            let (ciphertext, tag) = sealed.split_at_mut(text.len());
            self.key
                .seal_out_of_place_scatter(
                    self.nonce(segment, chunk),
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
    ///
    /// # Panics
    /// When the segment is of another format.
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
            let (ciphertext, tag) = sealed.split_at(text.len());
            let opened = self.key.open_separate_gather(
                self.nonce(segment, chunk),
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
                let plaintext_offset = chunk * self.format.chunk_len() as u64;
                Err(ChunkError::Damaged { chunk, plaintext_offset })
            }
        }
    }

    /// The nonce of a chunk of `segment`.
    fn nonce(&self, segment: &Segment, chunk: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.secret[KEY_LEN..]);
        // Each chunk's number is below 2^38, so it never reaches the others.
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
        Nonce::assume_unique_for_key(nonce)
    }

    /// Segments of the other format have other places and lengths.
    fn check_format(&self, segment: &Segment) {
        assert!(segment.format() == self.format, "a cipher got a segment of another format");
    }
}

fn check_len(got: usize, expected: usize) -> Result<(), ChunkError> {
    if got == expected { Ok(()) } else { Err(ChunkError::BufferLength { got, expected }) }
}

/// Pairs each chunk of plaintext with its sealed place. The lengths were
/// checked, so the shorter or empty final chunk is what is left of both.
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

/// Pairs each sealed chunk with the place for its plaintext.
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
