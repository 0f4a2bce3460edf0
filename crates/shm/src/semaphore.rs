//! Counting semaphores between processes, on which idle processes sleep.
//!
//! There are two kinds behind one trait, chosen at run time: [`FutexSemaphore`], a word in a
//! region, if the system has futexes between processes; and [`PipeSemaphore`], a byte in a pipe for
//! each token, on every system. The second costs a system call for each operation, can be polled
//! together with other descriptors, and tells its waiters when the last poster is gone.

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
    /// Adds `count` tokens and wakes as many sleepers.
    ///
    /// # Errors
    /// If the system refuses.
    fn post(&self, count: u32) -> io::Result<()>;

    /// Takes a token, and sleeps until there is one, at most for `timeout` (`None`: no limit).
    /// Returns `false` on timeout.
    ///
    /// # Errors
    /// If the system refuses; `UnexpectedEof` if nobody is left who could post, where that can be
    /// known.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<bool>;
}

/// Whether [`FutexSemaphore`] works on this system.
pub const HAS_FUTEX: bool = native::HAS_SHARED_FUTEX;

/// A semaphore in a region: two 32-bit words, 8 bytes together.
///
/// If a process dies while it sleeps or between two steps, at most one token is lost, and the count
/// of sleepers may be too high, which costs each later post a system call.
#[derive(Clone, Debug)]
pub struct FutexSemaphore {
    region: Arc<Region>,
    /// The offset of the number of tokens, followed by the number of sleepers 4 bytes later. A
    /// multiple of 4; both words are within the region.
    offset: usize,
}

impl FutexSemaphore {
    /// The number of bytes in the region.
    pub const LEN: usize = 8;

    /// The semaphore at `offset` of `region`. Zeroed memory is a semaphore without tokens.
    ///
    /// # Errors
    /// `Unsupported` if the system has no such futexes: see [`HAS_FUTEX`].
    ///
    /// # Panics
    /// If it is not within the region, or `offset` is not a multiple of 4.
    pub fn new(region: Arc<Region>, offset: usize) -> io::Result<Self> {
        // Panics now rather than later.
        let _ = (region.atomic_u32(offset), region.atomic_u32(offset + 4));
        if HAS_FUTEX { Ok(Self { region, offset }) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Takes all tokens without sleeping.
    pub fn take_all(&self) {
        // As in `try_take`.
        self.region.atomic_u32(self.offset).swap(0, Ordering::SeqCst);
    }

    /// Takes a token without sleeping.
    fn try_take(&self) -> bool {
        // Acquires what the poster did before. Sequentially consistent because of `wait`.
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
        // A timeout that the clock cannot express is no limit.
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
/// A process may hold one end or both. Those that only wait should not hold the writing end: then
/// they notice when every poster is gone.
///
/// At most as many tokens as the pipe holds can be pending (64 Ki on Linux, fewer elsewhere); more
/// are dropped. That is harmless as long as there are fewer tasks than that, as in a
/// [queue](crate::queue): the pending tokens wake everyone.
#[derive(Debug)]
pub struct PipeSemaphore {
    reader: Option<OwnedFd>,
    writer: Option<OwnedFd>,
}

impl PipeSemaphore {
    /// Creates a semaphore without tokens.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = native::pipe()?;
        Ok(Self { reader: Some(reader), writer: Some(writer) })
    }

    /// Does the same with system calls that every Unix has.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn portable() -> io::Result<Self> {
        let (reader, writer) = portable::pipe()?;
        Ok(Self { reader: Some(reader), writer: Some(writer) })
    }

    /// Takes one end or both from another process. They do not block, since their creator has set
    /// that.
    #[must_use]
    pub fn from_ends(reader: Option<OwnedFd>, writer: Option<OwnedFd>) -> Self {
        Self { reader, writer }
    }

    /// The end that is waited on, for passing it on or for polling: it is readable if there is a
    /// token.
    #[must_use]
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    /// The end that tokens are posted to, for passing it on.
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
                // The pipe is full: the token is dropped.
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
