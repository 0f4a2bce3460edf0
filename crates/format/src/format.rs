//! The two formats, and what they differ in. Headers have one grammar in both.

/// Bytes of the authentication tag that follows each chunk.
pub const TAG_LEN: usize = 16;
/// Plaintext bytes in every segment but the last one: 1 MiB, measured to be
/// the best unit of work among 64 KiB … 4 MiB.
pub const SEGMENT_LEN: usize = 1 << 20;

/// A file format, told by a file's first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// CryptStream's own: AES-256-GCM in chunks of 16 KiB (C2SP
    /// `chunked-encryption`), with a commitment to the key.
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

    /// The longest header that is written or read, in bytes: 1 MiB, of age's
    /// 16 MiB. age itself has no limit.
    #[must_use]
    pub const fn max_header_len(self) -> usize {
        match self {
            Self::Native => 1 << 20,
            Self::Age => 16 << 20,
        }
    }

    /// The most stanzas that are written or read: 1,024, of age's 65,536.
    #[must_use]
    pub const fn max_stanzas(self) -> usize {
        match self {
            Self::Native => 1024,
            Self::Age => 1 << 16,
        }
    }

    /// Plaintext bytes in every chunk but the final one: 16 KiB or 64 KiB.
    #[must_use]
    pub const fn chunk_len(self) -> usize {
        match self {
            Self::Native => 16 << 10,
            Self::Age => 64 << 10,
        }
    }

    /// A full chunk with its tag.
    #[must_use]
    pub const fn sealed_chunk_len(self) -> usize {
        self.chunk_len() + TAG_LEN
    }

    /// Chunks in a full segment: 64 or 16.
    #[must_use]
    pub const fn segment_chunks(self) -> usize {
        SEGMENT_LEN / self.chunk_len()
    }

    /// A full segment with its tags.
    #[must_use]
    pub const fn sealed_segment_len(self) -> usize {
        self.segment_chunks() * self.sealed_chunk_len()
    }

    /// Bytes of the payload before its first chunk: salt (24) and commitment
    /// (32), or age's nonce (16).
    #[must_use]
    pub const fn prefix_len(self) -> usize {
        match self {
            Self::Native => 24 + 32,
            Self::Age => 16,
        }
    }

    /// Whether the final chunk may have the full length. In age's format it
    /// may, and is told by its nonce; a native one is told by being shorter.
    #[must_use]
    pub const fn final_chunk_may_be_full(self) -> bool {
        matches!(self, Self::Age)
    }

    /// What the header's MAC key is derived with.
    pub(crate) const fn mac_info(self) -> &'static [u8] {
        match self {
            Self::Native => b"cryptstream/v1 header",
            Self::Age => b"header",
        }
    }
}
