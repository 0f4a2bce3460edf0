//! The same content under another file key: several threads decrypt each segment and
//! encrypt it again, in memory, at its place in the new file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cryptstream_format::{PayloadCipher, Segment};
use zeroize::Zeroizing;

use super::file::{LockedFile, Unlocked};
use super::summary::{RekeyMethod, RekeySummary};
use crate::error_context::{ErrorContext, InContext};
use crate::memory::zeroed;
use crate::output::PendingFile;
use crate::parser_cipher::ParserCipher;
use crate::part_io::{Buffers, PART_LEN, SealedReader, WriteCoalescer};
use crate::transform::{Operation, PartCipher, transform};
use crate::{Error, Progress};

/// More do not write faster into one file.
const MAX_THREADS: usize = 4;

/// What the threads share.
struct Work<'a> {
    file: &'a LockedFile,
    old: &'a Unlocked,
    /// Where the new payload begins.
    start: u64,
    cipher: &'a PayloadCipher,
    pending: &'a PendingFile,
    next: AtomicU64,
    /// Bytes done, of which nobody has been told yet.
    done: AtomicU64,
    is_over: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl LockedFile {
    /// Lets a file with `header` and a payload of `cipher` take the place of
    /// this one.
    pub(super) fn reseal(
        &self,
        old: &Unlocked,
        header: &[u8],
        cipher: &PayloadCipher,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<RekeySummary, Error> {
        progress.start(Some(self.len));
        let start = header.len() as u64;
        let len = start + old.layout.payload_len();
        let pending = self.begin_replacing()?;
        pending.reserve(len)?;
        pending.write_at(0, header)?;
        pending.write_at(start, cipher.prefix())?;
        progress.advance(old.start() + cipher.prefix().len() as u64);
        let work = Work {
            file: self,
            old,
            start,
            cipher,
            pending: &pending,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            error: Mutex::new(None),
        };
        let helpers = threads.min(MAX_THREADS).min(old.layout.segment_count() as usize);
        thread::scope(|scope| {
            for _ in 1..helpers {
                // With fewer it takes longer.
                let _ = thread::Builder::new().spawn_scoped(scope, || work.run(None));
            }
            work.run(Some(progress));
        });
        progress.advance(work.done.swap(0, Ordering::Relaxed));
        if let Some(error) = work.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        self.replace_by(pending)?;
        self.summary(old, RekeyMethod::Reencrypted, header, len)
    }
}

impl Work<'_> {
    /// Does segments until there are no more, or somebody has failed. One
    /// of the threads tells how far all have come.
    fn run(&self, progress: Option<&dyn Progress>) {
        let result = self.run_segments(progress);
        if let Err(error) = result {
            self.is_over.store(true, Ordering::Relaxed);
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    fn run_segments(&self, progress: Option<&dyn Progress>) -> Result<(), Error> {
        let source = &self.file.source;
        let longest = self.old.layout.segment(0).map_or(0, |segment| segment.sealed_len());
        let Buffers { mut input, mut output } = Buffers::new(longest)?;
        let start = self.old.start();
        let (path, output_path) = (source.path().to_owned(), self.pending.path().to_owned());
        let context = ErrorContext { path, output_path, start };
        let old = self.old.cipher.chunks();
        let mut cipher = Reencrypt {
            old: ParserCipher { operation: Operation::Open, cipher: &old, source, start },
            new: self.cipher,
            opened: Zeroizing::new(zeroed(PART_LEN)?),
        };
        while !self.is_over.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = self.old.layout.segment(index) else { break };
            let reader = SealedReader { file: &self.file.file, start, buffer: &mut input };
            let mut reader = InContext { reader, context: &context };
            let put = |offset: u64, bytes: &[u8]| self.pending.write_at(offset, bytes);
            let offset = Operation::Seal.output_offset(&segment, self.start);
            let mut writer = WriteCoalescer::new(Operation::Seal, &mut output, offset, put);
            transform(&segment, PART_LEN, &mut reader, &mut cipher, &mut writer)?;
            self.done.fetch_add(segment.sealed_len() as u64, Ordering::Relaxed);
            if let Some(progress) = progress {
                progress.advance(self.done.swap(0, Ordering::Relaxed));
            }
        }
        Ok(())
    }
}

/// Decrypts a part with the old key, and encrypts it with the new one.
struct Reencrypt<'a> {
    old: ParserCipher<'a>,
    new: &'a PayloadCipher,
    opened: Zeroizing<Vec<u8>>,
}

impl PartCipher<Error> for Reencrypt<'_> {
    fn apply(&mut self, part: &Segment, input: &[u8], output: &mut [u8]) -> Result<(), Error> {
        let opened = &mut self.opened[..part.plaintext_len()];
        self.old.apply(part, input, opened)?;
        let sealed = self.new.seal(part, opened, output);
        sealed.map_err(|_| Error::Internal("a buffer of the wrong length"))
    }
}
