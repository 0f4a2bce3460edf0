//! Encrypts and decrypts in memory, for callers who read and write themselves.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cryptstream_format::armor::is_armored;
use cryptstream_format::header::HeaderErrorKind;
use cryptstream_format::{
    ChunkCipher, FileKey, Format, Header, Identity, Layout, Padding, PayloadCipher, Recipient,
    Segment,
};
use cryptstream_shm::SecretScope;

use crate::Error;
use crate::chunk_ranges::{ChunkRanges, TakeSealed};
use crate::encrypt::{PAD_FROM, wrap};
use crate::header::{HEADER_BLOCK, not_encrypted_at, unlock_error_of};

/// A plaintext in memory that is to be encrypted. The caller provides the memory for the result.
///
/// ```
/// use std::path::Path;
///
/// use cryptstream_engine::{ChunkLayout, MemoryEncryption};
/// use cryptstream_format::Format;
/// use cryptstream_format::x25519::SecretKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SecretKey::generate()?;
/// let encryption = MemoryEncryption::new(9, Format::Native, &[&key.to_public()])?;
/// let mut encrypted = vec![0; encryption.len()];
/// encryption.write(b"some text", &mut encrypted, 1, &|| false)?;
///
/// let len = encrypted.len() as u64;
/// let layout = ChunkLayout::open(&encrypted, len, &[&key], Path::new("memory"))?;
/// let layout = layout.ok_or("more is needed")?;
/// let bytes = layout.encrypted_range(5..9);
/// let mut text = vec![0; 4];
/// layout.decrypt(5, &encrypted[bytes.start as usize..bytes.end as usize], &mut text, 1, &|| false)?;
/// assert_eq!(text, b"text");
/// # Ok(())
/// # }
/// ```
pub struct MemoryEncryption {
    header: Vec<u8>,
    cipher: PayloadCipher,
    layout: Layout,
}

impl MemoryEncryption {
    /// Makes the header of a file with `len` bytes of plaintext. If a recipient is a passphrase,
    /// this takes as long as its derivation.
    ///
    /// # Errors
    /// [`Error::Wrap`], [`Error::Random`], [`Error::TooLong`].
    pub fn new(
        len: usize,
        format: Format,
        recipients: &[&(dyn Recipient + Sync)],
    ) -> Result<Self, Error> {
        let layout = Layout::of_plaintext(format, len as u64)
            .map_err(|source| Error::TooLong { path: PathBuf::from("the data"), source })?;
        let padding = match format {
            Format::Native if len >= PAD_FROM => Padding::Multiple(HEADER_BLOCK),
            _ => Padding::None,
        };
        let prepared = recipients.iter().find_map(|recipient| recipient.prepared_file_key());
        let file_key = prepared.map_or_else(FileKey::generate, Ok)?;
        let cipher = PayloadCipher::generate(format, &file_key)?;
        let header = wrap(format, &file_key, recipients, padding)?;
        Ok(Self { header, cipher, layout })
    }

    /// The length of the result in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.header.len() + self.layout.payload_len() as usize
    }

    /// Encrypts `plaintext` into `output`, on up to `threads` threads.
    ///
    /// # Errors
    /// [`Error::Internal`] if one of them has another length than was said. [`Error::Cancelled`]
    /// once `is_cancelled` returns true.
    pub fn write(
        self,
        plaintext: &[u8],
        output: &mut [u8],
        threads: usize,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        let wrong = || Error::Internal("a buffer of the wrong length");
        if plaintext.len() as u64 != self.layout.plaintext_len() || output.len() != self.len() {
            return Err(wrong());
        }
        let (header, payload) = output.split_at_mut(self.header.len());
        header.copy_from_slice(&self.header);
        let (prefix, mut rest) = payload.split_at_mut(self.cipher.prefix().len());
        prefix.copy_from_slice(self.cipher.prefix());
        let segments = Mutex::new(self.layout.segments().map(|segment| {
            let (sealed, after) = std::mem::take(&mut rest).split_at_mut(segment.sealed_len());
            rest = after;
            (segment, sealed)
        }));
        let failed = Mutex::new(false);
        let work = || {
            loop {
                let next = segments.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((segment, sealed)) = next else { return };
                let text = &plaintext[segment.plaintext_offset() as usize..];
                let text = &text[..segment.plaintext_len()];
                if is_cancelled() {
                    return;
                }
                if self.cipher.seal(&segment, text, sealed).is_err() {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
            }
        };
        let count = usize::try_from(self.layout.segment_count()).unwrap_or(usize::MAX);
        thread::scope(|scope| {
            for _ in 1..threads.min(count) {
                // Fewer threads only take longer.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        match failed.into_inner() {
            _ if is_cancelled() => Err(Error::Cancelled),
            Ok(false) => Ok(()),
            _ => Err(wrong()),
        }
    }
}

/// Where the chunks of an encrypted file are, and the key to open them. The caller reads the file
/// itself, such as from a store, and only the parts that it needs.
///
/// The length of the plaintext follows from the length of the file, and is verified once the final
/// chunk has been decrypted.
pub struct ChunkLayout {
    header_len: u64,
    layout: Layout,
    cipher: ChunkCipher,
    path: PathBuf,
}

impl ChunkLayout {
    /// Unlocks a file of `len` bytes that begins with `head`. Returns `None` if more of it is
    /// needed. `name` is its name for messages.
    ///
    /// # Errors
    /// [`Error::NotSeekable`] if it is armored, and those of
    /// [`Engine::decrypt`](crate::Engine::decrypt).
    pub fn open(
        head: &[u8],
        len: u64,
        identities: &[&dyn Identity],
        name: &Path,
    ) -> Result<Option<Self>, Error> {
        let path = name.to_owned();
        if is_armored(head) {
            return Err(Error::NotSeekable { path, is_armored: true });
        }
        let is_whole = head.len() as u64 >= len;
        let cut = || match is_whole {
            _ if head.is_empty() && is_whole => Err(not_encrypted_at(name, head)),
            true => Err(Error::CutInHeader { path: path.clone(), len }),
            false => Ok(None),
        };
        let header = match Header::parse(head) {
            Ok(Some(header)) => header,
            Ok(None) => return cut(),
            Err(error) if error.kind == HeaderErrorKind::Version => {
                return Err(not_encrypted_at(name, head));
            }
            Err(source) => return Err(Error::Header { path, source }),
        };
        let (format, header_len) = (header.format(), header.len() as u64);
        let Some(prefix) = head[header.len()..].get(..format.prefix_len()) else {
            return cut();
        };
        let layout = Layout::of_payload(format, len.saturating_sub(header_len))
            .map_err(|source| Error::Layout { path: path.clone(), source })?;
        let _secrets = SecretScope::open();
        let file_key =
            header.unlock(identities).map_err(|error| unlock_error_of(name, &header, error))?;
        let cipher = PayloadCipher::from_prefix(format, &file_key, prefix)
            .map_err(|source| Error::Commitment { path: path.clone(), source })?
            .into_chunks();
        Ok(Some(Self { header_len, layout, cipher, path }))
    }

    /// The length of the plaintext in bytes.
    #[must_use]
    pub fn plaintext_len(&self) -> u64 {
        self.layout.plaintext_len()
    }

    /// The range of the plaintext that is in the final chunk. It may be empty.
    #[must_use]
    pub fn final_range(&self) -> Range<u64> {
        self.layout.final_chunk().plaintext_offset()..self.plaintext_len()
    }

    /// The bytes of the encrypted file with the chunks that hold this range of the plaintext. If
    /// the range is empty, those of the final chunk.
    #[must_use]
    pub fn encrypted_range(&self, range: Range<u64>) -> Range<u64> {
        let (format, last) = (self.layout.format(), self.layout.final_chunk());
        let end = range.end.min(self.plaintext_len());
        let chunk_len = format.chunk_len() as u64;
        let first = match range.start < end {
            true => (range.start / chunk_len).min(last.first_chunk()),
            false => last.first_chunk(),
        };
        let after = end.div_ceil(chunk_len);
        let sealed_end = match range.start < end && after <= last.first_chunk() {
            true => cryptstream_format::payload::chunk_offset(format, after),
            false => self.layout.payload_len(),
        };
        let sealed_start = cryptstream_format::payload::chunk_offset(format, first);
        self.header_len + sealed_start..self.header_len + sealed_end
    }

    /// Decrypts the plaintext from byte `offset` on into `output`, on up to `threads` threads.
    /// `sealed` is what the file has in the [range](Self::encrypted_range) of it. If `output` is
    /// empty, the final chunk is verified.
    ///
    /// # Errors
    /// [`Error::Damaged`]; then `output` is zeros. [`Error::InputChanged`] if `sealed` has another
    /// length than the range. [`Error::Cancelled`] once `is_cancelled` returns true.
    pub fn decrypt(
        &self,
        offset: u64,
        sealed: &[u8],
        output: &mut [u8],
        threads: usize,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Error> {
        let end = offset.saturating_add(output.len() as u64);
        if end > self.plaintext_len() {
            return Err(Error::Internal("a range outside of the plaintext"));
        }
        let range = self.encrypted_range(offset..end);
        if range.end - range.start != sealed.len() as u64 {
            return Err(Error::InputChanged { path: self.path.clone() });
        }
        let Self { header_len: start, layout, cipher, path } = self;
        let ranges = ChunkRanges { layout, cipher, path, start: *start };
        let of_run = |run: &Segment| {
            let from = (start + run.payload_offset() - range.start) as usize;
            &sealed[from..from + run.sealed_len()]
        };
        if output.is_empty() {
            return ranges.verify_end(of_run(&layout.final_chunk()));
        }
        let fetch = |run: &Segment, _: &mut Vec<u8>, take: &mut TakeSealed<'_>| take(of_run(run));
        ranges.open(offset, output, threads, is_cancelled, &fetch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptstream_format::x25519::SecretKey;

    fn text(len: usize) -> Vec<u8> {
        (0..len as u32).map(|i| (i >> 8) as u8 ^ i as u8).collect()
    }

    fn encrypted(key: &SecretKey, format: Format, text: &[u8], threads: usize) -> Vec<u8> {
        let encryption = MemoryEncryption::new(text.len(), format, &[&key.to_public()]).unwrap();
        let mut encrypted = vec![0; encryption.len()];
        encryption.write(text, &mut encrypted, threads, &|| false).unwrap();
        encrypted
    }

    fn layout(key: &SecretKey, file: &[u8]) -> Result<Option<ChunkLayout>, Error> {
        ChunkLayout::open(file, file.len() as u64, &[key], Path::new("a"))
    }

    #[test]
    fn every_range_is_decrypted_from_its_chunks_alone() {
        let key = SecretKey::generate().unwrap();
        for format in Format::ALL {
            for len in [0, 1, 16 << 10, (64 << 10) + 5, (3 << 20) + 7] {
                let text = text(len);
                let file = encrypted(&key, format, &text, 3);
                let layout = layout(&key, &file).unwrap().unwrap();
                assert_eq!(layout.plaintext_len(), len as u64);
                let ends = [0, 1, len / 3, len / 2, len.saturating_sub(1), len];
                for (start, end) in ends
                    .iter()
                    .flat_map(|a| ends.iter().map(move |b| (*a, *b)))
                    .filter(|r| r.0 <= r.1 && r.1 <= len)
                {
                    let range = layout.encrypted_range(start as u64..end as u64);
                    let sealed = &file[range.start as usize..range.end as usize];
                    let mut output = vec![0; end - start];
                    layout.decrypt(start as u64, sealed, &mut output, 2, &|| false).unwrap();
                    assert!(output == text[start..end], "{format:?} {len}: {start}..{end}");
                    // A chunk at each end, and no more.
                    let most = (end - start) + 3 * (format.chunk_len() + 16);
                    assert!(sealed.len() <= most, "{} for {start}..{end}", sealed.len());
                }
            }
        }
    }

    #[test]
    fn damage_is_found_and_nothing_comes_out() {
        let key = SecretKey::generate().unwrap();
        let text = text(3 << 20);
        let mut file = encrypted(&key, Format::Native, &text, 1);
        let middle = file.len() / 2;
        file[middle] ^= 1;
        let layout = layout(&key, &file).unwrap().unwrap();
        let range = layout.encrypted_range(0..text.len() as u64);
        let sealed = &file[range.start as usize..range.end as usize];
        let mut output = vec![1; text.len()];
        let result = layout.decrypt(0, sealed, &mut output, 3, &|| false);
        let given_up = layout.decrypt(0, sealed, &mut output, 3, &|| true);
        assert!(matches!(given_up, Err(Error::Cancelled)), "{given_up:?}");
        assert!(matches!(result, Err(Error::Damaged { .. })), "{result:?}");
        assert!(output.iter().all(|byte| *byte == 0));
        let short = layout.decrypt(0, &sealed[1..], &mut output, 1, &|| false);
        assert!(matches!(short, Err(Error::InputChanged { .. })), "{short:?}");
        assert!(layout.decrypt(1, sealed, &mut output, 1, &|| false).is_err());
    }

    #[test]
    fn the_end_is_verified_and_a_cut_header_is_not_a_file() {
        let key = SecretKey::generate().unwrap();
        let file = encrypted(&key, Format::Native, &text(40_000), 1);
        let name = Path::new("a");
        let open = |head: &[u8], len: usize| ChunkLayout::open(head, len as u64, &[&key], name);
        assert!(matches!(open(&file[..10], file.len()), Ok(None)));
        assert!(matches!(open(&file[..10], 10), Err(Error::CutInHeader { .. })));
        assert!(matches!(open(b"", 0), Err(Error::NotEncrypted { .. })));
        assert!(matches!(open(b"hello", 5), Err(Error::NotEncrypted { .. })));
        // Cut at a chunk: only the final one tells.
        let cut = open(&file, file.len() - 100).unwrap().unwrap();
        let range = cut.encrypted_range(0..0);
        let sealed = &file[range.start as usize..range.end as usize];
        assert!(matches!(
            cut.decrypt(0, sealed, &mut [], 1, &|| false),
            Err(Error::Damaged { .. })
        ));
        let whole = open(&file, file.len()).unwrap().unwrap();
        let range = whole.encrypted_range(0..0);
        let sealed = &file[range.start as usize..range.end as usize];
        whole.decrypt(0, sealed, &mut [], 1, &|| false).unwrap();
    }
}
