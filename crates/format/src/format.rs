//! The two formats and their differences. The grammar of the header is the same.

/// Bytes of the authentication tag that follows each chunk.
pub const TAG_LEN: usize = 16;
/// Bytes of the key and the nonces of both formats' ciphers.
pub(crate) const KEY_LEN: usize = 32;
pub(crate) const NONCE_LEN: usize = 12;
/// Plaintext bytes in every segment except the last: 1 MiB, the fastest of 64 KiB … 4 MiB.
pub const SEGMENT_LEN: usize = 1 << 20;

/// A file format. The first line of a file identifies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The native format: AES-256-GCM in chunks of 16 KiB (C2SP `chunked-encryption`), with a
    /// commitment to the key.
    #[default]
    Native,
    /// age v1 (C2SP `age.md`): ChaCha20-Poly1305 in chunks of 64 KiB.
    Age,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 2] = [Self::Native, Self::Age];

    /// The first line of a file, without its line feed.
    #[must_use]
    pub const fn version_line(self) -> &'static [u8] {
        match self {
            Self::Native => b"cryptstream/v1",
            Self::Age => b"age-encryption.org/v1",
        }
    }

    /// The longest header that is written or read, in bytes: 1 MiB, or 16 MiB in age files. age
    /// itself has no limit.
    #[must_use]
    pub const fn max_header_len(self) -> usize {
        match self {
            Self::Native => 1 << 20,
            Self::Age => 16 << 20,
        }
    }

    /// The most stanzas that are written or read: 1,024, or 65,536 in age files.
    #[must_use]
    pub const fn max_stanzas(self) -> usize {
        match self {
            Self::Native => 1024,
            Self::Age => 1 << 16,
        }
    }

    /// Plaintext bytes in every chunk except the final one: 16 KiB, or 64 KiB in age files.
    #[must_use]
    pub const fn chunk_len(self) -> usize {
        match self {
            Self::Native => 16 << 10,
            Self::Age => 64 << 10,
        }
    }

    /// Bytes of a full chunk with its tag.
    #[must_use]
    pub const fn sealed_chunk_len(self) -> usize {
        self.chunk_len() + TAG_LEN
    }

    /// Chunks in a full segment: 64, or 16 in age files.
    #[must_use]
    pub const fn segment_chunks(self) -> usize {
        SEGMENT_LEN / self.chunk_len()
    }

    /// Bytes of a full segment with its tags.
    #[must_use]
    pub const fn sealed_segment_len(self) -> usize {
        self.segment_chunks() * self.sealed_chunk_len()
    }

    /// Bytes of the payload before the first chunk: salt (24) and commitment (32), or the nonce of
    /// age (16).
    #[must_use]
    pub const fn prefix_len(self) -> usize {
        match self {
            Self::Native => 24 + 32,
            Self::Age => 16,
        }
    }

    /// Whether the final chunk may be full. In age files it may, and its nonce marks it. In native
    /// files it is always shorter than the others, which marks it.
    #[must_use]
    pub const fn final_chunk_may_be_full(self) -> bool {
        matches!(self, Self::Age)
    }

    /// The HKDF info for the MAC key of the header.
    pub(crate) const fn mac_info(self) -> &'static [u8] {
        match self {
            Self::Native => b"cryptstream/v1 header",
            Self::Age => b"header",
        }
    }
}
