//! Counting semaphores between processes: they put those to sleep that have
//! nothing to do.
//!
//! Two kinds behind one trait, chosen when the program runs:
//! [`FutexSemaphore`], a word in a region, where the system has futexes between
//! processes; and [`PipeSemaphore`], a byte in a pipe for each token, everywhere.
//! The second costs a system call for each operation, can be waited for
//! together with other descriptors, and tells its waiters when the last poster
//! is gone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::platform::{native, portable};
use crate::region::Region;

/// A counting semaphore.
pub trait Semaphore: Send + Sync {
    /// Adds `count` tokens, and wakes as many sleepers.
    ///
    /// # Errors
    /// When the system refuses.
    fn post(&self, count: u32) -> io::Result<()>;

    /// Takes a token, if need be after sleeping for it, at most for `timeout`
    /// (`None`: for ever). `false` when the time is over.
    ///
    /// # Errors
    /// When the system refuses; `UnexpectedEof` when nobody is left who could
    /// post, where that can be known.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<bool>;
}

/// Whether [`FutexSemaphore`] work on this system.
pub const HAS_FUTEX: bool = native::HAS_SHARED_FUTEX;

/// A semaphore in a region: two 32-bit words, 8 bytes together.
///
/// A process that dies while it sleeps or between two steps leaves at most one
/// token too few, and a count of sleepers that is too high, which costs later
/// posts a system call each.
#[derive(Clone, Debug)]
pub struct FutexSemaphore {
    region: Arc<Region>,
    /// The number of tokens; 4 bytes further the number of sleepers. A multiple
    /// of 4, both words within the region.
    offset: usize,
}

impl FutexSemaphore {
    /// Bytes in the region.
    pub const LEN: usize = 8;

    /// The semaphore at `offset` of `region`. Zeros are a semaphore without
    /// tokens.
    ///
    /// # Errors
    /// `Unsupported` when the system has no such thing: see [`HAS_FUTEX`].
    ///
    /// # Panics
    /// When it is not within the region, or `offset` is no multiple of 4.
    pub fn new(region: Arc<Region>, offset: usize) -> io::Result<Self> {
        // Panics now rather than later.
        let _ = (region.atomic_u32(offset), region.atomic_u32(offset + 4));
        if HAS_FUTEX { Ok(Self { region, offset }) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Takes all tokens that there are, without sleeping.
    pub fn take_all(&self) {
        // As in `try_take`.
        self.region.atomic_u32(self.offset).swap(0, Ordering::SeqCst);
    }

    /// Takes a token without sleeping.
    fn try_take(&self) -> bool {
        // Acquires what the poster did before; sequentially consistent for the
        // sake of `wait`.
        let less = |count: u32| count.checked_sub(1);
        let count = self.region.atomic_u32(self.offset);
        count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

impl Semaphore for FutexSemaphore {
    fn post(&self, count: u32) -> io::Result<()> {
        let tokens = self.region.atomic_u32(self.offset);
        let more = |tokens: u32| Some(tokens.saturating_add(count));
        // The closure never refuses.
        let _ = tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        // SYNC POINT sleepers: of the poster, who adds tokens and then looks for
        // sleepers, and the sleeper, who says that it sleeps and then looks for
        // tokens, one at least sees the other. The sleeper's second look is the
        // kernel's.
        if self.region.atomic_u32(self.offset + 4).load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        native::wake(tokens, count)
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        // A time that the clock cannot express is no limit.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if self.try_take() {
                return Ok(true);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            // SYNC POINT sleepers, the other end.
            let sleepers = self.region.atomic_u32(self.offset + 4);
            sleepers.fetch_add(1, Ordering::SeqCst);
            let slept = native::wait_on(self.region.atomic_u32(self.offset), 0, left);
            sleepers.fetch_sub(1, Ordering::SeqCst);
            slept?;
        }
    }
}

/// A semaphore in a pipe: each token is a byte.
///
/// A process may hold both ends or one: those that only wait should not hold
/// the writing one, and learn then when every poster is gone.
///
/// At most what the pipe holds (64 Ki tokens on Linux, less elsewhere) can be
/// pending; more are dropped. That is no loss as long as there are fewer tasks
/// than that, as there are in a [queue](crate::queue): those that are pending
/// wake everybody.
#[derive(Debug)]
pub struct PipeSemaphore {
    reader: Option<OwnedFd>,
    writer: Option<OwnedFd>,
}

impl PipeSemaphore {
    /// A new semaphore, without tokens.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = native::pipe()?;
        Ok(Self { reader: Some(reader), writer: Some(writer) })
    }

    /// The same, made by the system calls that every Unix has.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn portable() -> io::Result<Self> {
        let (reader, writer) = portable::pipe()?;
        Ok(Self { reader: Some(reader), writer: Some(writer) })
    }

    /// One end, or both, that another process has passed on. They do not block,
    /// as the one that made them has seen to it.
    #[must_use]
    pub fn from_ends(reader: Option<OwnedFd>, writer: Option<OwnedFd>) -> Self {
        Self { reader, writer }
    }

    /// The end that is waited on, for passing it on, or for waiting on several
    /// things at once: readable means that there is a token.
    #[must_use]
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// The end that is posted to, for passing it on.
    #[must_use]
    pub fn writer(&self) -> Option<BorrowedFd<'_>> {
        self.writer.as_ref().map(AsFd::as_fd)
    }
}

impl Semaphore for PipeSemaphore {
    fn post(&self, count: u32) -> io::Result<()> {
        const TOKENS: [u8; 64] = [b'.'; 64];
        let writer = self.writer.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let mut left = count as usize;
        while left > 0 {
            match rustix::io::write(writer, &TOKENS[..left.min(TOKENS.len())]) {
                Ok(written) => left -= written,
                Err(Errno::INTR) => {}
                // Full. See above.
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let reader = self.reader.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match rustix::io::read(reader, &mut [0_u8; 1]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(reader, PollFlags::IN)], left.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Option<Duration> = Some(Duration::from_millis(20));
    const LONG: Option<Duration> = Some(Duration::from_secs(20));

    fn kinds() -> Vec<Arc<dyn Semaphore>> {
        let region = Arc::new(Region::create(64).unwrap());
        let mut kinds: Vec<Arc<dyn Semaphore>> = vec![
            Arc::new(PipeSemaphore::new().unwrap()),
            Arc::new(PipeSemaphore::portable().unwrap()),
        ];
        if HAS_FUTEX {
            kinds.push(Arc::new(FutexSemaphore::new(region, 8).unwrap()));
        }
        kinds
    }

    #[test]
    fn tokens_are_counted() {
        for tokens in kinds() {
            assert!(!tokens.wait(Some(Duration::ZERO)).unwrap());
            tokens.post(3).unwrap();
            for _ in 0..3 {
                assert!(tokens.wait(None).unwrap());
            }
            let begin = Instant::now();
            assert!(!tokens.wait(SHORT).unwrap());
            assert!(begin.elapsed() >= SHORT.unwrap());
            tokens.post(0).unwrap();
            assert!(!tokens.wait(SHORT).unwrap());
            tokens.post(1).unwrap();
            assert!(tokens.wait(Some(Duration::MAX)).unwrap());
        }
    }

    #[test]
    fn sleepers_are_woken() {
        for tokens in kinds() {
            let sleepers: Vec<_> = (0..4)
                .map(|_| {
                    let tokens = tokens.clone();
                    std::thread::spawn(move || tokens.wait(LONG).unwrap())
                })
                .collect();
            std::thread::sleep(Duration::from_millis(20));
            tokens.post(1).unwrap();
            tokens.post(3).unwrap();
            for sleeper in sleepers {
                assert!(sleeper.join().unwrap());
            }
        }
    }

    #[test]
    fn no_token_is_lost_between_many() {
        for tokens in kinds() {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    let tokens = tokens.clone();
                    std::thread::spawn(move || (0..2_000).all(|_| tokens.wait(LONG).unwrap()))
                })
                .collect();
            for _ in 0..3_000 {
                tokens.post(2).unwrap();
            }
            for taker in takers {
                assert!(taker.join().unwrap());
            }
            assert!(!tokens.wait(Some(Duration::ZERO)).unwrap());
        }
    }

    #[test]
    fn too_many_tokens_do_no_harm() {
        for tokens in kinds() {
            tokens.post(500_000).unwrap();
            tokens.post(500_000).unwrap();
            assert!(tokens.wait(None).unwrap());
        }
        let region = Arc::new(Region::create(8).unwrap());
        if let Ok(tokens) = FutexSemaphore::new(region, 0) {
            tokens.post(u32::MAX).unwrap();
            tokens.post(u32::MAX).unwrap();
            assert!(tokens.wait(None).unwrap());
            tokens.take_all();
            assert!(!tokens.wait(Some(Duration::ZERO)).unwrap());
        }
    }

    #[test]
    fn a_waiter_learns_that_the_posters_are_gone() {
        let PipeSemaphore { reader, writer } = PipeSemaphore::new().unwrap();
        let waiter = PipeSemaphore::from_ends(reader, None);
        let poster = PipeSemaphore::from_ends(None, writer);
        assert_eq!(waiter.post(1).unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(poster.wait(None).unwrap_err().kind(), io::ErrorKind::Unsupported);
        poster.post(1).unwrap();
        drop(poster);
        assert!(waiter.wait(None).unwrap());
        assert_eq!(waiter.wait(None).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
