//! Decrypts ranges of a plaintext into memory, on several threads.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use cryptstream_format::{ChunkCipher, ChunkError, Layout, Segment};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;
use crate::error_context::damaged;
use crate::memory::zeroed;
use crate::runs::RUN_LEN;

/// A thread is started for as many bytes of plaintext. Less is done sooner here.
const WORTH_A_THREAD: usize = 1 << 20;

/// The chunks of a payload, and the key to open them.
pub(crate) struct ChunkRanges<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) cipher: &'a ChunkCipher,
    /// The file, for messages.
    pub(crate) path: &'a Path,
    /// Where the payload begins in the file.
    pub(crate) start: u64,
}

/// Takes the ciphertext of a run.
pub(crate) type TakeSealed<'a> = dyn FnMut(&[u8]) -> Result<(), Error> + 'a;

/// Gives the ciphertext of a run to the function. The buffer is for its use.
pub(crate) type FetchSealed<'a> =
    dyn Fn(&Segment, &mut Vec<u8>, &mut TakeSealed<'_>) -> Result<(), Error> + Sync + 'a;

/// Whether the caller has given the work up. It is asked for each run of chunks.
pub(crate) type IsCancelled<'a> = dyn Fn() -> bool + Sync + 'a;

/// A run of chunks, and where its plaintext goes.
struct Piece<'a> {
    run: Segment,
    /// Bytes of the run's plaintext before those that are wanted.
    skip: usize,
    output: &'a mut [u8],
}

impl ChunkRanges<'_> {
    /// Decrypts the plaintext from byte `offset` on into `output`, all of which must be within the
    /// layout. On an error `output` is zeros. Of several damaged chunks, any may be reported.
    pub(crate) fn open(
        &self,
        offset: u64,
        output: &mut [u8],
        threads: usize,
        is_cancelled: &IsCancelled<'_>,
        fetch: &FetchSealed<'_>,
    ) -> Result<(), Error> {
        let helpers = (output.len() / WORTH_A_THREAD).min(threads.saturating_sub(1));
        let pieces = Mutex::new(self.pieces(offset, output)?.into_iter());
        let failed = Mutex::new(None);
        let work = || {
            let mut space = Vec::new();
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(piece) = next else { return };
                let opened = match is_cancelled() {
                    true => Err(Error::Cancelled),
                    false => self.open_piece(piece, &mut space, fetch),
                };
                if let Err(error) = opened {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    // Nothing is left for the others.
                    pieces.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..helpers {
                // Fewer threads only take longer.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        drop(pieces);
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => {
                output.zeroize();
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// Verifies the final chunk.
    pub(crate) fn verify_end(&self, sealed: &[u8]) -> Result<(), Error> {
        let run = self.layout.final_chunk();
        let mut text = Zeroizing::new(zeroed(run.plaintext_len())?);
        self.opened(&run, self.cipher.open(&run, sealed, &mut text))
    }

    /// What the result of opening a run means.
    fn opened(&self, run: &Segment, result: Result<(), ChunkError>) -> Result<(), Error> {
        result.map_err(|error| match error {
            ChunkError::Damaged { chunk, .. } => damaged(self.path, self.start, run, chunk),
            ChunkError::BufferLength { .. } => Error::Internal("a buffer of the wrong length"),
        })
    }

    /// Divides `output` among the runs that it comes from.
    fn pieces<'a>(&self, offset: u64, output: &'a mut [u8]) -> Result<Vec<Piece<'a>>, Error> {
        let outside = Error::Internal("a range outside of the plaintext");
        let end = offset + output.len() as u64;
        if end > self.layout.plaintext_len() {
            return Err(outside);
        }
        let (format, last) = (self.layout.format(), self.layout.final_chunk());
        let chunk_len = format.chunk_len() as u64;
        let mut pieces = Vec::new();
        let (mut position, mut rest) = (offset, output);
        while !rest.is_empty() {
            let first = position / chunk_len;
            let wanted = end.div_ceil(chunk_len).min(last.first_chunk()).saturating_sub(first);
            let count = wanted.min((RUN_LEN / format.chunk_len()) as u64) as usize;
            let run = if count == 0 { Some(last) } else { Segment::run(format, first, count) };
            let Some(run) = run else { return Err(outside) };
            let skip = (position - run.plaintext_offset()) as usize;
            let len = (run.plaintext_len() - skip).min(rest.len());
            let (output, after) = rest.split_at_mut(len);
            pieces.push(Piece { run, skip, output });
            position += len as u64;
            rest = after;
        }
        Ok(pieces)
    }

    fn open_piece(
        &self,
        piece: Piece<'_>,
        space: &mut Vec<u8>,
        fetch: &FetchSealed<'_>,
    ) -> Result<(), Error> {
        let Piece { run, skip, output } = piece;
        fetch(&run, space, &mut |sealed| {
            if output.len() == run.plaintext_len() {
                return self.opened(&run, self.cipher.open(&run, sealed, output));
            }
            let mut whole = Zeroizing::new(zeroed(run.plaintext_len())?);
            self.opened(&run, self.cipher.open(&run, sealed, &mut whole))?;
            output.copy_from_slice(&whole[skip..skip + output.len()]);
            Ok(())
        })
    }
}
