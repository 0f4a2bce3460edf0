//! Decrypts files.

use cryptstream_format::{ChunkCipher, Header, Identity, Layout, Segment};
use zeroize::Zeroizing;

use crate::header::unlock;
use crate::journal;
use crate::output::Sink;
use crate::payload::Payload;
use crate::progress::check_cancelled;
use crate::request::{Decrypt, Output};
use crate::reread::check_decrypted;
use crate::transform::Operation;
use crate::{CommitOptions, Engine, Error, Progress, Source, Summary, Target, Verify};

impl Engine {
    /// Decrypts a file, or anything else that can be read, with the first identity that
    /// fits.
    ///
    /// An output file gets its name when all of it is verified, and a stream gets only
    /// verified segments.
    ///
    /// # Errors
    /// See [`Error`]; there is no output file then. [`Error::BrokenPipe`] when the reader
    /// of a stream gives up.
    pub fn decrypt(&mut self, request: Decrypt<'_>) -> Result<Summary, Error> {
        let Decrypt { input, output, identities, commit, progress } = request;
        let parser = self.parser_for(&input)?;
        let begin = |source: &mut Source| match output {
            Output::Target(target) => {
                FileDecryption::begin(source, Some(&target), identities, commit)
            }
            Output::Pipe(pipe) => {
                let (decryption, payload) =
                    FileDecryption::begin(source, None, identities, commit)?;
                let sink = Sink::pipe(pipe, source.path().to_owned());
                Ok((FileDecryption { sink, ..decryption }, payload))
            }
        };
        input.with(&parser, |source| self.decrypt_source(source, begin, commit, progress))
    }

    /// Verifies a file: decrypts all of it and writes nothing.
    ///
    /// # Errors
    /// Those of [`Engine::decrypt`]. The first damaged chunk is an error;
    /// [`Engine::scan_for_damage`] finds them all.
    pub fn verify(&mut self, request: Verify<'_>) -> Result<Summary, Error> {
        let Verify { input, identities, progress } = request;
        let parser = self.parser_for(&input)?;
        let commit = CommitOptions::default();
        let begin = |source: &mut Source| FileDecryption::begin(source, None, identities, commit);
        input.with(&parser, |source| self.decrypt_source(source, begin, commit, progress))
    }

    fn decrypt_source(
        &mut self,
        source: &mut Source,
        begin: impl FnOnce(&mut Source) -> Result<(FileDecryption, Payload), Error>,
        commit: CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Summary, Error> {
        let (mut decryption, payload) = begin(source)?;
        self.set_caching(source, &mut decryption.sink, commit);
        progress.start(source.expected_len());
        progress.advance(payload.start + payload.cipher.format().prefix_len() as u64);
        let last = self.run_payload(payload, source, &mut decryption.sink, progress)?;
        let workers = self.end_work(commit);
        check_cancelled(progress)?;
        Ok(Summary { workers, ..decryption.finish(source, &last, commit)? })
    }
}

/// A file that is being decrypted.
pub(crate) struct FileDecryption {
    pub(crate) sink: Sink,
    start: u64,
    /// For reading the output again, where that is wanted.
    cipher: Option<ChunkCipher>,
}

impl FileDecryption {
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
            Some(target) => target.open(source, commit)?,
            None => Sink::Nowhere,
        };
        let cipher = unlock(source, header, identities)?;
        if let Some(layout) = layout {
            sink.expect(layout.plaintext_len())?;
        }
        let again = commit
            .verifies()
            .then(|| ChunkCipher::from_secret(format, Zeroizing::new(*cipher.expose_secret())));
        let payload =
            Payload { operation: Operation::Decrypt, layout, start, cipher, head: Vec::new() };
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
            Some(cipher) => check_decrypted(output, source, cipher, start, last),
            None => Err(Error::Internal("there is no key for reading the output again")),
        };
        let dropped = self.sink.commit(source, commit, Some(&reread))?;
        let sealed_len = start + last.payload_offset() + last.sealed_len() as u64;
        let bytes_in = source.text_len().unwrap_or(sealed_len);
        let (format, is_armored) = (last.format(), source.is_armored());
        Ok(Summary { format, is_armored, bytes_in, bytes_out, dropped, ..Summary::default() })
    }
}
