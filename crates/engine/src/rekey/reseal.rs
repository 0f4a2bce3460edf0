//! The same content under another file key: each segment is opened and sealed
//! again in memory, by several threads, at its place in the new file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cryptstream_format::{PayloadCipher, Segment};
use zeroize::Zeroizing;

use super::file::{Rekeying, Unlocked};
use super::summary::{RekeyMethod, RekeySummary};
use crate::error_context::damaged;
use crate::file_io::read_at;
use crate::memory::zeroed;
use crate::output::PendingFile;
use crate::{Error, Progress};

/// Opened and sealed at once: it stays in the processor's cache.
const PART_LEN: usize = 64 << 10;
/// More do not write faster into one file.
const MAX_THREADS: usize = 4;

/// What the threads share.
struct Work<'a> {
    rekeying: &'a Rekeying,
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

impl Rekeying {
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
            rekeying: self,
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
        let first = self.old.layout.segment(0).map_or(0, |segment| segment.sealed_len());
        let mut sealed = zeroed(first)?;
        let mut opened = Zeroizing::new(zeroed(PART_LEN)?);
        while !self.is_over.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = self.old.layout.segment(index) else { break };
            self.reseal(&segment, &mut sealed, &mut opened)?;
            self.done.fetch_add(segment.sealed_len() as u64, Ordering::Relaxed);
            if let Some(progress) = progress {
                progress.advance(self.done.swap(0, Ordering::Relaxed));
            }
        }
        Ok(())
    }

    fn reseal(&self, segment: &Segment, buffer: &mut [u8], opened: &mut [u8]) -> Result<(), Error> {
        let len = segment.sealed_len();
        let at = self.old.start() + segment.payload_offset();
        let sealed = &mut buffer[..len];
        let source = &self.rekeying.source;
        match read_at(&self.rekeying.file, sealed, at) {
            Ok(read) if read.len() == len => {}
            Ok(_) => return Err(source.changed()),
            Err(error) => return Err(self.rekeying.unreadable(at, error)),
        }
        let mut from = 0;
        for part in segment.split(PART_LEN) {
            let sealed = &mut sealed[from..from + part.sealed_len()];
            let opened = &mut opened[..part.plaintext_len()];
            let (path, cipher) = (source.path(), self.old.cipher.chunks());
            if let Some(chunk) = source.parser().open(path, &cipher, &part, sealed, opened)? {
                return Err(damaged(path, self.old.start(), &part, chunk));
            }
            self.cipher
                .seal(&part, opened, sealed)
                .map_err(|_| Error::Internal("a buffer of the wrong length"))?;
            from += part.sealed_len();
        }
        self.pending.write_at(self.start + segment.payload_offset(), sealed)
    }
}
