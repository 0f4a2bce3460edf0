//! The header of an encrypted file: read, and unlocked with an identity.

use std::path::Path;

use cryptstream_format::header::{HeaderError, HeaderErrorKind};
use cryptstream_format::{ChunkCipher, FileKey, Header, Identity, PayloadCipher, UnlockError};
use cryptstream_shm::SecretScope;

use crate::memory::{grow, zeroed};
use crate::workers::Beginning;
use crate::{Error, Source};

/// Headers of long files are filled up to a multiple of this, the block of file systems.
pub(crate) const HEADER_BLOCK: usize = 4096;
/// Bytes that are read first: enough for nearly all headers, and for small files entirely.
const FIRST_READ: usize = 16 << 10;
/// Bytes of a file that is not encrypted that are kept, for guessing its type.
const HEAD_LEN: usize = 512;
/// The most recipient types that an error lists.
const MAX_KINDS: usize = 8;

/// Finds the payload key. Reads `source` from the first byte of the payload up to the first
/// chunk.
pub(crate) fn unlock(
    source: &mut Source,
    header: &Header,
    identities: &[&dyn Identity],
) -> Result<ChunkCipher, Error> {
    let _secrets = SecretScope::open();
    let file_key =
        header.unlock(identities).map_err(|error| unlock_error(source, header, error))?;
    payload_key(source, header, &file_key)
}

/// Does the same if the header was altered.
pub(crate) fn unlock_altered(
    source: &mut Source,
    header: &Header,
    identities: &[&dyn Identity],
) -> Result<ChunkCipher, Error> {
    let _secrets = SecretScope::open();
    let unlocked = header.unlock_altered(identities);
    let (file_key, _) = unlocked.map_err(|error| unlock_error(source, header, error))?;
    payload_key(source, header, &file_key)
}

fn payload_key(
    source: &mut Source,
    header: &Header,
    file_key: &FileKey,
) -> Result<ChunkCipher, Error> {
    let mut prefix = vec![0; header.format().prefix_len()];
    if source.fill(&mut prefix)? < prefix.len() {
        return Err(cut_in_header(source));
    }
    let cipher = PayloadCipher::from_prefix(header.format(), file_key, &prefix)
        .map_err(|error| Error::Commitment { path: source.path().to_owned(), source: error })?;
    source.set_authenticated();
    Ok(cipher.into_chunks())
}

/// Reads the header, up to the first byte of the payload. Detects armor.
pub(crate) fn read_header(source: &mut Source) -> Result<Header, Error> {
    read_repaired(source, |_, _| false)
}

/// Reads a header in which `repair` may have changed what is wrong; it returns whether it has.
pub(crate) fn read_repaired(
    source: &mut Source,
    repair: impl Fn(&HeaderError, &mut [u8]) -> bool,
) -> Result<Header, Error> {
    // What is not needed of an object is not fetched.
    let first = if source.is_object() { HEADER_BLOCK } else { FIRST_READ };
    let mut bytes = zeroed(first)?;
    let mut len = source.fill(&mut bytes)?;
    let mut may_be_armor = true;
    loop {
        let path = source.path().to_owned();
        let beginning = source.parser().begin(&path, &bytes[..len], may_be_armor)?;
        match beginning {
            Beginning::Armor => {
                source.unarmor(&bytes[..len])?;
                len = source.fill(&mut bytes)?;
            }
            Beginning::Header(offsets) => {
                if offsets.len() > len {
                    return Err(Error::ParserDied { path });
                }
                source.give_back(&bytes[offsets.len()..len])?;
                // A wrong table means that the sandboxed process has been taken over.
                return Header::new(bytes, &offsets).ok_or(Error::ParserDied { path });
            }
            // Full means that there may be more; the parser gives up at the
            // format's limit.
            Beginning::Incomplete if len == bytes.len() => {
                grow(&mut bytes, 2 * len)?;
                len += source.fill(&mut bytes[len..])?;
            }
            Beginning::Incomplete if len == 0 => return Err(not_encrypted(source, &[])),
            Beginning::Incomplete => return Err(cut_in_header(source)),
            Beginning::Wrong(error) if error.kind == HeaderErrorKind::Version => {
                return Err(not_encrypted(source, &bytes[..len]));
            }
            Beginning::Wrong(error) if repair(&error, &mut bytes[..len]) => {}
            Beginning::Wrong(error) => return Err(Error::Header { path, source: error }),
        }
        may_be_armor = false;
    }
}

/// Why the header of `source` was not unlocked.
pub(crate) fn unlock_error(source: &Source, header: &Header, error: UnlockError) -> Error {
    unlock_error_of(source.path(), header, error)
}

/// The same for a file that is not read here.
pub(crate) fn unlock_error_of(path: &Path, header: &Header, error: UnlockError) -> Error {
    // Each type once, in order, up to a limit.
    let mut kinds: Vec<String> = Vec::new();
    let mut recipients = 0;
    for stanza in header.stanzas().iter().filter(|stanza| !stanza.is_padding()) {
        recipients += 1;
        if kinds.len() < MAX_KINDS && !kinds.iter().any(|kind| kind == stanza.tag()) {
            kinds.push(stanza.tag().to_owned());
        }
    }
    let (path, format) = (path.to_owned(), header.format());
    Error::Unlock { path, source: error, format, recipients, recipient_types: kinds }
}

fn not_encrypted(source: &Source, bytes: &[u8]) -> Error {
    not_encrypted_at(source.path(), bytes)
}

/// The same for a file that is not read here.
pub(crate) fn not_encrypted_at(path: &Path, bytes: &[u8]) -> Error {
    let head = bytes[..bytes.len().min(HEAD_LEN)].to_vec();
    Error::NotEncrypted { path: path.to_owned(), head }
}

pub(crate) fn cut_in_header(source: &Source) -> Error {
    Error::CutInHeader { path: source.path().to_owned(), len: source.position() }
}
