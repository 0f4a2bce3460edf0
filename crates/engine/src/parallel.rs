//! Runs the segments of a payload on threads of this process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cryptstream_format::{Layout, Segment};

use crate::progress::check_cancelled;
use crate::{Error, Progress};

/// Runs all segments on up to `threads` threads, of which this is one.
///
/// Each thread calls `start` once. The closure that it returns processes a segment, and returns
/// the number of input bytes done. An error stops all threads. Of several errors, the one of the
/// earliest segment is returned, whichever thread failed first.
pub(crate) fn run_on_threads<W>(
    layout: &Layout,
    threads: usize,
    progress: &dyn Progress,
    start: impl Fn() -> Result<W, Error> + Sync,
) -> Result<(), Error>
where
    W: FnMut(&Segment) -> Result<usize, Error>,
{
    let shared = Shared {
        layout,
        start,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        error: Mutex::new(None),
    };
    let helpers =
        usize::try_from(layout.segment_count()).map_or(threads, |count| count.min(threads));
    match helpers {
        0 | 1 => shared.run(Some(progress)),
        _ => thread::scope(|scope| {
            for _ in 1..helpers {
                // Fewer threads only take longer.
                let _ = thread::Builder::new().spawn_scoped(scope, || shared.run(None));
            }
            shared.run(Some(progress));
        }),
    }
    match shared.done.into_inner() {
        0 => {}
        rest => progress.advance(rest),
    }
    match shared.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// What the threads share.
struct Shared<'a, S> {
    layout: &'a Layout,
    start: S,
    /// The next segment to do.
    next: AtomicU64,
    /// Bytes done and not yet reported.
    done: AtomicU64,
    is_over: AtomicBool,
    /// The error of the first segment that failed, with its index.
    error: Mutex<Option<(u64, Error)>>,
}

impl<W, S> Shared<'_, S>
where
    S: Fn() -> Result<W, Error>,
    W: FnMut(&Segment) -> Result<usize, Error>,
{
    /// Processes segments until none are left or a thread has failed. One thread reports the
    /// progress of all.
    fn run(&self, progress: Option<&dyn Progress>) {
        let mut index = 0;
        if let Err(error) = self.run_segments(&mut index, progress) {
            self.is_over.store(true, Ordering::Relaxed);
            // Earlier segments are done or being worked on, so their errors are reported too.
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                *first = Some((index, error));
            }
        }
    }

    /// `index` is the segment being worked on.
    fn run_segments(&self, index: &mut u64, progress: Option<&dyn Progress>) -> Result<(), Error> {
        let mut run = (self.start)()?;
        while !self.is_over.load(Ordering::Relaxed) {
            *index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = self.layout.segment(*index) else { break };
            self.done.fetch_add(run(&segment)? as u64, Ordering::Relaxed);
            if let Some(progress) = progress {
                progress.advance(self.done.swap(0, Ordering::Relaxed));
                check_cancelled(progress)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cryptstream_format::Format;
    use cryptstream_format::x25519::SecretKey;

    use super::*;
    use crate::{Decrypt, Encrypt, Engine, Processes};

    #[test]
    fn each_segment_is_done_once() {
        let layout = Layout::of_plaintext(Format::Native, (40 << 20) + 7).unwrap();
        for threads in [0, 1, 3] {
            let done = Mutex::new(Vec::new());
            let start = || {
                Ok(|segment: &Segment| {
                    done.lock().unwrap().push(segment.first_chunk());
                    Ok(1)
                })
            };
            run_on_threads(&layout, threads, &(), start).unwrap();
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            let all: Vec<_> = layout.segments().map(|segment| segment.first_chunk()).collect();
            assert_eq!(done, all, "{threads}");
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let layout = Layout::of_plaintext(Format::Native, 40 << 20).unwrap();
        let start = || Ok(|_: &Segment| Err(Error::OutOfMemory { path: None }));
        let result = run_on_threads(&layout, 2, &(), start);
        assert!(matches!(result, Err(Error::OutOfMemory { .. })));
        let start =
            || Err::<fn(&Segment) -> Result<usize, Error>, _>(Error::OutOfMemory { path: None });
        assert!(run_on_threads(&layout, 2, &(), start).is_err());
    }

    #[test]
    fn the_error_of_the_first_segment_is_returned() {
        let layout = Layout::of_plaintext(Format::Native, 40 << 20).unwrap();
        let chunks: Vec<_> = layout.segments().map(|segment| segment.first_chunk()).collect();
        let both = std::sync::Barrier::new(2);
        let damaged = |chunk| {
            let path = "a".into();
            Error::Damaged { path, chunk, offset: 0, is_last: false }
        };
        // The second segment fails at once, the first one after it has.
        let start = || {
            Ok(|segment: &Segment| -> Result<usize, Error> {
                let chunk = segment.first_chunk();
                if chunk == chunks[0] {
                    both.wait();
                } else if chunk == chunks[1] {
                    let error = damaged(chunk);
                    both.wait();
                    return Err(error);
                }
                thread::yield_now();
                Err(damaged(chunk))
            })
        };
        for _ in 0..20 {
            let result = run_on_threads(&layout, 2, &(), start);
            let Err(Error::Damaged { chunk, .. }) = result else { panic!("{result:?}") };
            assert_eq!(chunk, chunks[0]);
        }
    }

    #[test]
    fn a_file_comes_out_as_it_went_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text: Vec<u8> = (0..(5 << 20) + 3).map(|i: u32| (i >> 9) as u8 ^ i as u8).collect();
        std::fs::write(path("a"), &text).unwrap();
        let key = SecretKey::generate().unwrap();
        let mut on_three = Engine::builder().workers(Processes::Exactly(3)).build();
        let mut alone = Engine::builder().workers(Processes::Exactly(0)).build();
        let encrypt = |engine: &mut Engine, to: &Path| {
            let request = Encrypt::file(path("a")).to(to);
            engine.encrypt(request.recipients(&[&key.to_public()])).unwrap();
        };
        let decrypt = |engine: &mut Engine, from: &Path, to: &Path| {
            engine.decrypt(Decrypt::file(from).to(to).identities(&[&key])).map(drop)
        };
        encrypt(&mut on_three, &path("three"));
        encrypt(&mut alone, &path("one"));
        decrypt(&mut alone, &path("three"), &path("b")).unwrap();
        decrypt(&mut on_three, &path("one"), &path("c")).unwrap();
        assert!([path("b"), path("c")].iter().all(|path| std::fs::read(path).unwrap() == text));

        let mut damaged = std::fs::read(path("one")).unwrap();
        damaged[3 << 20] ^= 1;
        std::fs::write(path("one"), damaged).unwrap();
        let result = decrypt(&mut on_three, &path("one"), &path("d"));
        assert!(matches!(result, Err(Error::Damaged { .. })), "{result:?}");
        assert!(!path("d").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    }
}
