//! Opening: header and sealed segments in, plaintext out.

use std::os::fd::OwnedFd;

use cryptstream_format::header::HeaderErrorKind;
use cryptstream_format::{
    ChunkCipher, Header, Identity, Layout, PayloadCipher, Segment, UnlockError,
};
use zeroize::Zeroizing;

use cryptstream_shm::SecretScope;

use crate::engine::Payload;
use crate::job::Operation;
use crate::memory::{grow, zeroed};
use crate::output::Sink;
use crate::rekey::journal;
use crate::reread::check_opened;
use crate::workers::Beginning;
use crate::{CommitOptions, Engine, Error, Progress, Source, Summary, Target};

/// Enough for the headers of nearly all files, and for a small file whole.
const FIRST_READ: usize = 16 << 10;
/// How much of a foreign file is kept for guessing what it is.
const HEAD_LEN: usize = 512;
/// The most kinds of recipients that an error tells.
const MAX_KINDS: usize = 8;

impl Engine {
    /// Opens `source` with the first of `identities` that fits, into `target`.
    ///
    /// Plaintext reaches a file's name only when all of it is verified, and a
    /// stream only in verified segments.
    ///
    /// # Errors
    /// See [`Error`]; the target then has not come into being.
    pub fn decrypt(
        &mut self,
        source: &mut Source,
        target: &Target,
        identities: &[&dyn Identity],
        commit: CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let begin = |source: &mut Source| Opening::begin(source, Some(target), identities, commit);
        self.open(source, begin, commit, progress)
    }

    /// Opens `source` into a pipe, to which only verified segments go: whoever reads
    /// it must make nothing final before this has succeeded.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::BrokenPipe`] when the reader gives up.
    pub fn decrypt_to_pipe(
        &mut self,
        source: &mut Source,
        pipe: OwnedFd,
        identities: &[&dyn Identity],
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let commit = CommitOptions::default();
        let begin = |source: &mut Source| {
            let (opening, payload) = Opening::begin(source, None, identities, commit)?;
            let sink = Sink::pipe(pipe, source.path().to_owned());
            Ok((Opening { sink, ..opening }, payload))
        };
        self.open(source, begin, commit, progress)
    }

    /// Opens everything, and writes nothing: to know that it can be opened.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn verify(
        &mut self,
        source: &mut Source,
        identities: &[&dyn Identity],
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let commit = CommitOptions::default();
        let begin = |source: &mut Source| Opening::begin(source, None, identities, commit);
        self.open(source, begin, commit, progress)
    }

    fn open(
        &mut self,
        source: &mut Source,
        begin: impl FnOnce(&mut Source) -> Result<(Opening, Payload), Error>,
        commit: CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let (mut opening, payload) = begin(source)?;
        progress.start(source.expected_len());
        progress.advance(payload.start + payload.cipher.format().prefix_len() as u64);
        let last = self.pass(payload, source, &mut opening.sink, progress)?;
        let workers = self.end_work(commit);
        Ok(Summary { workers, ..opening.finish(source, &last, commit)? })
    }
}

/// A file that is being opened.
pub(crate) struct Opening {
    pub(crate) sink: Sink,
    start: u64,
    /// For reading the output again, where that is wanted.
    cipher: Option<ChunkCipher>,
}

impl Opening {
    /// Finds the key. What is left is the payload.
    pub(crate) fn begin(
        source: &mut Source,
        target: Option<&Target>,
        identities: &[&dyn Identity],
        commit: CommitOptions,
    ) -> Result<(Self, Payload), Error> {
        journal::open_header(source, |source, header| {
            Self::begin_behind(&header, source, target, identities, commit)
        })
    }

    /// The same behind a header that was read already.
    fn begin_behind(
        header: &Header,
        source: &mut Source,
        target: Option<&Target>,
        identities: &[&dyn Identity],
        commit: CommitOptions,
    ) -> Result<(Self, Payload), Error> {
        let (format, start) = (header.format(), header.len() as u64);
        // Before the key derivation: where the length is wrong, it would be
        // for nothing.
        let layout = source
            .known_len()
            .map(|len| Layout::of_payload(format, len.saturating_sub(start)))
            .transpose()
            .map_err(|error| Error::Layout { path: source.path().to_owned(), source: error })?;
        let sink = match target {
            Some(target) => Sink::open(target, source, commit)?,
            None => Sink::Nowhere,
        };
        let cipher = unlock(source, header, identities)?;
        if let Some(layout) = layout {
            sink.expect(layout.plaintext_len())?;
        }
        let again = commit
            .verifies()
            .then(|| ChunkCipher::from_secret(format, Zeroizing::new(*cipher.expose_secret())));
        let payload = Payload { operation: Operation::Open, layout, start, cipher };
        Ok((Self { sink, start, cipher: again }, payload))
    }

    /// Ends it: the output gets its name.
    pub(crate) fn finish(
        self,
        source: &Source,
        last: &Segment,
        commit: CommitOptions,
    ) -> Result<Summary, Error> {
        let bytes_out = last.plaintext_offset() + last.plaintext_len() as u64;
        self.sink.check_len(bytes_out)?;
        let (start, cipher) = (self.start, self.cipher);
        let reread = |output: &mut Source| match &cipher {
            Some(cipher) => check_opened(output, source, cipher, start, last),
            None => Err(Error::Internal("there is no key for reading the output again")),
        };
        let dropped = self.sink.commit(source, commit, Some(&reread))?;
        let sealed_len = start + last.payload_offset() + last.sealed_len() as u64;
        let bytes_in = source.text_len().unwrap_or(sealed_len);
        let (format, is_armored) = (last.format(), source.is_armored());
        Ok(Summary { format, is_armored, bytes_in, bytes_out, dropped, ..Summary::default() })
    }
}

/// Finds the key of the payload, at whose first byte the source stands; leaves
/// it at the first chunk.
pub(crate) fn unlock(
    source: &mut Source,
    header: &Header,
    identities: &[&dyn Identity],
) -> Result<ChunkCipher, Error> {
    let _secrets = SecretScope::open();
    let file_key =
        header.unlock(identities).map_err(|error| unlock_error(source, header, error))?;
    let mut prefix = vec![0; header.format().prefix_len()];
    if source.fill(&mut prefix)? < prefix.len() {
        return Err(cut_in_header(source));
    }
    let cipher = PayloadCipher::from_prefix(header.format(), &file_key, &prefix)
        .map_err(|error| Error::Commitment { path: source.path().to_owned(), source: error })?;
    source.set_authenticated();
    Ok(cipher.into_chunks())
}

/// Reads the header and leaves the source at the payload's first byte. Here an
/// armored input is found to be one.
pub(crate) fn read_header(source: &mut Source) -> Result<Header, Error> {
    let mut bytes = zeroed(FIRST_READ)?;
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
            Beginning::Header(outline) => {
                if outline.len() > len {
                    return Err(Error::ReaderDied { path });
                }
                source.give_back(&bytes[outline.len()..len])?;
                // Of a table that is wrong a process is to blame that has been taken over.
                return Header::new(bytes, &outline).ok_or(Error::ReaderDied { path });
            }
            // Full means that there may be more; the parser gives up at the
            // format's limit.
            Beginning::Incomplete if len == bytes.len() => {
                grow(&mut bytes, 2 * len)?;
                len += source.fill(&mut bytes[len..])?;
            }
            Beginning::Incomplete if len == 0 => return Err(not_sealed(source, &[])),
            Beginning::Incomplete => return Err(cut_in_header(source)),
            Beginning::Wrong(error) if error.kind == HeaderErrorKind::Version => {
                return Err(not_sealed(source, &bytes[..len]));
            }
            Beginning::Wrong(error) => return Err(Error::Header { path, source: error }),
        }
        may_be_armor = false;
    }
}

/// Why the header of `source` was not unlocked.
pub(crate) fn unlock_error(source: &Source, header: &Header, error: UnlockError) -> Error {
    // One of each kind, in their order, and not as many as a file may name.
    let mut kinds: Vec<String> = Vec::new();
    let mut recipients = 0;
    for stanza in header.stanzas().iter().filter(|stanza| !stanza.is_padding()) {
        recipients += 1;
        if kinds.len() < MAX_KINDS && !kinds.iter().any(|kind| kind == stanza.tag()) {
            kinds.push(stanza.tag().to_owned());
        }
    }
    let path = source.path().to_owned();
    Error::Unlock { path, source: error, recipients, sealed_for: kinds }
}

fn not_sealed(source: &Source, bytes: &[u8]) -> Error {
    let head = bytes[..bytes.len().min(HEAD_LEN)].to_vec();
    Error::NotSealed { path: source.path().to_owned(), head }
}

pub(crate) fn cut_in_header(source: &Source) -> Error {
    Error::CutInHeader { path: source.path().to_owned(), len: source.position() }
}
